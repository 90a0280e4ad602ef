//! Attributes and numbers of OTLP's JSON form, where 64-bit integers are strings.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Attributes by name. Strings, booleans, integers and doubles are what they are in JSON; arrays and maps nest.
pub type Attributes = BTreeMap<String, Value>;

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: AnyValue,
}

/// Exactly one is set; none of them is a null.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AnyValue {
    #[serde(rename = "stringValue")]
    text: Option<String>,
    #[serde(rename = "boolValue")]
    boolean: Option<bool>,
    #[serde(rename = "intValue", deserialize_with = "optional_integer")]
    integer: Option<i64>,
    #[serde(rename = "doubleValue")]
    double: Option<f64>,
    #[serde(rename = "arrayValue")]
    array: Option<ArrayValue>,
    #[serde(rename = "kvlistValue")]
    map: Option<KeyValues>,
    /// In base 64.
    #[serde(rename = "bytesValue")]
    bytes: Option<String>,
}

#[derive(Deserialize)]
struct ArrayValue {
    #[serde(default)]
    values: Vec<AnyValue>,
}

#[derive(Deserialize)]
struct KeyValues {
    #[serde(default)]
    values: Vec<KeyValue>,
}

impl From<AnyValue> for Value {
    fn from(any: AnyValue) -> Self {
        let array = |array: ArrayValue| array.values.into_iter().map(Self::from).collect();
        let map = |map: KeyValues| map.values.into_iter().map(pair).collect();
        any.text
            .or(any.bytes)
            .map(Self::String)
            .or(any.boolean.map(Self::Bool))
            .or(any.integer.map(Self::from))
            .or(any.double.map(Self::from))
            .or(any.array.map(array))
            .or(any.map.map(map))
            .unwrap_or(Self::Null)
    }
}

fn pair(entry: KeyValue) -> (String, Value) {
    (entry.key, entry.value.into())
}

pub(super) fn attributes<'de, D: Deserializer<'de>>(input: D) -> Result<Attributes, D::Error> {
    let mut attributes = Attributes::new();
    for entry in Vec::<KeyValue>::deserialize(input)? {
        let (key, value) = pair(entry);
        // OTLP wants each key once, and backends keep either value of two.
        if attributes.insert(key.clone(), value).is_some() {
            return Err(D::Error::custom(format!("the attribute {key} twice")));
        }
    }
    Ok(attributes)
}

pub(super) fn value<'de, D: Deserializer<'de>>(input: D) -> Result<Value, D::Error> {
    AnyValue::deserialize(input).map(Value::from)
}

/// A 64-bit integer as a number or as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
}

impl Integer {
    fn parse<T: TryFrom<i64>, E: serde::de::Error>(self) -> Result<T, E> {
        let number = match self {
            Self::Number(number) => number,
            Self::Text(text) => text.parse().map_err(E::custom)?,
        };
        T::try_from(number).map_err(|_| E::custom(format!("{number} is out of range")))
    }
}

pub(super) fn integer<'de, T: TryFrom<i64>, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    Integer::deserialize(input)?.parse()
}

pub(super) fn integers<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u64>, D::Error> {
    Vec::<Integer>::deserialize(input)?
        .into_iter()
        .map(Integer::parse)
        .collect()
}

pub(super) fn optional_integer<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<i64>, D::Error> {
    Option::<Integer>::deserialize(input)?
        .map(Integer::parse)
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Value {
        serde_json::from_value::<AnyValue>(value).unwrap().into()
    }

    #[test]
    fn every_kind_of_value_becomes_plain_json() {
        assert_eq!(read(json!({"stringValue": "x"})), json!("x"));
        assert_eq!(read(json!({"intValue": "-5"})), json!(-5));
        assert_eq!(read(json!({"intValue": 5})), json!(5));
        assert_eq!(read(json!({"boolValue": false})), json!(false));
        assert_eq!(read(json!({"doubleValue": 0.5})), json!(0.5));
        let nested = json!({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}});
        assert_eq!(read(nested), json!([1, "a"]));
        let map = json!({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": true}}]}});
        assert_eq!(read(map), json!({"k": true}));
        assert_eq!(read(json!({})), Value::Null);
        assert_eq!(read(json!({"arrayValue": {}})), json!([]));
    }

    #[test]
    fn an_attribute_that_is_there_twice_is_refused() {
        let one = json!({"key": "error.type", "value": {"stringValue": "500"}});
        assert!(attributes(json!([one])).is_ok());
        let error = attributes(json!([one, one])).unwrap_err();
        assert_eq!(error.to_string(), "the attribute error.type twice");
    }

    #[test]
    fn an_integer_that_is_none_is_refused() {
        assert!(serde_json::from_value::<AnyValue>(json!({"intValue": "five"})).is_err());
    }
}
