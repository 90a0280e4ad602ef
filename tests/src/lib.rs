//! What Ordermill's integration tests run on, all of it real: an Apache Kafka broker, a PostgreSQL, an OpenTelemetry
//! Collector, a Kubernetes control plane, and the workspace's own programs as child processes.
//!
//! Nothing has to be installed but a JDK, Maven, Go and Python: [`cache`] fetches or builds each part once per user, from the
//! recipes in `tests/platform/`, and [`tools`] says plainly which of these is missing. Every part runs on ports and in
//! a folder of its own and dies with its test.
//!
//! ```no_run
//! # use ordermill_tests::{TestResult, kafka::Broker, reader::{Isolation, Until, read_all}};
//! # async fn example() -> TestResult {
//! let mut broker = Broker::start().await?;
//! broker.create_topic("orders", 3).await?;
//! broker.kill()?;
//! broker.restart().await?;
//! let records = read_all(broker.bootstrap(), "orders", Isolation::ReadCommitted, Until::end()).await?;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cache;
pub mod certificates;
pub mod collector;
mod go_program;
pub mod helm;
pub mod http;
pub mod kafka;
pub mod kind;
pub mod kubernetes;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod reader;
pub mod schemathesis;
pub mod tools;
pub mod values_table;
pub mod wait;

mod once;
mod report;
mod scratch;
mod shared;

pub use report::{Failure, TestResult};
pub use scratch::Scratch;
pub use wait::eventually;

/// `prefix`, a dash and sixteen random hexadecimal digits: a topic, group or transactional id that no other test uses.
#[must_use]
pub fn unique(prefix: &str) -> String {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    format!("{prefix}-{:016x}", high ^ low)
}
