//! The commands for a cluster: `ordermill status`, `stop`, `start` and `report`, against a real API server, operator and Kafka.

mod command;
mod report;
mod rights;
mod show;
mod stop;
