//! The producer: sends the events of one model to Kafka at a pace that follows the clock, and misbehaves on command.
//!
//! What is decided is pure: `decision` says what becomes of an event, `emitter` turns events into records. How they are
//! sent is either without end (`unbounded`) or exactly so many (`bounded`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bounded;
mod decision;
mod delivery;
mod emitter;
mod pace;
mod progress;
mod record;
mod run;
mod unbounded;

pub use run::{ProducerError, run_producer};
