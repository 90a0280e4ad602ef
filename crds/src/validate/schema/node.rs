//! A schema, read once from its JSON into what the checks need.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::cel::Rule;

/// Why a schema cannot be applied here.
///
/// A schema with a keyword that is not understood is refused: ignoring it would accept what the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword that Kubernetes does not know, or that is not applied here.
    #[error("the schema at {path} has the keyword {keyword:?}, which is not understood")]
    Keyword {
        /// Where in the schema, as a JSON pointer.
        path: String,
        /// The keyword.
        keyword: String,
    },
    /// A keyword whose value has the wrong shape.
    #[error("the schema at {path} has a {keyword} of the wrong shape: {found}")]
    Shape {
        /// Where in the schema, as a JSON pointer.
        path: String,
        /// The keyword.
        keyword: String,
        /// Its value as JSON.
        found: String,
    },
    /// No schema at all where a definition must have one.
    #[error("the definition {name} has no schema for one of its versions")]
    Missing {
        /// The definition's name.
        name: String,
    },
}

/// The types of JSON that a schema can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntegerOrString,
}

/// What a schema says of fields that it does not name.
#[derive(Debug, Default)]
pub(super) enum Additional {
    /// Nothing: such a field is unknown.
    #[default]
    Unknown,
    /// Anything is kept.
    Any,
    /// This is a map with such values.
    Schema(Box<SchemaNode>),
}

/// A bound on a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

/// The least and the greatest count of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) least: Option<u64>,
    pub(super) greatest: Option<u64>,
}

/// A regular expression of the schema, compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    compiled: OnceLock<Result<Regex, regex::Error>>,
}

impl Pattern {
    /// The expression, unanchored as in the API server, whose RE2 has the syntax of this crate's.
    pub(super) fn regex(&self) -> Result<&Regex, &regex::Error> {
        self.compiled
            .get_or_init(|| Regex::new(&self.text))
            .as_ref()
    }
}

/// How the items of a list relate.
#[derive(Debug, Default)]
pub(super) enum ListKind {
    #[default]
    Atomic,
    /// `uniqueItems`, or `x-kubernetes-list-type: set`.
    Set,
    /// `x-kubernetes-list-type: map` with its keys.
    Map(Vec<String>),
}

/// One node of a schema.
#[derive(Debug, Default)]
pub(in crate::validate) struct SchemaNode {
    pub(super) kind: Option<ValueType>,
    pub(super) nullable: bool,
    pub(super) preserves_unknown: bool,
    pub(super) embedded_resource: bool,
    pub(super) properties: BTreeMap<String, SchemaNode>,
    pub(super) required: Vec<String>,
    pub(super) additional: Additional,
    pub(super) items: Option<Box<SchemaNode>>,
    pub(super) list_kind: ListKind,
    pub(super) default: Option<Value>,
    pub(super) allowed: Option<Vec<Value>>,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) format: Option<String>,
    pub(super) pattern: Option<Pattern>,
    pub(super) length: Count,
    pub(super) item_count: Count,
    pub(super) property_count: Count,
    pub(super) all_of: Vec<SchemaNode>,
    pub(super) any_of: Vec<SchemaNode>,
    pub(super) one_of: Vec<SchemaNode>,
    pub(super) not: Option<Box<SchemaNode>>,
    pub(super) rules: Vec<Rule>,
}

impl SchemaNode {
    /// Reads a schema.
    ///
    /// # Errors
    /// When it has a keyword that is not understood.
    pub(in crate::validate) fn read(schema: &Value) -> Result<Self, SchemaError> {
        Reader {
            schema,
            path: String::new(),
        }
        .node()
    }
}

struct Reader<'a> {
    schema: &'a Value,
    path: String,
}

