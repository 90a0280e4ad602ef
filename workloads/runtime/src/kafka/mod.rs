//! Kafka as the workloads use it: connections, their health, topics, ways to send, and members of consumer groups.

mod batch;
mod client;
mod context;
mod credentials;
pub mod dead_letter;
mod health;
mod member;
mod oversized;
mod publisher;
mod record;
mod sender;
mod topics;
mod transaction;

pub use batch::BatchSize;
pub use client::{ConnectionError, client_config};
pub use context::{Delivered, DeliverySink};
pub use health::{Health, Trouble, reason_of, reason_of_text};
pub use member::{Member, MemberSettings, PartitionStream};
pub use oversized::OversizedSender;
pub use publisher::{Publication, Publisher, TooLarge};
pub use record::Record;
pub use sender::{Sender, SenderSettings};
pub use topics::{TopicError, broker_limit, ensure_topics};
pub use transaction::{Progress, TransactionError, TransactionSettings, TransactionalSender};
