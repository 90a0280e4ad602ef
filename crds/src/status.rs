//! What is, as the operator last saw it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of a resource: conditions as kstatus expects them, and what was observed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// The generation that the rest of the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people: Pending, Running, Paused, Completed or Failed. Machines read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Ready; Reconciling or Stalled while they hold; TuningApplied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
    /// Number of pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Number of ready pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The tuning generation that every pod runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned_generation: Option<i64>,
    /// What the pods counted, summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// What a consumer group has still to handle, by partition; absent as long as that of one of them is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub partitions: Vec<PartitionLag>,
}

/// What of a partition is still to be handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionLag {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Messages that are still to be handled.
    pub lag: i64,
}

/// What a workload counted. Totals since `since`; zero is shown, unknown is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Events: sent by a producer, handled by a consumer, orders moved or jobs run by a worker, requests answered by a
    /// backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<i64>,
    /// Units of work that a fault of ours failed or touched, whether or not they were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<i64>,
    /// Units of work that failed for real.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// Repetitions of failed attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<i64>,
    /// Messages put on a dead-letter topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_lettered: Option<i64>,
    /// Messages that a consumer group has still to handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Members of a consumer group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// Begin of the totals, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Events per second over the last ten seconds, as a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<String>,
    /// When these numbers were taken, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}
