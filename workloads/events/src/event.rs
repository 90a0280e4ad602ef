//! Events as a producer handles them, whatever their model.

use crate::drink::{DrinkEvent, DrinkEventType};
use crate::food::{FoodOrder, FoodOrderStatus};
use crate::retail::{RetailRefund, RetailTransaction};
use crate::wood::{WoodDelivery, WoodOrder};

/// What kind of event it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum EventType {
    /// An order of wood.
    WoodOrder,
    /// A delivery of wood.
    WoodDelivery,
    /// A retail sale.
    RetailTransaction,
    /// A refund of a retail sale.
    RetailRefund,
    /// A food order.
    FoodOrderPlaced,
    /// A drink order.
    DrinkOrderPlaced,
    /// The drinks of an order are ready.
    DrinkOrderCompleted,
    /// A drink order is cancelled.
    DrinkOrderCancelled,
    /// A drink order is paid.
    DrinkPaymentProcessed,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WoodOrder,
        Self::WoodDelivery,
        Self::RetailTransaction,
        Self::RetailRefund,
        Self::FoodOrderPlaced,
        Self::DrinkOrderPlaced,
        Self::DrinkOrderCompleted,
        Self::DrinkOrderCancelled,
        Self::DrinkPaymentProcessed,
    ];

    /// The `CloudEvents` attribute `type`.
    #[must_use]
    pub fn cloud_event_type(self) -> &'static str {
        match self {
            Self::WoodOrder => "dev.ordermill.wood.order",
            Self::WoodDelivery => "dev.ordermill.wood.delivery",
            Self::RetailTransaction => "dev.ordermill.retail.transaction",
            Self::RetailRefund => "dev.ordermill.retail.refund",
            Self::FoodOrderPlaced => "dev.ordermill.food.order-placed",
            Self::DrinkOrderPlaced => "dev.ordermill.drink.order-placed",
            Self::DrinkOrderCompleted => "dev.ordermill.drink.order-completed",
            Self::DrinkOrderCancelled => "dev.ordermill.drink.order-cancelled",
            Self::DrinkPaymentProcessed => "dev.ordermill.drink.payment-processed",
        }
    }

    /// The text of the JSON Schema (draft 2020-12) that every payload of this type satisfies.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::WoodOrder => include_str!("../schemas/wood-order.schema.json"),
            Self::WoodDelivery => include_str!("../schemas/wood-delivery.schema.json"),
            Self::RetailTransaction => include_str!("../schemas/retail-transaction.schema.json"),
            Self::RetailRefund => include_str!("../schemas/retail-refund.schema.json"),
            Self::FoodOrderPlaced => include_str!("../schemas/food-order-placed.schema.json"),
            Self::DrinkOrderPlaced => include_str!("../schemas/drink-order-placed.schema.json"),
            Self::DrinkOrderCompleted => {
                include_str!("../schemas/drink-order-completed.schema.json")
            }
            Self::DrinkOrderCancelled => {
                include_str!("../schemas/drink-order-cancelled.schema.json")
            }
            Self::DrinkPaymentProcessed => {
                include_str!("../schemas/drink-payment-processed.schema.json")
            }
        }
    }
}

/// An event without its time, which only the sender knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What kind of event it is.
    pub event_type: EventType,
    /// The tick that brought it forth; an event that follows from another has that one's.
    pub tick: u64,
    /// Its number among all events handed out by the producer instance, from 0 on and without a gap.
    pub sequence: u64,
    /// The event's own id: `order_id`, `delivery_id`, `transaction_id`, `refund_id` or `event_id`, unique among all events.
    pub id: String,
    /// The record's key.
    pub key: String,
    /// The payload without its time.
    pub payload: Payload,
}

/// A payload without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant names its type")]
pub enum Payload {
    WoodOrder(WoodOrder),
    WoodDelivery(WoodDelivery),
    RetailTransaction(RetailTransaction),
    RetailRefund(RetailRefund),
    FoodOrder(FoodOrder),
    Drink(DrinkEvent),
}

impl Event {
    pub(crate) fn new(tick: u64, sequence: u64, payload: Payload) -> Self {
        let (event_type, id, key) = match &payload {
            Payload::WoodOrder(order) => (
                EventType::WoodOrder,
                order.order_id.to_string(),
                order.customer_id.to_string(),
            ),
            Payload::WoodDelivery(delivery) => (
                EventType::WoodDelivery,
                delivery.delivery_id.to_string(),
                delivery.supplier_id.to_string(),
            ),
            Payload::RetailTransaction(sale) => (
                EventType::RetailTransaction,
                sale.transaction_id.to_string(),
                sale.store_id.id().to_owned(),
            ),
            Payload::RetailRefund(refund) => (
                EventType::RetailRefund,
                refund.refund_id.to_string(),
                refund.store_id.id().to_owned(),
            ),
            Payload::FoodOrder(order) => (
                EventType::FoodOrderPlaced,
                order.order_id.clone(),
                order.order_id.clone(),
            ),
            Payload::Drink(event) => (
                match event.head.event_type {
                    DrinkEventType::OrderPlaced => EventType::DrinkOrderPlaced,
                    DrinkEventType::OrderCompleted => EventType::DrinkOrderCompleted,
                    DrinkEventType::OrderCancelled => EventType::DrinkOrderCancelled,
                    DrinkEventType::PaymentProcessed => EventType::DrinkPaymentProcessed,
                },
                event.head.event_id.to_string(),
                event.head.customer_id.to_string(),
            ),
        };
        Self {
            event_type,
            tick,
            sequence,
            id,
            key,
            payload,
        }
    }

    /// Sets `status: failed` of a food order, which is what errorRate does to it. False for every other event, which
    /// errorRate suppresses instead.
    pub fn fail(&mut self) -> bool {
        let Payload::FoodOrder(order) = &mut self.payload else {
            return false;
        };
        order.status = FoodOrderStatus::Failed;
        true
    }
}
