//! Readers of topics: librdkafka's for exact records, and Kafka's own Java client as a second opinion.

mod console;
mod java;
mod records;

pub use console::{ConsoleRecord, console_consumer};
pub use java::java_partitions;
pub use records::{Error, Record, Until, read_all};

/// Which records of transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Of committed ones alone, up to the last stable offset.
    ReadCommitted,
    /// Of open and aborted ones too.
    ReadUncommitted,
}

impl Isolation {
    /// As Kafka's `isolation.level` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}
