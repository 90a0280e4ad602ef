//! What several suites are written with.

pub mod account;
pub mod backend;
pub mod configuration;
pub mod events;
pub mod local;
pub mod producer;
pub mod recorder;
pub mod stage;
pub mod state;

use std::time::Duration;

/// For what takes a moment on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);
