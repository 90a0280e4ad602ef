//! The generator: one interface over the five models.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, RestoreError};
use crate::drink::{DrinkEvent, DrinkEventDetail};
use crate::event::{Event, Payload};
use crate::identity::Identity;
use crate::retail::RecentSales;
use crate::{drink, food, retail, wood};

/// A model and its options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ModelSettings {
    /// Orders of wood.
    WoodOrder,
    /// Deliveries of wood.
    WoodStock,
    /// Retail sales and their refunds.
    RetailSale {
        /// Probability that a refund follows a sent sale.
        refund_probability: f64,
    },
    /// Food orders.
    FoodOrder,
    /// Life cycles of drink orders.
    DrinkOrder {
        /// Number of customers who order, 1 to 9,999 (beyond, the nearest of them).
        customers: u16,
        /// Mean time from placement to completion or cancellation.
        preparation_mean: Duration,
        /// Probability that an order is cancelled instead of completed.
        cancel_probability: f64,
    },
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is sent, or will be.
    Sent,
    /// It is never sent.
    Suppressed,
}

/// An event that follows from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// Time after the event that it follows from.
    pub after: Duration,
    /// The event.
    pub event: Event,
}

/// Makes the events of one producer instance.
///
/// Per tick: [`next`](Self::next), then [`settle`](Self::settle) as soon as it is decided whether the event is sent, and before the
/// next call of `next` (not when it is sent: that may be later). The events that follow are settled too, whenever they are
/// due; nothing depends on that moment.
#[derive(Debug, Clone)]
pub struct Generator {
    identity: Identity,
    tick: u64,
    sequence: u64,
    /// Whether the last event of `next` still waits to be settled.
    unsettled: bool,
    model: Model,
}

#[derive(Debug, Clone)]
enum Model {
    WoodOrder(wood::Orders),
    WoodStock(wood::Deliveries),
    RetailSale(retail::Sales),
    FoodOrder(food::Orders),
    DrinkOrder(drink::Orders),
}

impl Generator {
    /// A generator at its first tick. `key_skew` is the Zipf exponent over what makes the key (customers, suppliers or stores); 0
    /// weighs all alike, and food orders have unique keys whatever it is.
    #[must_use]
    pub fn new(model: ModelSettings, identity: Identity, key_skew: f64) -> Self {
        let model = Model::new(model, &identity, key_skew, 0, RecentSales::default());
        Self {
            identity,
            tick: 0,
            sequence: 0,
            unsettled: false,
            model,
        }
    }

    /// A generator that goes on where `checkpoint` was taken, given the same settings and identity.
    ///
    /// # Errors
    /// When the checkpoint is another model's.
    pub fn restore(
        model: ModelSettings,
        identity: Identity,
        key_skew: f64,
        checkpoint: &Checkpoint,
    ) -> Result<Self, RestoreError> {
        let food_sent = checkpoint.food_sent;
        let recent_sales = checkpoint.recent_sales.clone();
        if food_sent.is_some() != matches!(model, ModelSettings::FoodOrder)
            || recent_sales.is_some() != matches!(model, ModelSettings::RetailSale { .. })
        {
            return Err(RestoreError::OtherModel);
        }
        let model = Model::new(
            model,
            &identity,
            key_skew,
            food_sent.unwrap_or_default(),
            recent_sales.unwrap_or_default(),
        );
        Ok(Self {
            identity,
            tick: checkpoint.tick,
            sequence: checkpoint.sequence,
            unsettled: false,
            model,
        })
    }

