//! Wood in stock: what is delivered, and what is taken.

use jiff::Timestamp;
use ordermill_events::wood::WoodType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::{optional_whole, whole};
use crate::wood::wood_type_schema;

/// A delivery as a supplier sends it. Members beyond these are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Delivery {
    /// The delivery; one that is told twice is added once.
    #[schema(examples("0192f0c1-2d3e-7f00-8000-000000000001"))]
    pub delivery_id: Uuid,
    /// Who delivers.
    #[schema(
        min_length = 1,
        max_length = 253,
        pattern = r"^[^\u0000]*$",
        examples("SUPP-001")
    )]
    pub supplier_id: String,
    /// What is delivered.
    #[schema(schema_with = wood_type_schema)]
    pub wood_type: WoodType,
    /// How much.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1_000_000, examples(10))]
    pub quantity: i64,
    /// When it was delivered, RFC 3339.
    #[schema(value_type = String, format = DateTime, examples("2026-11-21T10:00:00Z"))]
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
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1_000_000, examples(10))]
    pub quantity: i64,
    /// Of a worker: the number of its claim of the order that is the key. The decrease is refused where that claim or a
    /// later one has cancelled it.
    #[serde(default, deserialize_with = "optional_whole")]
    #[schema(minimum = 1, maximum = 2_147_483_647, examples(1))]
    pub attempt: Option<i64>,
}

/// A decrease that is not to be made any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// The number of the claim that cancels it; what an earlier one asks for is refused too.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 2_147_483_647, examples(1))]
    pub attempt: i64,
}