impl<'a> Reader<'a> {
    fn node(&self) -> Result<SchemaNode, SchemaError> {
        let fields = self
            .schema
            .as_object()
            .ok_or_else(|| self.shape("schema", self.schema))?;
        let mut node = SchemaNode::default();
        for (keyword, value) in fields {
            self.keyword(&mut node, keyword, value)?;
        }
        // These two stand beside the keyword that they change, so they are read when it is known.
        if fields
            .get("exclusiveMinimum")
            .is_some_and(|flag| flag == true)
        {
            node.minimum = node.minimum.map(|bound| Bound {
                exclusive: true,
                ..bound
            });
        }
        if fields
            .get("exclusiveMaximum")
            .is_some_and(|flag| flag == true)
        {
            node.maximum = node.maximum.map(|bound| Bound {
                exclusive: true,
                ..bound
            });
        }
        if fields
            .get("x-kubernetes-int-or-string")
            .is_some_and(|flag| flag == true)
        {
            node.kind = Some(ValueType::IntegerOrString);
        }
        node.list_kind = self.list_kind(fields)?;
        node.rules = self.rules()?;
        Ok(node)
    }

    fn keyword(
        &self,
        node: &mut SchemaNode,
        keyword: &str,
        value: &'a Value,
    ) -> Result<(), SchemaError> {
        let wrong = || self.shape(keyword, value);
        match keyword {
            "description"
            | "title"
            | "example"
            | "externalDocs"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "uniqueItems"
            | "x-kubernetes-int-or-string"
            | "x-kubernetes-list-type"
            | "x-kubernetes-list-map-keys"
            | "x-kubernetes-map-type"
            | "x-kubernetes-validations" => {}
            "type" => node.kind = Some(value_type(value).ok_or_else(wrong)?),
            "nullable" => node.nullable = value.as_bool().ok_or_else(wrong)?,
            "x-kubernetes-preserve-unknown-fields" => {
                node.preserves_unknown = value.as_bool().ok_or_else(wrong)?;
            }
            "x-kubernetes-embedded-resource" => {
                node.embedded_resource = value.as_bool().ok_or_else(wrong)?;
            }
            "properties" => {
                let properties = value.as_object().ok_or_else(wrong)?;
                for (name, property) in properties {
                    let reader = self.inner(property, &["properties", name]);
                    node.properties.insert(name.clone(), reader.node()?);
                }
            }
            "required" => node.required = texts(value).ok_or_else(wrong)?,
            "additionalProperties" => {
                node.additional = match value {
                    Value::Bool(true) => Additional::Any,
                    Value::Bool(false) => Additional::Unknown,
                    _ => Additional::Schema(Box::new(self.inner(value, &[keyword]).node()?)),
                };
            }
            "items" => node.items = Some(Box::new(self.inner(value, &[keyword]).node()?)),
            "default" => node.default = Some(value.clone()),
            "enum" => node.allowed = Some(value.as_array().ok_or_else(wrong)?.clone()),
            "minimum" => node.minimum = Some(bound(value).ok_or_else(wrong)?),
            "maximum" => node.maximum = Some(bound(value).ok_or_else(wrong)?),
            "multipleOf" => node.multiple_of = Some(value.as_f64().ok_or_else(wrong)?),
            "format" => node.format = Some(value.as_str().ok_or_else(wrong)?.to_owned()),
            "pattern" => {
                let text = value.as_str().ok_or_else(wrong)?.to_owned();
                node.pattern = Some(Pattern {
                    text,
                    compiled: OnceLock::new(),
                });
            }
            "minLength" => node.length.least = Some(value.as_u64().ok_or_else(wrong)?),
            "maxLength" => node.length.greatest = Some(value.as_u64().ok_or_else(wrong)?),
            "minItems" => node.item_count.least = Some(value.as_u64().ok_or_else(wrong)?),
            "maxItems" => node.item_count.greatest = Some(value.as_u64().ok_or_else(wrong)?),
            "minProperties" => node.property_count.least = Some(value.as_u64().ok_or_else(wrong)?),
            "maxProperties" => {
                node.property_count.greatest = Some(value.as_u64().ok_or_else(wrong)?);
            }
            "allOf" => node.all_of = self.branches(keyword, value)?,
            "anyOf" => node.any_of = self.branches(keyword, value)?,
            "oneOf" => node.one_of = self.branches(keyword, value)?,
            "not" => node.not = Some(Box::new(self.inner(value, &[keyword]).node()?)),
            _ => {
                let (path, keyword) = (self.path.clone(), keyword.to_owned());
                return Err(SchemaError::Keyword { path, keyword });
            }
        }
        Ok(())
    }

