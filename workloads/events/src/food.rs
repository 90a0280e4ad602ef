//! Food orders (model `FoodOrder`).

use rand::{Rng, RngExt};
use serde::{Serialize, Serializer};

use crate::identity::{Identity, Series};
use crate::money::Cents;
use crate::random::Stream;

/// Number of users who order food.
const USERS: u16 = 1_000;
/// Prices in cents.
const PRICES: std::ops::RangeInclusive<u32> = 500..=2_500;

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the words")]
pub enum Dish {
    Burger,
    Pizza,
    Sushi,
    Salad,
    Tacos,
    Ramen,
    Pasta,
    Sandwich,
    Curry,
    Fries,
}

const DISHES: [Dish; 10] = [
    Dish::Burger,
    Dish::Pizza,
    Dish::Sushi,
    Dish::Salad,
    Dish::Tacos,
    Dish::Ramen,
    Dish::Pasta,
    Dish::Sandwich,
    Dish::Curry,
    Dish::Fries,
];

/// What became of a food order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoodOrderStatus {
    /// The order stands.
    Placed,
    /// The order failed: what errorRate makes of it.
    Failed,
}

/// A user by 1-based number, shown as `user_1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u16);

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("user_{}", self.0))
    }
}

/// One line of a food order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoodItem {
    /// The dish; no two lines of an order have the same.
    pub item_id: Dish,
    /// How many, 1 to 3.
    pub quantity: u8,
    /// Price of one, 5.00 to 25.00.
    pub price: Cents,
}

/// An `OrderPlaced` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoodOrder {
    event_type: OrderPlaced,
    /// The order, `order_%06d`; the record's key.
    pub order_id: String,
    /// Who orders, `user_1` to `user_1000`.
    pub user_id: UserId,
    /// One to five different dishes.
    pub items: Vec<FoodItem>,
    /// Sum of quantity times price over the items.
    pub total_amount: Cents,
    /// Placed, or failed by errorRate.
    pub status: FoodOrderStatus,
}

/// The one value of `event_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum OrderPlaced {
    OrderPlaced,
}

/// Makes food orders.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    content: Stream,
    /// Orders sent so far: they number a bounded producer's orders.
    pub(crate) sent: u64,
}

impl Orders {
    pub(crate) fn new(identity: &Identity, sent: u64) -> Self {
        Self {
            content: identity.root().stream("food order"),
            sent,
        }
    }

    pub(crate) fn order(&self, identity: &Identity, tick: u64) -> FoodOrder {
        // A bounded producer's suppressed order leaves its number to the next one: exactly the share's numbers appear.
        let number = match identity.first_index() {
            Some(first_index) => first_index + self.sent + 1,
            None => identity.integer(tick, Series::Main),
        };
        let mut draws = self.content.at(tick);
        let user_id = UserId(draws.random_range(1..=USERS));
        let items = items(&mut draws);
        FoodOrder {
            event_type: OrderPlaced::OrderPlaced,
            order_id: format!("order_{number:06}"),
            user_id,
            total_amount: items.iter().map(|item| item.price * item.quantity).sum(),
            items,
            status: FoodOrderStatus::Placed,
        }
    }
}

/// One to five different dishes, by the first steps of a Fisher–Yates shuffle.
fn items(draws: &mut impl Rng) -> Vec<FoodItem> {
    let count = draws.random_range(1..=5_usize);
    let mut dishes = DISHES;
    (0..count)
        .map(|position| {
            dishes.swap(position, draws.random_range(position..DISHES.len()));
            FoodItem {
                item_id: dishes[position],
                quantity: draws.random_range(1..=3),
                price: Cents(draws.random_range(PRICES)),
            }
        })
        .collect()
}
