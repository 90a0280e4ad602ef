//! What a user does with Ordermill on a real cluster, from the charts to the events on Kafka.
//!
//! `make e2e` makes the cluster and runs these. Each test has a namespace with an operator of its own, installed by the chart
//! with rights in that namespace alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounded;
mod changes;
mod faults;
mod install;
mod limits;
mod live;
mod pods;
mod release;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other suites use the rest")]
mod support;
mod upgrade;
mod wood_orders;
