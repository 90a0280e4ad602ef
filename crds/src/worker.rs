//! Worker: runs a task at every interval.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Interval, Period};
use crate::{BackendFaults, Backends, CommonSpec, Connection, ResourceStatus};

/// Runs a task at every interval, and misbehaves on command.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ordermill.dev",
    version = "v1alpha1",
    kind = "Worker",
    namespaced,
    derive = "PartialEq",
    doc = "Runs a task at every interval, and misbehaves on command.",
    status = "ResourceStatus",
    shortname = "owork",
    category = "ordermill",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Task",
        type_ = "string",
        json_path = ".spec.task",
        description = "What it does"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether it runs as declared"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Jobs",
        type_ = "integer",
        json_path = ".status.observed.events",
        description = "Orders moved or jobs run"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.observed.failed",
        description = "Failed for real",
        priority = 1
    ),
    printcolumn(
        name = "Error-Rate",
        type_ = "number",
        json_path = ".spec.errorRate",
        description = "Declared share of injected errors",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since it was created"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.orderManagement) || self.task == 'OrderManagement'")
    .message("orderManagement is for task OrderManagement").field_path(".orderManagement"))]
#[x_kube(validation = Rule::new("!has(self.loyaltyExpiry) || self.task == 'LoyaltyExpiry'")
    .message("loyaltyExpiry is for task LoyaltyExpiry").field_path(".loyaltyExpiry"))]
#[x_kube(validation = Rule::new("!has(self.dataCleanup) || self.task == 'DataCleanup'")
    .message("dataCleanup is for task DataCleanup").field_path(".dataCleanup"))]
#[x_kube(validation = Rule::new("!has(self.backends) || self.task == 'OrderManagement'")
    .message("backends is for task OrderManagement").field_path(".backends"))]
#[x_kube(validation = Rule::new("!has(self.database) || self.task != 'OrderManagement'")
    .message("database is not for task OrderManagement, which works through its backends").field_path(".database"))]
#[x_kube(validation = Rule::new("!has(self.cache) || self.task != 'OrderManagement'")
    .message("cache is not for task OrderManagement, which works through its backends").field_path(".cache"))]
pub struct WorkerSpec {
    /// What it does: OrderManagement, StatsAggregation, RewardNotification, LoyaltyExpiry or DataCleanup.
    pub task: WorkerTask,
    /// Time from one run to the next, such as 5s, 1ms to 8760h, live tunable. Default: 5s for OrderManagement, else 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Number of orders or rows taken at a time, 1 to 10,000. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch_size: Option<i32>,
    /// Repetitions of a failed order or job, 0 to 100. An order whose wood may have been taken, as no answer came, is repeated
    /// beyond that for as long as the stock API does not say so. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: Option<i32>,
    /// Options of task OrderManagement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_management: Option<OrderManagementOptions>,
    /// Options of task LoyaltyExpiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loyalty_expiry: Option<LoyaltyExpiryOptions>,
    /// Options of task DataCleanup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_cleanup: Option<DataCleanupOptions>,
    /// The APIs that task OrderManagement calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Backends>,
    /// Database of the other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Connection>,
    /// Cache and job queue of the other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Connection>,
    /// Failures made on purpose, besides errorRate, live tunable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<BackendFaults>,
    #[allow(
        missing_docs,
        reason = "a doc comment here would become the description of the whole spec"
    )]
    #[serde(flatten)]
    pub common: CommonSpec,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum WorkerTask {
    /// Moves registered wood orders on, decreasing stock.
    OrderManagement,
    /// Rolls up customers' statistics.
    StatsAggregation,
    /// Notifies customers of rewards.
    RewardNotification,
    /// Expires the points of inactive customers.
    LoyaltyExpiry,
    /// Archives old order history.
    DataCleanup,
}

/// Options of task OrderManagement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderManagementOptions {
    /// How long a claimed order stays with one worker, 1s to 87600h. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Period>,
}

/// Options of task LoyaltyExpiry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoyaltyExpiryOptions {
    /// Time without activity after which points expire, 1s to 87600h. Default: 8760h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity: Option<Period>,
}

/// Options of task DataCleanup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataCleanupOptions {
    /// Age from which order history is archived, 1s to 87600h. Default: 8760h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Period>,
}
