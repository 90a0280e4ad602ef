//! The cluster as the command sees it: how it is reached, what is asked of it, and what its refusals mean.

mod connect;
mod error;
mod kind;
mod resource;

pub(crate) use connect::{Cluster, ClusterOptions, Patience, Scope};
pub(crate) use error::{ClusterError, is_forbidden, is_missing, words};
pub(crate) use kind::{KINDS, Kind, Reference};
pub(crate) use resource::Resource;

/// Names the system that an object belongs to.
pub(crate) const PART_OF: &str = "app.kubernetes.io/part-of";
/// Who writes where this command does.
pub(crate) const FIELD_MANAGER: &str = "ordermill-cli";
/// Requests that are under way at once.
pub(crate) const CONCURRENT: usize = 16;
