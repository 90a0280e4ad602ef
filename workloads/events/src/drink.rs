//! Life cycles of drink orders (model `DrinkOrder`): placed, then completed and paid, or cancelled.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::Serialize;
use uuid::Uuid;

use crate::customer::CustomerId;
use crate::identity::{Identity, UuidSlot, uuid_time};
use crate::money::Cents;
use crate::population::{Population, one_of};
use crate::random::Stream;

/// Most customers that four digits can name.
const MOST_CUSTOMERS: u16 = 9_999;
/// Prices in cents.
const PRICES: std::ops::RangeInclusive<u32> = 250..=650;
/// The mean time from completion to payment is the mean preparation divided by this.
const PREPARATIONS_PER_PAYMENT: u32 = 10;

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum Drink {
    Espresso,
    Cappuccino,
    Latte,
    FlatWhite,
    ColdBrew,
    HotChocolate,
}

const DRINKS: [Drink; 6] = [
    Drink::Espresso,
    Drink::Cappuccino,
    Drink::Latte,
    Drink::FlatWhite,
    Drink::ColdBrew,
    Drink::HotChocolate,
];

/// How large a drink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum DrinkSize {
    Small,
    Medium,
    Large,
}

const SIZES: [DrinkSize; 3] = [DrinkSize::Small, DrinkSize::Medium, DrinkSize::Large];

/// Why an order is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum CancelReason {
    ChangedMind,
    OutOfStock,
    WaitedTooLong,
    MachineFailure,
}

const REASONS: [CancelReason; 4] = [
    CancelReason::ChangedMind,
    CancelReason::OutOfStock,
    CancelReason::WaitedTooLong,
    CancelReason::MachineFailure,
];

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum PaymentMethod {
    Card,
    Cash,
    Points,
}

const METHODS: [PaymentMethod; 3] = [
    PaymentMethod::Card,
    PaymentMethod::Cash,
    PaymentMethod::Points,
];

/// One line of a drink order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrinkItem {
    /// The drink.
    pub drink: Drink,
    /// Its size.
    pub size: DrinkSize,
    /// How many, 1 to 3.
    pub quantity: u8,
    /// Price of one, 2.50 to 6.50.
    pub price: Cents,
}

/// An event of a drink order's life cycle: what all have, and what its type adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrinkEvent {
    /// What all events of a life cycle have.
    pub head: DrinkEventHead,
    /// What the event's type adds.
    pub detail: DrinkEventDetail,
}

/// The fields that stand before the timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DrinkEventHead {
    /// The event, a version 7 UUID.
    pub event_id: Uuid,
    /// Its type, named as its default topic.
    pub event_type: DrinkEventType,
    /// The order, a version 7 UUID that all events of the life cycle share.
    pub order_id: Uuid,
    /// Who orders, from `CUST-0001` on; the record's key.
    pub customer_id: CustomerId,
}

/// The steps of a life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum DrinkEventType {
    /// The order is placed.
    #[serde(rename = "order.placed")]
    OrderPlaced,
    /// The drinks are ready.
    #[serde(rename = "order.completed")]
    OrderCompleted,
    /// There will be no drinks.
    #[serde(rename = "order.cancelled")]
    OrderCancelled,
    /// The drinks are paid.
    #[serde(rename = "payment.processed")]
    PaymentProcessed,
}

/// The fields that stand after the timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DrinkEventDetail {
    /// Of `order.placed`.
    Placed {
        /// One to four lines.
        items: Vec<DrinkItem>,
        /// Sum of quantity times price over the items.
        total_amount: Cents,
    },
    /// Of `order.completed`, which adds nothing.
    Completed {},
    /// Of `order.cancelled`.
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
    /// Of `payment.processed`.
    Payment {
        /// What is paid: the order's `total_amount`.
        amount: Cents,
        /// How.
        method: PaymentMethod,
    },
}

impl DrinkEventDetail {
    fn event_type(&self) -> DrinkEventType {
        match self {
            Self::Placed { .. } => DrinkEventType::OrderPlaced,
            Self::Completed {} => DrinkEventType::OrderCompleted,
            Self::Cancelled { .. } => DrinkEventType::OrderCancelled,
            Self::Payment { .. } => DrinkEventType::PaymentProcessed,
        }
    }
}

/// Makes life cycles.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    content: Stream,
    course: Stream,
    customers: Population,
    preparation_mean: Duration,
    cancel_probability: f64,
}

