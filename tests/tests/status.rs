//! The commands for a cluster: `ordermill status`, `stop`, `start` and `report`, against a real API server, operator and Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "status/command.rs"]
mod command;
#[path = "status/report.rs"]
mod report;
#[path = "status/rights.rs"]
mod rights;
#[path = "status/show.rs"]
mod show;
#[path = "support/stage.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod stage;
#[path = "status/stop.rs"]
mod stop;
