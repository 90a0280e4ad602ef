//! The cluster: what is read from it by watches, and the one place that writes to it.

pub mod caches;
pub mod child;
pub mod events;
mod feed;
pub mod served;
pub mod triggers;
pub mod writer;

#[cfg(test)]
mod tests;
