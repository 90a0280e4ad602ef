//! Backend: serves an API with a database behind it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::ObjectName;
use crate::{BackendFaults, CommonSpec, Connection, ResourceStatus};

/// Serves an API with a database behind it, and misbehaves on command.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ordermill.dev",
    version = "v1alpha1",
    kind = "Backend",
    namespaced,
    derive = "PartialEq",
    doc = "Serves an API with a database behind it, and misbehaves on command.",
    status = "ResourceStatus",
    shortname = "obe",
    category = "ordermill",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "App",
        type_ = "string",
        json_path = ".spec.app",
        description = "What it serves"
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
        name = "Requests",
        type_ = "integer",
        json_path = ".status.observed.events",
        description = "Requests answered"
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
#[x_kube(validation = Rule::new("!has(self.storage) || !has(self.database)")
    .message("storage is for SQLite: leave it out with a database").field_path(".storage"))]
#[x_kube(validation = Rule::new("self.replicas <= 1 || has(self.database)")
    .message("more than one replica needs a database that they share").field_path(".replicas"))]
#[x_kube(validation = Rule::new("!has(self.cache) || self.app == 'Customer'")
    .message("cache is for app Customer").field_path(".cache"))]
pub struct BackendSpec {
    /// What it serves: Order, Stock or Customer.
    pub app: BackendApp,
    /// Port of the API, 1024 to 65535. Default: 5000 for Order, 5001 for Stock, 50052 for Customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: Option<i32>,
    /// Volume for SQLite. Absent: the data lives as long as the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// PostgreSQL instead of SQLite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Connection>,
    /// Cache of app Customer.
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

/// What a backend serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum BackendApp {
    /// Wood orders and their states, over HTTP.
    Order,
    /// Wood in stock, over HTTP.
    Stock,
    /// Customers, statistics and points, over gRPC.
    Customer,
}

/// A volume for SQLite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume, such as 1Gi.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$")
    )]
    pub size: String,
    /// Storage class of the volume. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<ObjectName>,
}
