//! The Ordermill operator: turns resources into workloads, keeps them as declared, tunes them while they run and tells
//! what is.
//!
//! [`reconcile`] is the way of one resource; [`pipeline`] are its steps, pure but for the first; [`cluster`] is all that
//! is read from and written to the API server; [`tuning`] is what is told to pods; [`operator`] runs it all.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admin;
pub mod arguments;
mod backoff;
pub mod cluster;
mod controller;
pub mod error;
#[cfg(test)]
mod fixtures;
pub mod kinds;
pub mod labels;
pub mod leadership;
pub mod metrics;
pub mod names;
pub mod operator;
pub mod pipeline;
pub mod policy;
mod queue;
pub mod reconcile;
pub mod strimzi;
pub mod tasks;
pub mod telemetry;
pub mod tuning;
