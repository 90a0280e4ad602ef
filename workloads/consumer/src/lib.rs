//! Consumers: members of a group that handle the messages of each partition in order, after whose effect they commit.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod dead_letters;
mod faults;
mod handler;
mod incoming;
mod live;
mod partition;
mod policy;
mod run;
mod telling;

pub use handler::HandlerError;
pub use run::{ConsumerError, run_consumer};
