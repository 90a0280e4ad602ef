//! What a workload runs with: one type, derived from a resource's spec, or from environment variables by hand.
//!
//! Two documents reach a pod. [`WorkloadDocument`] holds what rolls the pods when it changes; [`TuningDocument`] what
//! they take while they run. Both are pure functions of the spec, so the operator, `ordermill local` and a process
//! started by hand run the same thing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bounded;
mod document;
mod environment;
mod kafka;
mod producer;
mod tuning;

pub use bounded::Bounded;
pub use document::{
    DocumentError, Documents, ResourceReference, TUNING_FILE, TelemetrySettings, TuningDocument,
    WORKLOAD_FILE, WorkloadDocument, WorkloadSettings, read_tuning, read_workload,
};
pub use environment::{
    EnvironmentError, EnvironmentErrors, VARIABLES, documents_from_environment,
    kafka_from_environment, process_variables,
};
pub use kafka::{KafkaConnection, SaslFiles, TlsFiles};
pub use producer::{Placement, ProducerSettings, producer_documents};
pub use tuning::{Pacing, ProducerTuning, Tuning};
