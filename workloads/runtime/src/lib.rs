//! What every workload stands on: pacing, faults, live tuning, Kafka, telemetry, state and its admin server.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admin;
pub mod api;
mod controls;
pub mod faults;
pub mod kafka;
pub mod pacing;
pub mod problem;
pub mod shutdown;
pub mod state;
pub mod telemetry;
mod tls;
pub mod tuning;
mod workload;

pub use controls::{Controls, Tuned};
pub use workload::{Instance, Workload, WorkloadEnd};
