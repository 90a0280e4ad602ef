//! OrderProducer: sends events of one model to Kafka.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::words;
use crate::values::{BackendReference, Delay, Fraction, Interval, Rate, Skew};
use crate::{CommonSpec, ProducerFaults, ResourceStatus, Topic};

/// Sends events of one model to Kafka at a pace that follows the clock, and misbehaves on command.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ordermill.dev",
    version = "v1alpha1",
    kind = "OrderProducer",
    namespaced,
    derive = "PartialEq",
    doc = "Sends events of one model to Kafka at a pace that follows the clock, and misbehaves on command.",
    status = "ResourceStatus",
    shortname = "oprod",
    category = "ordermill",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Model",
        type_ = "string",
        json_path = ".spec.model",
        description = "What it sends"
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
        name = "Rate",
        type_ = "string",
        json_path = ".status.observed.ratePerSecond",
        description = "Events per second"
    ),
    printcolumn(
        name = "Events",
        type_ = "integer",
        json_path = ".status.observed.events",
        description = "Events sent",
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
#[x_kube(validation = Rule::new("[has(self.interval), has(self.rate), has(self.stages)].filter(given, given).size() <= 1")
    .message("set at most one of interval, rate and stages"))]
#[x_kube(validation = Rule::new("!has(self.seed) || has(self.maxEvents) || self.replicas <= 1")
    .message("seed with more than one replica needs maxEvents: only the pods of a bounded run are numbered").field_path(".seed"))]
#[x_kube(validation = Rule::new("!has(self.keySkew) || self.model != 'FoodOrder'")
    .message("keySkew does not fit model FoodOrder: its key is the order's own id").field_path(".keySkew"))]
#[x_kube(validation = Rule::new("!has(self.retailSale) || self.model == 'RetailSale'")
    .message("retailSale is for model RetailSale").field_path(".retailSale"))]
#[x_kube(validation = Rule::new("!has(self.drinkOrder) || self.model == 'DrinkOrder'")
    .message("drinkOrder is for model DrinkOrder").field_path(".drinkOrder"))]
#[x_kube(validation = Rule::new("!has(self.topics) || !has(self.topics.orders) || self.model == 'WoodOrder'")
    .message("topics.orders is for model WoodOrder").field_path(".topics.orders"))]
#[x_kube(validation = Rule::new("!has(self.topics) || !has(self.topics.stocks) || self.model == 'WoodStock'")
    .message("topics.stocks is for model WoodStock").field_path(".topics.stocks"))]
#[x_kube(validation = Rule::new("!has(self.topics) || !(has(self.topics.transactions) || has(self.topics.refunds)) || self.model == 'RetailSale'")
    .message("topics.transactions and topics.refunds are for model RetailSale").field_path(".topics"))]
#[x_kube(validation = Rule::new("!has(self.topics) || !has(self.topics.orderEvents) || self.model == 'FoodOrder'")
    .message("topics.orderEvents is for model FoodOrder").field_path(".topics.orderEvents"))]
#[x_kube(validation = Rule::new("!has(self.topics) || !(has(self.topics.orderPlaced) || has(self.topics.orderCompleted) || has(self.topics.orderCancelled) || has(self.topics.paymentProcessed)) || self.model == 'DrinkOrder'")
    .message("topics.orderPlaced, orderCompleted, orderCancelled and paymentProcessed are for model DrinkOrder").field_path(".topics"))]
pub struct OrderProducerSpec {
    /// What it sends: WoodOrder, WoodStock, RetailSale, FoodOrder or DrinkOrder.
    pub model: ProducerModel,
    /// Time from one event to the next of one replica, such as 500ms, 1ms to 8760h, live tunable. Default: 60s for wood,
    /// 1s for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Events per second of one replica, 0 (silent) to 1,000,000, live tunable. Instead of interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Linear ramps from the rate before (0 at first) to each stage's rate, live tunable, at most 100; the last rate
    /// stays. Instead of interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub stages: Option<Vec<Stage>>,
    /// How events follow each other: Constant (evenly) or Poisson (independently), live tunable. Default: Constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// Number of events that all replicas send together, 1 to 1,000,000,000,000; then the producer is done. What errorRate
    /// or a fault keeps from being sent does not count; the second copy of the duplicate fault does not either. Default:
    /// without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_events: Option<i64>,
    /// Makes every field but timestamps repeatable, 0 to 9,007,199,254,740,991. Default: every run differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub seed: Option<i64>,
    /// Zipf exponent by which some keys are more frequent than others, 0 (all alike) to 5. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_skew: Option<Skew>,
    /// Pads the payload to this size in bytes, 0 to 900,000. Default: no padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 900_000))]
    pub payload_bytes: Option<i32>,
    /// The topics by what goes there. Default: named as in the model's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<ProducerTopics>,
    /// Options of model RetailSale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retail_sale: Option<RetailSaleOptions>,
    /// Options of model DrinkOrder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drink_order: Option<DrinkOrderOptions>,
    /// Failures made on purpose, besides errorRate, live tunable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<ProducerFaults>,
    #[allow(
        missing_docs,
        reason = "a doc comment here would become the description of the whole spec"
    )]
    #[serde(flatten)]
    pub common: CommonSpec,
}

/// What a producer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ProducerModel {
    /// Orders of wood, to `orders`.
    WoodOrder,
    /// Deliveries of wood, to `stocks`.
    WoodStock,
    /// Sales to `transactions` and their refunds to `refunds`.
    RetailSale,
    /// Orders of food, to `order-events`.
    FoodOrder,
    /// Life cycles of drink orders, to `order.placed`, `order.completed`, `order.cancelled` and `payment.processed`.
    DrinkOrder,
}

words! {
    /// How events follow each other.
    Arrival {
        /// Evenly.
        #[default]
        Constant,
        /// Independently of each other: exponential gaps with the same mean.
        Poisson,
    }
}

/// One ramp of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// How long the ramp takes, 0s (a jump) to 24h.
    pub duration: Delay,
    /// Events per second at its end, 0 to 1,000,000.
    pub rate: Rate,
}

/// The topics of a producer, by what goes there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProducerTopics {
    /// Orders of model WoodOrder. Default: orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Topic>,
    /// Deliveries of model WoodStock. Default: stocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stocks: Option<Topic>,
    /// Sales of model RetailSale. Default: transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Topic>,
    /// Refunds of model RetailSale. Default: refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Topic>,
    /// Orders of model FoodOrder. Default: order-events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_events: Option<Topic>,
    /// Placed orders of model DrinkOrder. Default: order.placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_placed: Option<Topic>,
    /// Completed orders of model DrinkOrder. Default: order.completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_completed: Option<Topic>,
    /// Cancelled orders of model DrinkOrder. Default: order.cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_cancelled: Option<Topic>,
    /// Payments of model DrinkOrder. Default: payment.processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_processed: Option<Topic>,
}

/// Options of model RetailSale.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetailSaleOptions {
    /// Probability that a refund of a recent sale follows a sale, 0 to 1. Default: 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_probability: Option<Fraction>,
}

/// Options of model DrinkOrder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrinkOrderOptions {
    /// Number of customers who order, 1 to 9,999. Default: 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9999))]
    pub customers: Option<i32>,
    /// Mean time from order to completion, exponentially distributed, 0s to 24h. Default: 2s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<Delay>,
    /// Probability that an order is cancelled instead of completed, 0 to 1. Default: 0.08.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_probability: Option<Fraction>,
    /// Order through this Order backend (its name or URL) instead of sending the events. Default: send the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendReference>,
}
