//! Kafka as the workloads use it: connections, their health, topics, and two ways to send.

mod batch;
mod client;
mod context;
mod credentials;
mod health;
mod oversized;
mod record;
mod sender;
mod topics;
mod transaction;

pub use batch::BatchSize;
pub use client::ConnectionError;
pub use context::{Delivered, DeliverySink};
pub use health::{Health, Trouble, reason_of, reason_of_text};
pub use oversized::OversizedSender;
pub use record::Record;
pub use sender::{Sender, SenderSettings};
pub use topics::{TopicError, broker_limit, ensure_topics};
pub use transaction::{Progress, TransactionError, TransactionSettings, TransactionalSender};