    /// Where the generator stands. Take it when every event of [`next`](Self::next) is settled; events that follow
    /// and are still to be sent are the caller's to keep (see [`regenerate`](Self::regenerate)).
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        debug_assert!(!self.unsettled, "settle the last event before a checkpoint");
        Checkpoint {
            tick: self.tick,
            sequence: self.sequence,
            food_sent: match &self.model {
                Model::FoodOrder(orders) => Some(orders.sent),
                _ => None,
            },
            recent_sales: match &self.model {
                Model::RetailSale(sales) => Some(sales.recent.clone()),
                _ => None,
            },
        }
    }

    /// The first event of the next tick. `now_unix_ms`, its creation in Unix milliseconds, goes into the UUIDs of a
    /// random identity and nowhere else.
    pub fn next(&mut self, now_unix_ms: u64) -> Event {
        debug_assert!(!self.unsettled, "settle the last event before the next one");
        let tick = self.tick;
        self.tick += 1;
        self.unsettled = true;
        let identity = &self.identity;
        let payload = match &self.model {
            Model::WoodOrder(orders) => {
                Payload::WoodOrder(orders.order(identity, tick, now_unix_ms))
            }
            Model::WoodStock(deliveries) => {
                Payload::WoodDelivery(deliveries.delivery(identity, tick, now_unix_ms))
            }
            Model::RetailSale(sales) => Payload::RetailTransaction(sales.sale(identity, tick)),
            Model::FoodOrder(orders) => Payload::FoodOrder(orders.order(identity, tick)),
            Model::DrinkOrder(orders) => {
                Payload::Drink(orders.placement(identity, tick, now_unix_ms))
            }
        };
        self.numbered(tick, payload)
    }

    /// Tells what became of an event, once for each event handed out, and gives those that follow from it, in the order of
    /// their sequence numbers.
    ///
    /// A sent sale may be followed at once by a refund, a sent placement of drinks by completion and payment (in this
    /// order, payment after an exponential time with a tenth of the preparation's mean) or by cancellation. What is suppressed has
    /// no consequences: nothing follows a placement, a sale is never refunded, and the sale of a refund may be refunded again.
    #[must_use = "the events that follow have taken their sequence numbers"]
    pub fn settle(&mut self, event: &Event, outcome: Outcome) -> Vec<FollowUp> {
        if event.tick + 1 == self.tick && !is_follow_up(&event.payload) {
            self.unsettled = false;
        }
        let sent = outcome == Outcome::Sent;
        let (tick, identity) = (event.tick, &self.identity);
        let payloads: Vec<(Duration, Payload)> = match (&mut self.model, &event.payload) {
            (Model::FoodOrder(orders), Payload::FoodOrder(_)) if sent => {
                orders.sent += 1;
                Vec::new()
            }
            (Model::RetailSale(sales), Payload::RetailTransaction(_)) if sent => {
                sales.recent.enter(tick);
                sales
                    .refund(identity, tick)
                    .map(|refund| (Duration::ZERO, Payload::RetailRefund(refund)))
                    .into_iter()
                    .collect()
            }
            (Model::RetailSale(sales), Payload::RetailRefund(refund)) if !sent => {
                sales.recent.give_back(refund.sale_tick);
                Vec::new()
            }
            (Model::DrinkOrder(orders), Payload::Drink(placement)) if sent => {
                course(orders, identity, tick, placement)
            }
            _ => Vec::new(),
        };
        payloads
            .into_iter()
            .map(|(after, payload)| FollowUp {
                after,
                event: self.numbered(tick, payload),
            })
            .collect()
    }

    /// Makes anew the `step`-th event (from 0 on) that followed the sent placement of drinks of `tick`, where
    /// `first_sequence` is the sequence number of step 0: so a producer that goes on after a kill gets back what was still to be
    /// sent. Equal to what [`settle`](Self::settle) gave for a seeded or stored identity.
    ///
    /// `None` when the model is another or the placement has no such step.
    #[must_use]
    pub fn regenerate(&self, tick: u64, first_sequence: u64, step: u8) -> Option<FollowUp> {
        let Model::DrinkOrder(orders) = &self.model else {
            return None;
        };
        let placement = orders.placement(&self.identity, tick, 0);
        let (after, payload) = course(orders, &self.identity, tick, &placement)
            .into_iter()
            .nth(usize::from(step))?;
        let sequence = first_sequence + u64::from(step);
        Some(FollowUp {
            after,
            event: Event::new(tick, sequence, payload),
        })
    }

    /// Makes an event of a payload and gives it the next sequence number.
    fn numbered(&mut self, tick: u64, payload: Payload) -> Event {
        let sequence = self.sequence;
        self.sequence += 1;
        Event::new(tick, sequence, payload)
    }
}

impl Model {
    fn new(
        settings: ModelSettings,
        identity: &Identity,
        key_skew: f64,
        food_sent: u64,
        recent_sales: RecentSales,
    ) -> Self {
        match settings {
            ModelSettings::WoodOrder => Self::WoodOrder(wood::Orders::new(identity, key_skew)),
            ModelSettings::WoodStock => Self::WoodStock(wood::Deliveries::new(identity, key_skew)),
            ModelSettings::RetailSale { refund_probability } => Self::RetailSale(
                retail::Sales::new(identity, key_skew, refund_probability, recent_sales),
            ),
            ModelSettings::FoodOrder => Self::FoodOrder(food::Orders::new(identity, food_sent)),
            ModelSettings::DrinkOrder {
                customers,
                preparation_mean,
                cancel_probability,
            } => Self::DrinkOrder(drink::Orders::new(
                identity,
                key_skew,
                customers,
                preparation_mean,
                cancel_probability,
            )),
        }
    }
}

/// What follows an event of a drink order: nothing, unless it is the placement.
fn course(
    orders: &drink::Orders,
    identity: &Identity,
    tick: u64,
    event: &DrinkEvent,
) -> Vec<(Duration, Payload)> {
    let DrinkEventDetail::Placed { total_amount, .. } = event.detail else {
        return Vec::new();
    };
    orders
        .course(identity, tick, &event.head, total_amount)
        .into_iter()
        .map(|(after, event)| (after, Payload::Drink(event)))
        .collect()
}

/// Whether [`Generator::settle`] brought the event forth.
fn is_follow_up(payload: &Payload) -> bool {
    match payload {
        Payload::RetailRefund(_) => true,
        Payload::Drink(event) => !matches!(event.detail, DrinkEventDetail::Placed { .. }),
        Payload::WoodOrder(_)
        | Payload::WoodDelivery(_)
        | Payload::RetailTransaction(_)
        | Payload::FoodOrder(_) => false,
    }
}
