//! What a producer tells a real OpenTelemetry Collector, against what its topic holds and its log says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counts;
mod logs;
mod scene;
mod traces;

#[path = "../support/producer/mod.rs"]
mod support;
