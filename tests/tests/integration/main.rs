//! Ordermill against the real thing: Kafka, a Kubernetes control plane, an OpenTelemetry Collector, its own programs.
//!
//! One program holds all suites: it is linked once, and what they share is started once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_server;
mod backend;
mod by_hand;
mod charts;
mod conformance;
mod consumer;
mod dlq;
mod harness;
mod invariant;
mod local;
mod operator;
mod producer;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod telemetry;
mod validate;
mod worker;
