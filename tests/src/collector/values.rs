//! Attributes and numbers of OTLP's JSON form, where 64-bit integers are strings.

use std::collections::BTreeMap;

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
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    #[serde(deserialize_with = "optional_integer")]
    int_value: Option<i64>,
    double_value: Option<f64>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValues>,
    bytes_value: Option<String>,
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
        any.string_value
            .or(any.bytes_value)
            .map(Self::String)
            .or(any.bool_value.map(Self::Bool))
            .or(any.int_value.map(Self::from))
            .or(any.double_value.map(Self::from))
            .or(any.array_value.map(array))
            .or(any.kvlist_value.map(map))
            .unwrap_or(Self::Null)
    }
}

fn pair(entry: KeyValue) -> (String, Value) {
    (entry.key, entry.value.into())
}

pub(super) fn attributes<'de, D: Deserializer<'de>>(input: D) -> Result<Attributes, D::Error> {
    let entries = Vec::<KeyValue>::deserialize(input)?;
    Ok(entries.into_iter().map(pair).collect())
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
    fn an_integer_that_is_none_is_refused() {
        assert!(serde_json::from_value::<AnyValue>(json!({"intValue": "five"})).is_err());
    }
}
