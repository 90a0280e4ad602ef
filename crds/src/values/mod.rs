//! Values that cannot be wrong: what a field of a resource may hold, parsed once.
//!
//! Each type refuses at construction and at deserialization what the schema of its field refuses, so code that holds one
//! needs no further check.

mod bounds;
mod duration;
mod kafka;
mod number;
mod reference;

pub(crate) use bounds::inline_schema;
pub use duration::{Delay, Duration, Interval, Period};
pub use kafka::{BootstrapServers, ConsumerGroup, TopicName};
pub use number::{Fraction, Rate, Skew};
pub use reference::{BackendReference, ObjectName, TelemetryEndpoint};

/// Why a text or a number is not a value of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}: {allowed}")]
pub struct ValueError {
    /// What was given, as text.
    pub found: String,
    /// The type that was wanted, as a person would name it (`a duration`).
    pub wanted: &'static str,
    /// What would have been allowed.
    pub allowed: String,
}

impl ValueError {
    pub(crate) fn new(
        found: impl std::fmt::Display,
        wanted: &'static str,
        allowed: impl Into<String>,
    ) -> Self {
        Self {
            found: found.to_string(),
            wanted,
            allowed: allowed.into(),
        }
    }
}
