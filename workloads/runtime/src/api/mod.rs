//! Calls to the HTTP APIs of other workloads.

mod client;
mod error;
mod telling;

pub use client::{Answer, ApiClient, Call};
pub use error::{ApiClientError, CallError};
