//! The way of a resource: dereference → validate → build → apply → delete orphans → status.
//!
//! Only `dereference` reads and only `apply`, `orphans` and the status are written; all between are functions of values.

pub mod apply;
pub mod build;
pub mod dereference;
pub mod status;
pub mod validate;
