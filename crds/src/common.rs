//! What all four kinds have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Fraction, Period};
use crate::{Kafka, Telemetry, Workload};

/// The fields that every kind has, flattened into its spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonSpec {
    /// Share of the units of work that fail in the kind's own way, 0 to 1, live tunable. Every such failure is marked as
    /// injected. Default: 0.1 for wood orders, 0.05 for FoodOrder, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Fraction>,
    /// Number of pods, 0 to 1,000. Default: 1.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Stops all work, live, while the pods stay ready. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Pauses the workload this long after the resource was created, such as 8h, 1s to 87600h. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Period>,
    /// How the workload reaches Kafka. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// Traces, metrics and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Image, resources, scheduling and metadata of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
}

const fn default_replicas() -> i32 {
    1
}
