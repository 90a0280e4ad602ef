//! Calls to the HTTP APIs of other workloads.

mod answer;
mod client;
mod error;
mod telling;

pub use answer::Answer;
pub use client::{ApiClient, Call};
pub use error::{ApiClientError, CallError};