impl Orders {
    pub(crate) fn new(
        identity: &Identity,
        key_skew: f64,
        customers: u16,
        preparation_mean: Duration,
        cancel_probability: f64,
    ) -> Self {
        Self {
            content: identity.root().stream("drink order"),
            course: identity.root().stream("drink order's course"),
            customers: Population::new(customers.min(MOST_CUSTOMERS), key_skew),
            preparation_mean,
            cancel_probability,
        }
    }

    /// The placement of a tick.
    pub(crate) fn placement(
        &self,
        identity: &Identity,
        tick: u64,
        created_unix_ms: u64,
    ) -> DrinkEvent {
        let mut draws = self.content.at(tick);
        let customer_id = CustomerId(self.customers.draw(&mut draws));
        let items = items(&mut draws);
        let detail = DrinkEventDetail::Placed {
            total_amount: items.iter().map(|item| item.price * item.quantity).sum(),
            items,
        };
        DrinkEvent {
            head: DrinkEventHead {
                event_id: identity.uuid(tick, UuidSlot::FirstEvent, created_unix_ms),
                event_type: detail.event_type(),
                order_id: identity.uuid(tick, UuidSlot::Subject, created_unix_ms),
                customer_id,
            },
            detail,
        }
    }

    /// What follows the placement of a tick, each with its time after the placement: completion and payment, or cancellation.
    pub(crate) fn course(
        &self,
        identity: &Identity,
        tick: u64,
        placement: &DrinkEventHead,
        total_amount: Cents,
    ) -> Vec<(Duration, DrinkEvent)> {
        // Every draw is taken whatever the outcome, so that no setting shifts another draw.
        let mut draws = self.course.at(tick);
        let cancelled = draws.random::<f64>() < self.cancel_probability;
        let preparation = exponential(&mut draws, self.preparation_mean);
        let until_payment =
            exponential(&mut draws, self.preparation_mean / PREPARATIONS_PER_PAYMENT);
        let method = one_of(&mut draws, &METHODS);
        let reason = one_of(&mut draws, &REASONS);

        let follow = |after: Duration, slot, detail: DrinkEventDetail| {
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let created_unix_ms = uuid_time(placement.event_id).saturating_add(millis);
            let head = DrinkEventHead {
                event_id: identity.uuid(tick, slot, created_unix_ms),
                event_type: detail.event_type(),
                ..*placement
            };
            (after, DrinkEvent { head, detail })
        };
        if cancelled {
            let detail = DrinkEventDetail::Cancelled { reason };
            return vec![follow(preparation, UuidSlot::SecondEvent, detail)];
        }
        let payment = DrinkEventDetail::Payment {
            amount: total_amount,
            method,
        };
        vec![
            follow(
                preparation,
                UuidSlot::SecondEvent,
                DrinkEventDetail::Completed {},
            ),
            follow(
                preparation.saturating_add(until_payment),
                UuidSlot::ThirdEvent,
                payment,
            ),
        ]
    }
}

/// One to four lines.
fn items(draws: &mut impl Rng) -> Vec<DrinkItem> {
    let count = draws.random_range(1..=4_u8);
    (0..count)
        .map(|_| DrinkItem {
            drink: one_of(draws, &DRINKS),
            size: one_of(draws, &SIZES),
            quantity: draws.random_range(1..=3),
            price: Cents(draws.random_range(PRICES)),
        })
        .collect()
}

/// An exponentially distributed time, by inversion.
fn exponential(draws: &mut impl Rng, mean: Duration) -> Duration {
    let factor = -(1.0 - draws.random::<f64>()).ln();
    Duration::try_from_secs_f64(mean.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_times_have_the_mean_and_its_tail() {
        let stream = crate::random::Root::seeded(3, 0).stream("times");
        let mean = Duration::from_secs(2);
        let times: Vec<f64> = (0..100_000)
            .map(|index| exponential(&mut stream.at(index), mean).as_secs_f64())
            .collect();
        let average = times.iter().sum::<f64>() / 100_000.0;
        // 6.2 standard deviations of the mean of 100,000 exponential times of mean 2.
        assert!((average - 2.0).abs() < 6.2 * 2.0 / 100_000_f64.sqrt());
        let beyond = times.iter().filter(|time| **time > 4.0).count();
        let share = f64::from(u32::try_from(beyond).unwrap()) / 100_000.0;
        let expected = (-2.0_f64).exp();
        assert!((share - expected).abs() < 6.2 * (expected * (1.0 - expected) / 1e5).sqrt());
    }
}