    fn branches(&self, keyword: &str, value: &'a Value) -> Result<Vec<SchemaNode>, SchemaError> {
        let branches = value.as_array().ok_or_else(|| self.shape(keyword, value))?;
        let read = |(index, branch): (usize, &'a Value)| {
            self.inner(branch, &[keyword, &index.to_string()]).node()
        };
        branches.iter().enumerate().map(read).collect()
    }

    fn list_kind(&self, fields: &'a Map<String, Value>) -> Result<ListKind, SchemaError> {
        let unique = fields.get("uniqueItems").is_some_and(|flag| flag == true);
        let keyword = "x-kubernetes-list-type";
        match fields.get(keyword).map(|value| (value, value.as_str())) {
            None | Some((_, Some("atomic"))) if unique => Ok(ListKind::Set),
            None | Some((_, Some("atomic"))) => Ok(ListKind::Atomic),
            Some((_, Some("set"))) => Ok(ListKind::Set),
            Some((_, Some("map"))) => {
                let keyword = "x-kubernetes-list-map-keys";
                let keys = fields.get(keyword).unwrap_or(&Value::Null);
                texts(keys)
                    .map(ListKind::Map)
                    .ok_or_else(|| self.shape(keyword, keys))
            }
            Some((value, _)) => Err(self.shape(keyword, value)),
        }
    }

    fn rules(&self) -> Result<Vec<Rule>, SchemaError> {
        let keyword = "x-kubernetes-validations";
        let Some(rules) = self.schema.get(keyword) else {
            return Ok(Vec::new());
        };
        let rules = rules.as_array().ok_or_else(|| self.shape(keyword, rules))?;
        let read = |rule| Rule::read(self.schema, rule).ok_or_else(|| self.shape(keyword, rule));
        rules.iter().map(read).collect()
    }

    fn inner(&self, schema: &'a Value, steps: &[&str]) -> Self {
        let path = steps.iter().fold(self.path.clone(), |path, step| {
            format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"))
        });
        Self { schema, path }
    }

    fn shape(&self, keyword: &str, found: &Value) -> SchemaError {
        let (path, keyword) = (self.path.clone(), keyword.to_owned());
        SchemaError::Shape {
            path,
            keyword,
            found: found.to_string(),
        }
    }
}

fn value_type(value: &Value) -> Option<ValueType> {
    Some(match value.as_str()? {
        "object" => ValueType::Object,
        "array" => ValueType::Array,
        "string" => ValueType::String,
        "integer" => ValueType::Integer,
        "number" => ValueType::Number,
        "boolean" => ValueType::Boolean,
        _ => return None,
    })
}

fn bound(value: &Value) -> Option<Bound> {
    value.as_f64().map(|value| Bound {
        value,
        exclusive: false,
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|text| text.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_keyword_is_refused_with_its_place() {
        let schema =
            json!({"type": "object", "properties": {"a/b": {"type": "string", "contains": 1}}});
        let error = SchemaNode::read(&schema).unwrap_err();
        assert_eq!(
            error,
            SchemaError::Keyword {
                path: "/properties/a~1b".to_owned(),
                keyword: "contains".to_owned()
            }
        );
    }

    #[test]
    fn a_keyword_of_the_wrong_shape_is_refused() {
        for schema in [
            json!({"type": "text"}),
            json!({"required": "a"}),
            json!({"maxLength": -1}),
            json!({"x-kubernetes-list-type": "map"}),
            json!({"x-kubernetes-validations": [{"message": "no rule"}]}),
            json!([]),
        ] {
            let error = SchemaNode::read(&schema).unwrap_err();
            assert!(matches!(error, SchemaError::Shape { .. }), "{error}");
        }
    }
}
