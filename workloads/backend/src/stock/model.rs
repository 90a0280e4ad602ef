//! Wood in stock: what is delivered, and what is taken.

use jiff::Timestamp;
use ordermill_events::wood::WoodType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::wood::wood_type_schema;

/// A delivery as a supplier sends it. Members beyond these are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Delivery {
    /// The delivery; one that is told twice is added once.
    pub delivery_id: Uuid,
    /// Who delivers.
    #[schema(min_length = 1, max_length = 253)]
    pub supplier_id: String,
    /// What is delivered.
    #[schema(schema_with = wood_type_schema)]
    pub wood_type: WoodType,
    /// How much.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: i64,
    /// When it was delivered, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
}

/// How much of a kind of wood is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stock {
    /// The kind.
    #[schema(schema_with = wood_type_schema)]
    pub wood_type: WoodType,
    /// How much; never below zero.
    #[schema(minimum = 0)]
    pub quantity: i64,
}

/// Wood that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decrease {
    /// What is taken.
    #[schema(schema_with = wood_type_schema)]
    pub wood_type: WoodType,
    /// How much.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: i64,
}
