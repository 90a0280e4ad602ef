//! Apache Kafka 4.3.1, as published, on a JVM of this machine.

mod access;
mod broker;
mod builder;
mod clients;
mod connect;
mod distribution;
mod properties;
mod quick_start;
mod topics;

use std::io;

pub use access::{Operation, Resource};
pub use broker::Broker;
pub use builder::BrokerBuilder;
pub use clients::Mechanism;
pub use connect::{Refusal, RefusalKind, connect};
pub use distribution::{Distribution, VERSION};
pub(crate) use properties::{ALONE, QUICK_RETURN};

pub(crate) use clients::plain as plain_client;
pub(crate) use distribution::finish;

use crate::tools::{CommandError, MissingTool};
use crate::{cache, certificates, process};

/// What can go wrong with a broker or with Kafka's own tools.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A JDK or Maven is not there.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// The jars are not there.
    #[error("Apache Kafka cannot be fetched")]
    Fetch(#[from] cache::Error),
    /// The fetch was cancelled.
    #[error("the fetch of Apache Kafka was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
    /// A file of the broker cannot be made.
    #[error("the broker's folder cannot be used")]
    Files(#[source] io::Error),
    /// The first records of its log cannot be copied.
    #[error("the broker's log cannot be formatted")]
    Format(#[from] CommandError),
    /// No free port.
    #[error("no free port for the broker")]
    Ports(#[source] io::Error),
    /// A certificate cannot be made or written.
    #[error("the broker's certificates")]
    Certificates(#[from] certificates::Error),
    /// The broker, or a tool of Kafka, did not do what it should.
    #[error("Apache Kafka does not do as it should")]
    Process(#[from] process::Error),
    /// The broker ended instead of answering.
    #[error("the broker ended at its start:\n{complaints}")]
    Died {
        /// The errors in its log, and their causes.
        complaints: String,
        /// How it ended.
        #[source]
        source: Box<process::Error>,
    },
    /// A tool of Kafka failed.
    #[error("{tool} ended with {status}; it wrote:\n{output}")]
    Tooling {
        /// The tool's class.
        tool: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// A client of librdkafka failed.
    #[error("librdkafka: {what}")]
    Client {
        /// What it was to do.
        what: String,
        /// Why it did not.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The broker refused to create a topic.
    #[error("topic {topic} was not created: {code}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's reason.
        code: rdkafka::types::RDKafkaErrorCode,
    },
}
