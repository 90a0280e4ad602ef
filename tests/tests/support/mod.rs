//! What several suites are written with.

pub mod events;
pub mod local;
pub mod producer;
pub mod stage;
