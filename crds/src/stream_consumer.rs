//! StreamConsumer: handles the messages of topics as a member of a consumer group.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::words;
use crate::values::{ConsumerGroup, Delay};
use crate::{Backends, CommonSpec, Connection, ConsumerFaults, ResourceStatus, Topic};

/// Handles the messages of topics as a member of a consumer group, and misbehaves on command.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ordermill.dev",
    version = "v1alpha1",
    kind = "StreamConsumer",
    namespaced,
    derive = "PartialEq",
    doc = "Handles the messages of topics as a member of a consumer group, and misbehaves on command.",
    status = "ResourceStatus",
    shortname = "scons",
    category = "ordermill",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Handler",
        type_ = "string",
        json_path = ".spec.handler",
        description = "What it does with messages"
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
        name = "Lag",
        type_ = "integer",
        json_path = ".status.observed.lag",
        description = "Messages still to handle"
    ),
    printcolumn(
        name = "Events",
        type_ = "integer",
        json_path = ".status.observed.events",
        description = "Messages handled",
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
#[x_kube(validation = Rule::new("!has(self.output) || self.handler == 'Inventory'")
    .message("output is for handler Inventory").field_path(".output"))]
#[x_kube(validation = Rule::new("!has(self.report) || self.handler == 'OrderAnalytics' || self.handler == 'RetailAnalytics'")
    .message("report is for handlers OrderAnalytics and RetailAnalytics").field_path(".report"))]
#[x_kube(validation = Rule::new("!has(self.backends) || self.handler == 'OrderCheck' || self.handler == 'StockCheck'")
    .message("backends is for handlers OrderCheck and StockCheck").field_path(".backends"))]
#[x_kube(validation = Rule::new("!has(self.database) || self.handler == 'CustomerStats'")
    .message("database is for handler CustomerStats").field_path(".database"))]
#[x_kube(validation = Rule::new("!has(self.cache) || self.handler == 'CustomerStats'")
    .message("cache is for handler CustomerStats").field_path(".cache"))]
pub struct StreamConsumerSpec {
    /// What it does: OrderCheck, StockCheck, Inventory, OrderAnalytics, RetailAnalytics or CustomerStats.
    pub handler: ConsumerHandler,
    /// Topics it reads, 1 to 16. Default: those of the handler's order system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub topics: Option<Vec<Topic>>,
    /// Consumer group. Default: that of the handler, such as order-check-group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<ConsumerGroup>,
    /// Group protocol: Classic, or Consumer (KIP-848). Default: Classic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_protocol: Option<GroupProtocol>,
    /// Topic it writes, for handler Inventory. Default: inventory-events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Topic>,
    /// Artificial delay of each message, such as 10ms, 0s to 24h, live tunable. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_delay: Option<Delay>,
    /// What happens to a message that cannot be handled. Default: retried five times, then dead-lettered. A message that is
    /// not valid is not retried; an API that cannot be reached is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Where a group without commits begins. Default: Earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<StartFrom>,
    /// Makes the group start over and compute its results anew; each new id does so once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Text report of handlers OrderAnalytics and RetailAnalytics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// Scales by lag with KEDA; then replicas is KEDA's. Default: replicas as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// The APIs that handlers OrderCheck and StockCheck call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Backends>,
    /// Database of handler CustomerStats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Connection>,
    /// Cache of handler CustomerStats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Connection>,
    /// Failures made on purpose, besides errorRate, live tunable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<ConsumerFaults>,
    #[allow(
        missing_docs,
        reason = "a doc comment here would become the description of the whole spec"
    )]
    #[serde(flatten)]
    pub common: CommonSpec,
}

/// What a consumer does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConsumerHandler {
    /// Checks wood orders and posts them to the order API.
    OrderCheck,
    /// Checks wood deliveries and posts them to the stock API.
    StockCheck,
    /// Turns food orders into inventory events, exactly once.
    Inventory,
    /// Counts food orders by minute.
    OrderAnalytics,
    /// Sums sales and refunds by minute and product.
    RetailAnalytics,
    /// Keeps customers' statistics and points.
    CustomerStats,
}

words! {
    /// The protocol that a consumer group speaks.
    GroupProtocol {
        /// Join and sync by the members, cooperative-sticky assignment.
        #[default]
        Classic,
        /// Assignment by the broker, KIP-848.
        Consumer,
    }
}

/// What happens to a message that cannot be handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxRetries) || self.action != 'Retry'")
    .message("action Retry repeats until it succeeds; maxRetries is for Skip and DeadLetter").field_path(".maxRetries"))]
#[x_kube(validation = Rule::new("!has(self.deadLetterTopic) || self.action == 'DeadLetter'")
    .message("deadLetterTopic is for action DeadLetter").field_path(".deadLetterTopic"))]
pub struct OnFailure {
    /// Retry (until it succeeds, holding up its partition), Skip or DeadLetter (after maxRetries). A message that is not valid,
    /// or that the API refuses with 400, 409, 413 or 422, is not repeated: Retry and Skip leave it out.
    pub action: FailureAction,
    /// Repetitions before it is skipped or dead-lettered, 0 to 100. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: Option<i32>,
    /// Time between repetitions, doubling from initial to maximum. Default: 100ms to 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Topic for what cannot be handled. Default: the source topic's name with `.dead-letter` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<Topic>,
}

/// What is done with a message that cannot be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum FailureAction {
    /// It is tried until it succeeds.
    Retry,
    /// It is left out.
    Skip,
    /// It goes to the dead-letter topic.
    DeadLetter,
}

/// Time between repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.initial) <= duration(self.maximum)")
    .message("initial must not be longer than maximum").field_path(".initial"))]
pub struct Backoff {
    /// Time before the first repetition, 0s to 24h.
    pub initial: Delay,
    /// Longest time between repetitions, 0s to 24h.
    pub maximum: Delay,
}

/// Where a group begins that has no commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.timestamp) == (self.position == 'Timestamp')")
    .message("timestamp goes with position Timestamp, and only with it").field_path(".timestamp"))]
pub struct StartFrom {
    /// Earliest, Latest or Timestamp.
    pub position: StartPosition,
    /// For position Timestamp: the first message at or after this time, RFC 3339; a fraction of a second is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
}

/// A place in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StartPosition {
    /// The oldest message.
    Earliest,
    /// What comes from now on.
    Latest,
    /// The first message at or after a time.
    Timestamp,
}

/// Makes a group start over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.from.position != 'Latest'")
    .message("a replay begins at Earliest or Timestamp").field_path(".from.position"))]
pub struct Replay {
    /// Names this replay; a new id makes the group start over once, 1 to 63 letters, digits, '.', '_' or '-'.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    pub id: String,
    /// Where it begins: Earliest or Timestamp.
    pub from: StartFrom,
}

/// A text report of what was computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Path of the file, on a writable volume in a pod, such as /reports/metrics_output.txt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// Messages between two reports, 1 to 1,000,000,000. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub every: Option<i32>,
}

/// Scaling by lag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas")
    .message("minReplicas must not be greater than maxReplicas").field_path(".minReplicas"))]
pub struct Autoscaling {
    /// Least number of pods, 0 to 1,000. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: Option<i32>,
    /// Greatest number of pods, 1 to 1,000; never more than there are partitions.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Lag that one pod is to carry, 1 to 1,000,000,000. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub lag_threshold: Option<i32>,
}
