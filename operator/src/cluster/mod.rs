//! The cluster: what is read from it by watches, and the one place that writes to it.

mod api_error;
pub mod caches;
pub mod child;
pub mod events;
mod feed;
pub mod served;
pub mod triggers;
pub mod writer;

pub use self::api_error::ApiError;

#[cfg(test)]
mod tests;
