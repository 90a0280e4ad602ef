//! The cluster: what is read from it by watches, and the one place that writes to it.

pub mod caches;
pub mod child;
pub mod events;
pub mod served;
pub mod writer;
