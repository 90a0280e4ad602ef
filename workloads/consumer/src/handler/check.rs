//! `OrderCheck` and `StockCheck`: what is valid is posted to an API, once by its id.

use std::marker::PhantomData;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use ordermill_events::wood::WoodType;
use ordermill_runtime::api::{ApiClient, Call, CallError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::HandleError;
use crate::incoming::Incoming;

/// Longest name of a customer or a supplier that the APIs take.
const NAME_MAX_LENGTH: usize = 253;

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidMessage {
    /// A member is missing or has a value that it must not have.
    #[error("{path}: {source}")]
    Member {
        /// Where, such as `quantity`.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is no JSON object.
    #[error("it is no JSON object: {0}")]
    NoObject(serde_json::Error),
}

/// A wood order, as the order API takes it. Members beyond these are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WoodOrder {
    order_id: Uuid,
    customer_id: Name,
    wood_type: WoodType,
    quantity: Quantity<10>,
    timestamp: Timestamp,
}

/// A wood delivery, as the stock API takes it. Members beyond these are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WoodDelivery {
    delivery_id: Uuid,
    supplier_id: Name,
    wood_type: WoodType,
    quantity: Quantity<100>,
    timestamp: Timestamp,
}

/// Who orders or delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if (1..=NAME_MAX_LENGTH).contains(&name.chars().count()) {
            Ok(Self(name))
        } else {
            Err(D::Error::custom(format_args!(
                "must have 1 to {NAME_MAX_LENGTH} characters"
            )))
        }
    }
}

/// How much: a whole number from 1 to `MAXIMUM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Quantity<const MAXIMUM: i64>(i64);

impl<'de, const MAXIMUM: i64> Deserialize<'de> for Quantity<MAXIMUM> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quantity = i64::deserialize(deserializer)?;
        if (1..=MAXIMUM).contains(&quantity) {
            Ok(Self(quantity))
        } else {
            Err(D::Error::custom(format_args!(
                "{quantity} is not from 1 to {MAXIMUM}"
            )))
        }
    }
}

/// What is checked and posted.
pub(crate) trait Checked: DeserializeOwned + Serialize + Sync {
    /// Where it is posted to.
    const ROUTE: &'static str;
}

impl Checked for WoodOrder {
    const ROUTE: &'static str = "/orders";
}

impl Checked for WoodDelivery {
    const ROUTE: &'static str = "/stocks";
}

/// Reads what a message holds.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, InvalidMessage> {
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let source = error.into_inner();
        match source.classify() {
            serde_json::error::Category::Data if path != "." => {
                InvalidMessage::Member { path, source }
            }
            _ => InvalidMessage::NoObject(source),
        }
    })?;
    deserializer.end().map_err(InvalidMessage::NoObject)?;
    Ok(value)
}

/// Posts what is valid.
#[derive(Debug)]
pub(crate) struct Check<T> {
    client: ApiClient,
    checked: PhantomData<fn() -> T>,
}

impl<T: Checked> Check<T> {
    pub(crate) const fn new(client: ApiClient) -> Self {
        Self {
            client,
            checked: PhantomData,
        }
    }

    pub(crate) async fn handle(&self, incoming: &Incoming) -> Result<(), HandleError> {
        let value: T = read(incoming.payload())?;
        let mut call = Call::new(Method::POST, T::ROUTE, T::ROUTE.to_owned(), incoming.trace)
            .json(&value)
            .map_err(CallError::unspeakable)?;
        call.injected.clone_from(&incoming.upstream);
        let answer = self.client.call(&call).await?;
        match answer.status {
            StatusCode::CREATED => Ok(()),
            // It was delivered twice, and counts once.
            StatusCode::OK => {
                tracing::debug!(
                    trace_id = %incoming.trace.trace_id(),
                    key = incoming.key(),
                    "the API has it already"
                );
                Ok(())
            }
            status if answer.refuses_the_request() => Err(HandleError::Refused {
                status,
                detail: answer.detail(),
            }),
            status => Err(HandleError::Unexpected {
                status,
                detail: answer.detail(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_config::full_error;
    use serde_json::{Value, json};

    use super::*;

    fn order() -> Value {
        json!({
            "order_id": "0192f0c1-2d3e-7f00-8000-000000000001", "customer_id": "CUST-0001",
            "wood_type": "oak", "quantity": 10, "timestamp": "2026-11-22T10:00:00Z",
        })
    }

    fn with(member: &str, value: Value) -> Vec<u8> {
        let mut order = order();
        order[member] = value;
        order.to_string().into_bytes()
    }

    #[test]
    fn a_valid_order_is_taken_and_padding_is_left_out() {
        let read: WoodOrder = read(&with("padding", json!("xxxx"))).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), order());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (member, value, told) in [
            ("quantity", json!(0), "quantity: 0 is not from 1 to 10"),
            ("quantity", json!(11), "quantity: 11 is not from 1 to 10"),
            (
                "quantity",
                json!(1.5),
                "quantity: invalid type: floating point `1.5`, expected i64",
            ),
            (
                "wood_type",
                json!("teak"),
                "wood_type: \"teak\" is no kind of wood: use oak, maple, birch, elm or pine",
            ),
            (
                "wood_type",
                json!({}),
                "wood_type: invalid type: map, expected a string",
            ),
            (
                "customer_id",
                json!(""),
                "customer_id: must have 1 to 253 characters",
            ),
            ("order_id", json!("7"), "order_id: UUID parsing failed"),
            ("timestamp", json!("noon"), "timestamp: failed to parse"),
        ] {
            let error = read::<WoodOrder>(&with(member, value)).unwrap_err();
            let text = full_error(&error);
            assert!(text.starts_with(told), "{text}");
        }
        let mut short = order();
        short.as_object_mut().unwrap().remove("quantity");
        let error = read::<WoodOrder>(short.to_string().as_bytes()).unwrap_err();
        assert!(full_error(&error).contains("missing field `quantity`"));
        for broken in ["", "[]", "{", "null", "{\"order_id\": \"0192f0"] {
            assert!(read::<WoodOrder>(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(read::<WoodOrder>(format!("{} {}", order(), order()).as_bytes()).is_err());
    }

    #[test]
    fn a_delivery_may_be_ten_times_as_large() {
        let delivery = |quantity| {
            json!({
                "delivery_id": "0192f0c1-2d3e-7f00-8000-000000000001", "supplier_id": "SUPP-001",
                "wood_type": "pine", "quantity": quantity, "timestamp": "2026-11-22T10:00:00Z",
            })
            .to_string()
        };
        assert!(read::<WoodDelivery>(delivery(100).as_bytes()).is_ok());
        assert!(read::<WoodDelivery>(delivery(101).as_bytes()).is_err());
    }
}
