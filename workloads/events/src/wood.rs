//! The wood shop's orders and deliveries (models `WoodOrder` and `WoodStock`).

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::customer::CustomerId;
use crate::identity::{Identity, UuidSlot};
use crate::population::{Population, one_of};
use crate::random::Stream;

/// Number of customers who order wood.
const CUSTOMERS: u16 = 1_000;
/// Number of suppliers who deliver wood.
const SUPPLIERS: u16 = 100;

/// A kind of wood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "String")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum WoodType {
    Oak,
    Maple,
    Birch,
    Elm,
    Pine,
}

impl WoodType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Oak, Self::Maple, Self::Birch, Self::Elm, Self::Pine];

    /// The name in messages, APIs and databases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oak => "oak",
            Self::Maple => "maple",
            Self::Birch => "birch",
            Self::Elm => "elm",
            Self::Pine => "pine",
        }
    }
}

/// No kind of wood has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of wood: use oak, maple, birch, elm or pine")]
pub struct UnknownWoodType(pub String);

impl FromStr for WoodType {
    type Err = UnknownWoodType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| UnknownWoodType(text.to_owned()))
    }
}

/// From a string, as serde takes a map in the place of a name for a mistake of syntax.
impl TryFrom<String> for WoodType {
    type Error = UnknownWoodType;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A supplier by 1-based number, shown as `SUPP-001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SupplierId(pub u16);

impl fmt::Display for SupplierId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SUPP-{:03}", self.0)
    }
}

impl Serialize for SupplierId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A customer's order of wood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WoodOrder {
    /// The order, a version 7 UUID.
    pub order_id: Uuid,
    /// Who orders, `CUST-0001` to `CUST-1000`; the record's key.
    pub customer_id: CustomerId,
    /// What is ordered.
    pub wood_type: WoodType,
    /// How much, 1 to 10.
    pub quantity: u8,
}

/// A supplier's delivery of wood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WoodDelivery {
    /// The delivery, a version 7 UUID.
    pub delivery_id: Uuid,
    /// Who delivers, `SUPP-001` to `SUPP-100`; the record's key.
    pub supplier_id: SupplierId,
    /// What is delivered.
    pub wood_type: WoodType,
    /// How much, 1 to 100.
    pub quantity: u8,
}

/// Makes orders.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    content: Stream,
    customers: Population,
}

impl Orders {
    pub(crate) fn new(identity: &Identity, key_skew: f64) -> Self {
        Self {
            content: identity.root().stream("wood order"),
            customers: Population::new(CUSTOMERS, key_skew),
        }
    }

    pub(crate) fn order(&self, identity: &Identity, tick: u64, created_unix_ms: u64) -> WoodOrder {
        let mut draws = self.content.at(tick);
        WoodOrder {
            order_id: identity.uuid(tick, UuidSlot::Subject, created_unix_ms),
            customer_id: CustomerId(self.customers.draw(&mut draws)),
            wood_type: one_of(&mut draws, &WoodType::ALL),
            quantity: draws.random_range(1..=10),
        }
    }
}

/// Makes deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    content: Stream,
    suppliers: Population,
}

impl Deliveries {
    pub(crate) fn new(identity: &Identity, key_skew: f64) -> Self {
        Self {
            content: identity.root().stream("wood delivery"),
            suppliers: Population::new(SUPPLIERS, key_skew),
        }
    }

    pub(crate) fn delivery(
        &self,
        identity: &Identity,
        tick: u64,
        created_unix_ms: u64,
    ) -> WoodDelivery {
        let mut draws = self.content.at(tick);
        WoodDelivery {
            delivery_id: identity.uuid(tick, UuidSlot::Subject, created_unix_ms),
            supplier_id: SupplierId(self.suppliers.draw(&mut draws)),
            wood_type: one_of(&mut draws, &WoodType::ALL),
            quantity: draws.random_range(1..=100),
        }
    }
}
