//! What a workload runs with: one type, derived from a resource's spec, or from environment variables by hand.
//!
//! Two documents reach a pod. [`WorkloadDocument`] holds what rolls the pods when it changes; [`TuningDocument`] what
//! they take while they run. Both are pure functions of the spec, so the operator, `ordermill local` and a process
//! started by hand run the same thing. A [`SignedTuning`] is a tuning that the operator pushes to a running pod.
//! A [`StateReport`] is what comes back.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod backend;
mod bounded;
mod consumer;
mod document;
mod environment;
mod full_error;
mod kafka;
mod needs;
mod placement;
mod pod;
mod producer;
mod signed;
mod state;
mod tuning;
mod worker;

use std::collections::BTreeSet;

use ordermill_crds::Topic;

pub use backend::{
    BackendSettings, StorageSettings, backend_documents, backend_port, backend_topics,
};
pub use bounded::Bounded;
pub use consumer::{
    BackoffSettings, ConsumerSettings, FailureSettings, ReportSettings, consumer_documents,
    consumer_topics,
};
pub use document::{
    DocumentError, Documents, ResourceReference, TUNING_FILE, TelemetrySettings, TuningDocument,
    TuningVersion, WORKLOAD_FILE, WorkloadDocument, WorkloadSettings, read_keys, read_tuning,
    read_workload,
};
pub use environment::{
    EnvironmentError, EnvironmentErrors, VARIABLES, backend_from_environment,
    consumer_from_environment, kafka_from_environment, process_variables,
    producer_from_environment, worker_from_environment,
};
pub use full_error::full_error;
pub use kafka::{KafkaConnection, SaslFiles, TlsFiles};
pub use needs::{BackendRole, KafkaUse, Needs, optional_backends, required_backends};
pub use placement::Placement;
pub use pod::{
    ADMIN_PORT, CACHE_URL, CONFIGURATION_FOLDER, DATA_FOLDER, DATABASE_URL, KEYS_FILE,
    MANAGED_SELECTOR, NUDGE,
};
pub use producer::{ProducerSettings, producer_documents, producer_topics};
pub use signed::{
    SignError, SignedTuning, SigningKey, SigningKeyError, VerifyError, VerifyingKey, VerifyingKeys,
};
pub use state::{PartitionReport, StateReport, TroubleReason};
pub use tuning::{BackendTuning, ConsumerTuning, Pacing, ProducerTuning, Tuning, WorkerTuning};
pub use worker::{TaskSettings, WorkerSettings, worker_documents};

/// The topics in their order, each name once: as it first stands there.
fn unique(topics: impl IntoIterator<Item = Topic>) -> Vec<Topic> {
    let mut names = BTreeSet::new();
    let new = |topic: &Topic| names.insert(topic.name.clone());
    topics.into_iter().filter(new).collect()
}

/// Two lower-case digits for each byte.
fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(digit).collect()
}

#[cfg(test)]
mod testing {
    //! What the tests of all kinds share.

    use super::*;

    /// A place with everything that any workload may need.
    pub(crate) fn placement(kind: &str) -> Placement {
        let roles = [
            BackendRole::Order,
            BackendRole::Stock,
            BackendRole::Customer,
        ];
        Placement {
            resource: ResourceReference {
                kind: kind.to_owned(),
                namespace: "shop".to_owned(),
                name: "one".to_owned(),
                uid: "0000-1111".to_owned(),
            },
            generation: 3,
            revision: 1,
            kafka: Some(KafkaConnection::plain("kafka:9092".parse().unwrap())),
            telemetry: TelemetrySettings {
                service_name: "one".to_owned(),
                ..TelemetrySettings::default()
            },
            create_topics: true,
            backends: roles
                .map(|role| (role, format!("http://{role}:5000")))
                .into(),
        }
    }

    /// Which of the documents differ: workload, tuning.
    pub(crate) fn changed(left: &Documents, right: &Documents) -> (bool, bool) {
        (left.workload != right.workload, left.tuning != right.tuning)
    }
}
