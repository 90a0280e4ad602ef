//! The custom resources of Ordermill, `ordermill.dev/v1alpha1`: types, rules and the generated definitions.
//!
//! Four kinds say what a workload does: [`OrderProducer`], [`StreamConsumer`], [`Worker`] and [`Backend`]. Every rule of
//! a field stands in the schema (bounds, patterns, CEL), so that an API server, the command line and this crate's own
//! types agree; `cargo run -p ordermill-crds --bin generate-crds` writes the definitions beside this crate's sources.
#![allow(
    clippy::doc_markdown,
    reason = "comments of fields are the descriptions that kubectl explain shows, where backticks are noise"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "columns of a resource share values such as their type"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod backend;
mod common;
mod connection;
mod definition;
mod faults;
mod kafka;
mod order_producer;
mod status;
mod stream_consumer;
mod telemetry;
pub mod validate;
pub mod values;
mod worker;
mod workload;

pub use backend::{Backend, BackendApp, BackendSpec, Storage};
pub use common::CommonSpec;
pub use connection::{Backends, Connection, SecretKey};
pub use definition::{DefinitionError, GROUP, KINDS, VERSION, definitions, generated_files};
pub use faults::{BackendFaults, ConsumerFaults, Fault, ProducerFaults, TimedFault};
pub use kafka::{
    Kafka, KafkaSasl, KafkaTls, KeyPairSecret, OWNED_PROPERTIES, SaslMechanism, SaslSecret,
    StrimziCluster, Topic,
};
pub use order_producer::{
    Arrival, DrinkOrderOptions, OrderProducer, OrderProducerSpec, ProducerModel, ProducerTopics,
    RetailSaleOptions, Stage,
};
pub use status::{Observed, PartitionLag, ResourceStatus};
pub use stream_consumer::{
    Autoscaling, Backoff, ConsumerHandler, FailureAction, GroupProtocol, OnFailure, Replay, Report,
    StartFrom, StartPosition, StreamConsumer, StreamConsumerSpec,
};
pub use telemetry::{ConsumerParent, LogFormat, LogLevel, OtlpProtocol, Telemetry};
pub use worker::{
    DataCleanupOptions, LoyaltyExpiryOptions, OrderManagementOptions, Worker, WorkerSpec,
    WorkerTask,
};
pub use workload::Workload;
