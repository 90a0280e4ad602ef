//! What the API server does to an object before it checks it.

use serde_json::{Map, Number, Value};

use super::finding::Finding;
use super::node::{Additional, SchemaNode, ValueType};
use crate::validate::document::whole;
use crate::validate::path::FieldPath;

/// The fields of a whole object that Kubernetes itself owns, whatever the schema says.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fields that are known at the top although the schema does not name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::validate) enum Extra {
    /// The value is a whole object.
    ObjectFields,
    /// The value is a part of one.
    None,
}

/// The value as the API server would store it: without unknown fields, which become findings (kubectl asks for strict
/// checking); without nulls, where a field cannot be null; with defaults; with numbers in the form of their type.
pub(in crate::validate) fn normalize(
    schema: &SchemaNode,
    value: &Value,
    extra: Extra,
    findings: &mut Vec<Finding>,
) -> Value {
    let is_object = extra == Extra::ObjectFields;
    Normalizer { findings }.value(schema, value, &FieldPath::root(), is_object)
}

struct Normalizer<'a> {
    findings: &'a mut Vec<Finding>,
}

impl Normalizer<'_> {
    fn value(
        &mut self,
        schema: &SchemaNode,
        value: &Value,
        path: &FieldPath,
        is_object: bool,
    ) -> Value {
        match value {
            Value::Object(fields)
                if schema.kind == Some(ValueType::Object) || schema.preserves_unknown =>
            {
                let is_object = is_object || schema.embedded_resource;
                Value::Object(self.fields(schema, fields, path, is_object))
            }
            Value::Array(items) => match &schema.items {
                Some(schema) => items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.value(schema, item, &path.item(index), false))
                    .collect(),
                None => value.clone(),
            },
            Value::Number(number) => Value::Number(number_of(schema.kind, number)),
            _ => value.clone(),
        }
    }

    fn fields(
        &mut self,
        schema: &SchemaNode,
        fields: &Map<String, Value>,
        path: &FieldPath,
        is_object: bool,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in fields {
            let inner = schema.properties.get(name).or(match &schema.additional {
                Additional::Schema(schema) => Some(schema),
                Additional::Any | Additional::Unknown => None,
            });
            if let Some(inner) = inner {
                // The API server drops a null where a field cannot be null, so an empty `errorRate:` is no error.
                if !value.is_null() || inner.nullable {
                    kept.insert(
                        name.clone(),
                        self.value(inner, value, &path.field(name), false),
                    );
                }
            } else if schema.preserves_unknown
                || matches!(schema.additional, Additional::Any)
                || (is_object && OBJECT_FIELDS.contains(&name.as_str()))
            {
                kept.insert(name.clone(), value.clone());
            } else {
                let objects = if is_object { &OBJECT_FIELDS[..] } else { &[] };
                let known = schema
                    .properties
                    .keys()
                    .map(String::as_str)
                    .chain(objects.iter().copied());
                self.findings
                    .push(Finding::unknown(path.field(name), name, known));
            }
        }
        for (name, inner) in &schema.properties {
            if let Some(default) = &inner.default
                && !kept.contains_key(name)
            {
                kept.insert(
                    name.clone(),
                    self.value(inner, default, &path.field(name), false),
                );
            }
        }
        kept
    }
}

/// A field of type `number` is a double for CEL although it is written `1`, and `1.0` is an integer where one is wanted.
fn number_of(kind: Option<ValueType>, number: &Number) -> Number {
    let float = number.as_f64();
    match kind {
        Some(ValueType::Number) => float.and_then(Number::from_f64),
        Some(ValueType::Integer | ValueType::IntegerOrString) if number.is_f64() => {
            float.and_then(whole).map(Number::from)
        }
        _ => None,
    }
    .unwrap_or_else(|| number.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normalized(schema: &Value, value: &Value) -> (Value, Vec<String>) {
        let schema = SchemaNode::read(schema).unwrap();
        let mut findings = Vec::new();
        let value = normalize(&schema, value, Extra::None, &mut findings);
        let findings = findings
            .iter()
            .map(|finding| format!("{} {}", finding.path, finding.problem));
        (value, findings.collect())
    }

    #[test]
    fn defaults_fill_what_is_absent_or_null() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "string"},
            "c": {"type": "string", "nullable": true, "default": "x"},
            "d": {"type": "object", "default": {}, "properties": {"e": {"type": "number", "default": 2}}},
        }});
        let (value, findings) = normalized(&schema, &json!({"a": null, "b": null, "c": null}));
        assert_eq!(value, json!({"a": 1, "c": null, "d": {"e": 2.0}}));
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn unknown_fields_are_found_at_every_depth() {
        let item = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let schema = json!({"type": "object", "properties": {
            "list": {"type": "array", "items": item},
            "map": {"type": "object", "additionalProperties": item},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "any": {"type": "object", "additionalProperties": true},
        }});
        let value = json!({
            "list": [{"nam": "x"}], "map": {"k": {"name": "x", "q": 1}}, "free": {"y": {"z": 1}}, "any": {"y": 1},
            "lists": [],
        });
        let (kept, mut findings) = normalized(&schema, &value);
        findings.sort();
        assert_eq!(
            kept,
            json!({"list": [{}], "map": {"k": {"name": "x"}}, "free": {"y": {"z": 1}}, "any": {"y": 1}})
        );
        assert_eq!(
            findings,
            [
                "list[0].nam is no known field: did you mean name?",
                "lists is no known field: did you mean list?",
                "map.k.q is no known field: allowed here are name",
            ]
        );
    }

    #[test]
    fn numbers_take_the_form_of_their_type() {
        let schema = json!({"type": "object", "properties": {
            "share": {"type": "number"}, "count": {"type": "integer"},
        }});
        let (value, _) = normalized(&schema, &json!({"share": 1, "count": 2.0}));
        assert!(value["share"].is_f64());
        assert!(value["count"].is_i64());
        let (value, _) = normalized(&schema, &json!({"count": 2.5}));
        assert_eq!(value, json!({"count": 2.5}));
    }
}
