//! Retail sales and their refunds (model `RetailSale`).

use rand::RngExt;
use serde::Serialize;

use crate::customer::CustomerId;
use crate::identity::{Identity, Series};
use crate::money::Cents;
use crate::population::{Population, one_of};
use crate::random::Stream;

mod recent;

pub(crate) use recent::RecentSales;

/// Number of customers who buy.
const CUSTOMERS: u16 = 1_000;
/// Amounts of sales in cents.
const AMOUNTS: std::ops::RangeInclusive<u32> = 2_000..=150_000;

/// A product of the Electronics or the Accessories department.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Product {
    /// Electronics.
    #[serde(rename = "LAPTOP-001")]
    Laptop,
    /// Electronics.
    #[serde(rename = "PHONE-001")]
    Phone,
    /// Electronics.
    #[serde(rename = "MONITOR-001")]
    Monitor,
    /// Accessories.
    #[serde(rename = "HEADPHONES-001")]
    Headphones,
    /// Accessories.
    #[serde(rename = "KEYBOARD-001")]
    Keyboard,
    /// Accessories.
    #[serde(rename = "MOUSE-001")]
    Mouse,
}

const PRODUCTS: [Product; 6] = [
    Product::Laptop,
    Product::Phone,
    Product::Monitor,
    Product::Headphones,
    Product::Keyboard,
    Product::Mouse,
];

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum Store {
    /// `STORE-001`: Downtown Mall, Riyadh.
    DowntownMall,
    /// `STORE-002`: Westside Plaza, Jeddah.
    WestsidePlaza,
    /// `STORE-003`: Tech Hub, Dammam.
    TechHub,
}

const STORES: [Store; 3] = [Store::DowntownMall, Store::WestsidePlaza, Store::TechHub];

impl Store {
    /// The `store_id`, the record's key.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::DowntownMall => "STORE-001",
            Self::WestsidePlaza => "STORE-002",
            Self::TechHub => "STORE-003",
        }
    }
}

impl From<Store> for &'static str {
    fn from(store: Store) -> Self {
        store.id()
    }
}

/// Why a customer brings something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum RefundReason {
    Defective,
    WrongItem,
    NotAsDescribed,
    ChangedMind,
    DamagedShipping,
}

const REASONS: [RefundReason; 5] = [
    RefundReason::Defective,
    RefundReason::WrongItem,
    RefundReason::NotAsDescribed,
    RefundReason::ChangedMind,
    RefundReason::DamagedShipping,
];

/// A sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetailTransaction {
    /// The sale, a positive `i64`.
    pub transaction_id: u64,
    /// What is sold.
    pub product_id: Product,
    /// Where; the record's key.
    pub store_id: Store,
    /// Who buys, `CUST-0001` to `CUST-1000`.
    pub customer_id: CustomerId,
    /// What is paid, 20.00 to 1500.00.
    pub amount: Cents,
}

/// The refund of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetailRefund {
    /// The refund, a positive `i64` that is no sale's.
    pub refund_id: u64,
    /// The sale.
    pub original_transaction_id: u64,
    /// What was sold.
    pub product_id: Product,
    /// Where it was sold; the record's key.
    pub store_id: Store,
    /// Who bought it.
    pub customer_id: CustomerId,
    /// What is paid back, 50 to 100 % of the sale.
    pub refund_amount: Cents,
    /// Why.
    pub reason: RefundReason,
    /// Tick of the sale.
    #[serde(skip)]
    pub(crate) sale_tick: u64,
}

/// Makes sales, and refunds of those that were sent.
#[derive(Debug, Clone)]
pub(crate) struct Sales {
    content: Stream,
    refunds: Stream,
    stores: Population,
    refund_probability: f64,
    pub(crate) recent: RecentSales,
}

impl Sales {
    pub(crate) fn new(
        identity: &Identity,
        key_skew: f64,
        refund_probability: f64,
        recent: RecentSales,
    ) -> Self {
        Self {
            content: identity.root().stream("retail transaction"),
            refunds: identity.root().stream("retail refund"),
            stores: Population::new(3, key_skew),
            refund_probability,
            recent,
        }
    }

    /// The sale of a tick, a function of identity and tick: so a refund needs its sale's tick only.
    pub(crate) fn sale(&self, identity: &Identity, tick: u64) -> RetailTransaction {
        let mut draws = self.content.at(tick);
        RetailTransaction {
            transaction_id: identity.integer(tick, Series::Main),
            store_id: STORES[usize::from(self.stores.draw(&mut draws)) - 1],
            product_id: one_of(&mut draws, &PRODUCTS),
            customer_id: CustomerId(draws.random_range(1..=CUSTOMERS)),
            amount: Cents(draws.random_range(AMOUNTS)),
        }
    }

    /// Decides after the sent sale of `tick` whether a refund follows, and of which recent sale.
    pub(crate) fn refund(&mut self, identity: &Identity, tick: u64) -> Option<RetailRefund> {
        let mut draws = self.refunds.at(tick);
        let wanted = draws.random::<f64>() < self.refund_probability;
        let reason = one_of(&mut draws, &REASONS);
        if !wanted {
            return None;
        }
        let start = draws.random_range(0..self.recent.len());
        let sale_tick = self.recent.refund_from(start)?;
        let sale = self.sale(identity, sale_tick);
        Some(RetailRefund {
            refund_id: identity.integer(tick, Series::Refunds),
            original_transaction_id: sale.transaction_id,
            product_id: sale.product_id,
            store_id: sale.store_id,
            customer_id: sale.customer_id,
            refund_amount: Cents(draws.random_range(refund_amounts(sale.amount))),
            reason,
            sale_tick,
        })
    }
}

/// Refunds of a sale, 50 to 100 % of it, in whole cents inside that range.
fn refund_amounts(sale: Cents) -> std::ops::RangeInclusive<u32> {
    sale.0.div_ceil(2)..=sale.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_odd_amount_is_rounded_up_into_the_range() {
        assert_eq!(refund_amounts(Cents(2_001)), 1_001..=2_001);
        assert_eq!(refund_amounts(Cents(2_000)), 1_000..=2_000);
    }
}
