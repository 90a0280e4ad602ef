//! The two documents that a workload is given, and how they are read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ordermill_crds::values::TelemetryEndpoint;
use ordermill_crds::{LogFormat, OtlpProtocol};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    BackendSettings, ConsumerSettings, KafkaConnection, ProducerSettings, Tuning, VerifyingKeys,
    WorkerSettings,
};

/// Name of the file that holds a [`WorkloadDocument`] in a configuration folder.
pub const WORKLOAD_FILE: &str = "workload.json";
/// Name of the file that holds a [`TuningDocument`] in a configuration folder.
pub const TUNING_FILE: &str = "tuning.json";

/// Both documents of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// What rolls the pods when it changes.
    pub workload: WorkloadDocument,
    /// What they take while they run.
    pub tuning: TuningDocument,
}

/// Which resource a workload runs for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceReference {
    /// Kind of the resource, such as `OrderProducer`.
    pub kind: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// The resource's uid; empty where there is no cluster.
    #[serde(default)]
    pub uid: String,
}

/// What a workload starts with. A change of it rolls the pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadDocument {
    /// The resource that it runs for.
    pub resource: ResourceReference,
    /// How it reaches Kafka; absent for a workload that needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaConnection>,
    /// Where it reports to.
    pub telemetry: TelemetrySettings,
    /// What it does.
    pub workload: WorkloadSettings,
}

/// Where a workload reports to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelemetrySettings {
    /// OTLP endpoint; without one nothing is exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<TelemetryEndpoint>,
    /// OTLP protocol.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// `service.name`.
    pub service_name: String,
    /// Form of the lines on standard output.
    #[serde(default)]
    pub log_format: LogFormat,
}

/// What a workload does, by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadSettings {
    /// It sends events.
    Producer(ProducerSettings),
    /// It handles the messages of topics.
    Consumer(ConsumerSettings),
    /// It runs a task at every interval.
    Worker(WorkerSettings),
    /// It serves an API.
    Backend(BackendSettings),
}

impl WorkloadSettings {
    /// The kind of resource that such settings come from.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Producer(_) => "OrderProducer",
            Self::Consumer(_) => "StreamConsumer",
            Self::Worker(_) => "Worker",
            Self::Backend(_) => "Backend",
        }
    }

    /// The settings of a producer, where they are ones.
    #[must_use]
    pub const fn producer(&self) -> Option<&ProducerSettings> {
        match self {
            Self::Producer(settings) => Some(settings),
            Self::Consumer(_) | Self::Worker(_) | Self::Backend(_) => None,
        }
    }
}

/// What a running workload takes over whole, never half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TuningDocument {
    /// The resource's uid; empty where there is no cluster.
    #[serde(default)]
    pub uid: String,
    /// The resource's generation that it was derived from.
    pub generation: i64,
    /// Tells the documents of one generation apart: it is raised where the same generation yields another one.
    #[serde(default)]
    pub revision: u32,
    /// What to run with.
    pub tuning: Tuning,
}

impl TuningDocument {
    /// Its place among the documents of its resource; only a higher one is taken.
    #[must_use]
    pub const fn version(&self) -> TuningVersion {
        TuningVersion {
            generation: self.generation,
            revision: self.revision,
        }
    }
}

/// The place of a [`TuningDocument`] among those of its resource: by generation, then by revision.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub struct TuningVersion {
    /// The resource's generation.
    pub generation: i64,
    /// The revision within it.
    pub revision: u32,
}

impl fmt::Display for TuningVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            generation,
            revision,
        } = self;
        write!(formatter, "generation {generation} revision {revision}")
    }
}

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold such a document.
    #[error("{path} is not a {what}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Where and why it does not parse.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads what a workload starts with from its configuration folder.
///
/// # Errors
/// When the file cannot be read or does not hold such a document.
pub fn read_workload(folder: &Path) -> Result<WorkloadDocument, DocumentError> {
    read(&folder.join(WORKLOAD_FILE), "workload document")
}

/// Reads what a workload is tuned by from a file.
///
/// # Errors
/// When the file cannot be read or does not hold such a document.
pub fn read_tuning(file: &Path) -> Result<TuningDocument, DocumentError> {
    read(file, "tuning document")
}

/// Reads whose pushed tunings a workload takes from a file.
///
/// # Errors
/// When the file cannot be read or does not hold such keys.
pub fn read_keys(file: &Path) -> Result<VerifyingKeys, DocumentError> {
    read(file, "set of tuning keys")
}

fn read<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, DocumentError> {
    let text = fs::read(path).map_err(|source| DocumentError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| DocumentError::Parse {
        path: path.to_owned(),
        what,
        source,
    })
}
