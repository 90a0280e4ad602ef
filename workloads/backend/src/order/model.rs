//! Orders, and the ways that they may go.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use ordermill_events::wood::WoodType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::{optional_whole, whole};
use crate::wood::wood_type_schema;

/// An order as a customer sends it. Members beyond these are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct NewOrder {
    /// The order; one that is told twice is registered once.
    #[schema(examples("0192f0c1-2d3e-7f00-8000-000000000001"))]
    pub order_id: Uuid,
    /// Who orders.
    #[schema(
        min_length = 1,
        max_length = 253,
        pattern = r"^[^\u0000]*$",
        examples("CUST-0001")
    )]
    pub customer_id: String,
    /// What is ordered.
    #[schema(schema_with = wood_type_schema)]
    pub wood_type: WoodType,
    /// How much.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1_000_000, examples(3))]
    pub quantity: i64,
    /// When it was ordered, RFC 3339.
    #[schema(value_type = String, format = DateTime, examples("2026-11-21T10:00:00Z"))]
    pub timestamp: Timestamp,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum OrderStatus {
    /// It waits for a worker.
    Registered,
    /// A worker has claimed it.
    Processing,
    /// Its wood was taken from the stock.
    Processed,
    /// Its wood was not taken.
    Failed,
}

impl OrderStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Registered,
        Self::Processing,
        Self::Processed,
        Self::Failed,
    ];

    /// The name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }

    /// Whether an order may go this way.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Registered, Self::Processing)
                | (
                    Self::Processing,
                    Self::Processed | Self::Failed | Self::Registered
                )
                | (Self::Failed, Self::Registered)
        )
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// No status has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of an order: use registered, processing, processed or failed")]
pub struct UnknownStatus(pub String);

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// From a string, as serde takes a map in the place of a name for a mistake of syntax.
impl TryFrom<String> for OrderStatus {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// An order that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Order {
    /// As it was sent.
    #[serde(flatten)]
    pub order: NewOrder,
    /// The `traceparent` of the request that registered it: what is done with it later belongs to that trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))]
    pub traceparent: Option<String>,
    /// How far it is.
    pub status: OrderStatus,
    /// How often it was claimed. A worker gives it back with the status, so that one whose lease is over changes nothing.
    pub attempts: i64,
    /// Who has claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Until when; then it is registered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_until: Option<Timestamp>,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its status changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A change that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    /// What the order is to become.
    #[schema(examples("processing"))]
    pub status: OrderStatus,
    /// Of a worker: the `attempts` of its claim. The change is refused where another claim came after it.
    #[serde(
        default,
        deserialize_with = "optional_whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 2_147_483_647, examples(1))]
    pub attempt: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_machine_is_that_of_the_wood_orders() {
        use OrderStatus::{Failed, Processed, Processing, Registered};
        let allowed = [
            (Registered, Processing),
            (Processing, Processed),
            (Processing, Failed),
            (Processing, Registered),
            (Failed, Registered),
        ];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                assert_eq!(
                    from.may_become(to),
                    allowed.contains(&(from, to)),
                    "{from} → {to}"
                );
            }
        }
    }

    #[test]
    fn a_status_is_read_by_its_name() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!(
            "lost".parse::<OrderStatus>(),
            Err(UnknownStatus("lost".to_owned()))
        );
    }
}
