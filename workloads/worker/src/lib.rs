//! Workers: a task that runs at every interval, through the APIs of others.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod faults;
mod order_management;
mod plan;
mod run;

pub use run::{WorkerError, run_worker, unsupported_task};
