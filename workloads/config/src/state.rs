//! What a workload tells of itself, at `/state` and to the command line.

use std::collections::BTreeMap;

use ordermill_crds::Observed;
use serde::{Deserialize, Serialize};

use crate::TuningVersion;

/// Everything that `/state` shows. Who reads it may be older or newer than who wrote it: a field may be absent, and a word
/// may be one that the reader does not know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateReport {
    /// Kind of the resource.
    pub kind: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// The instance that reports, as in the `ordermill-instance` header.
    pub instance: String,
    /// Generation of the tuning that it runs with.
    pub generation: i64,
    /// Revision of that tuning within its generation.
    pub revision: u32,
    /// What it is doing, in one word.
    pub state: String,
    /// Why it cannot work, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Events per second that the plan asks for now.
    pub planned_rate_per_second: f64,
    /// Mean lateness of the last ten seconds' events against the plan, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness_seconds: Option<f64>,
    /// What it counted.
    pub observed: Observed,
    /// Injected events by fault.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, u64>,
    /// The partitions that a member of a consumer group has, by topic and number; absent where it is no such member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Vec<PartitionReport>>,
    /// The names of the keys whose tuning is taken, sorted; absent where none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tuning_keys: Vec<String>,
}

impl StateReport {
    /// The tuning that it runs with.
    #[must_use]
    pub const fn version(&self) -> TuningVersion {
        TuningVersion {
            generation: self.generation,
            revision: self.revision,
        }
    }
}

/// How far a member of a consumer group is with one of its partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PartitionReport {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the first message that is not handled yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The offset that the next committed message will get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// Messages that are still to be handled; offsets of transactions' markers among them count until they are passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
}

/// Why a workload cannot do its work: a closed set, stable for statuses and alerts. A [`StateReport`] tells it by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TroubleReason {
    /// No broker answers.
    KafkaUnreachable,
    /// The brokers refuse user name, password or client certificate.
    AuthenticationFailed,
    /// No TLS connection to the brokers comes about.
    TlsFailed,
    /// The brokers know the client and do not let it do this.
    NotAuthorized,
    /// A topic is missing and the client may not create it.
    TopicCreationDenied,
    /// A topic is missing and cannot be created.
    TopicMissing,
    /// A topic takes only smaller records than the workload sends: raise its `max.message.bytes`, or send less.
    RecordTooLarge,
    /// The Kafka client's own settings or files cannot be used.
    ConfigurationInvalid,
    /// Kafka refuses something else.
    KafkaError,
    /// The database does not answer, or its tables cannot be used.
    DatabaseUnreachable,
    /// A service that the workload calls does not answer.
    BackendUnreachable,
}

impl TroubleReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::KafkaUnreachable,
        Self::AuthenticationFailed,
        Self::TlsFailed,
        Self::NotAuthorized,
        Self::TopicCreationDenied,
        Self::TopicMissing,
        Self::RecordTooLarge,
        Self::ConfigurationInvalid,
        Self::KafkaError,
        Self::DatabaseUnreachable,
        Self::BackendUnreachable,
    ];

    /// Whether it is Kafka that does not work.
    #[must_use]
    pub const fn is_of_kafka(self) -> bool {
        !matches!(self, Self::DatabaseUnreachable | Self::BackendUnreachable)
    }

    /// What does not work.
    #[must_use]
    pub const fn subject(self) -> &'static str {
        match self {
            Self::DatabaseUnreachable => "the database",
            Self::BackendUnreachable => "the called service",
            _ => "Kafka",
        }
    }

    /// The name in `/state`, conditions and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KafkaUnreachable => "KafkaUnreachable",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::TlsFailed => "TlsFailed",
            Self::NotAuthorized => "NotAuthorized",
            Self::TopicCreationDenied => "TopicCreationDenied",
            Self::TopicMissing => "TopicMissing",
            Self::RecordTooLarge => "RecordTooLarge",
            Self::ConfigurationInvalid => "ConfigurationInvalid",
            Self::KafkaError => "KafkaError",
            Self::DatabaseUnreachable => "DatabaseUnreachable",
            Self::BackendUnreachable => "BackendUnreachable",
        }
    }
}
