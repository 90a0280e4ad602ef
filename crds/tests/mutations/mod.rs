//! Every single rule of a schema, and the schema without it, or with it a little weaker or stronger.

use serde_json::{Map, Value, json};

/// What Kubernetes defines itself, as schema paths from the definition's root: the rules below them are its own. The rules at
/// these nodes are ours.
const EMBEDDED: [&str; 6] = [
    "/properties/spec/properties/workload/properties/affinity",
    "/properties/spec/properties/workload/properties/imagePullSecrets/items",
    "/properties/spec/properties/workload/properties/resources",
    "/properties/spec/properties/workload/properties/strategy",
    "/properties/spec/properties/workload/properties/tolerations/items",
    "/properties/spec/properties/workload/properties/topologySpreadConstraints/items",
];

/// Keywords that are no rules.
const DESCRIBING: [&str; 7] = [
    "description",
    "title",
    "example",
    "externalDocs",
    "default",
    "x-kubernetes-map-type",
    "nullable",
];

/// Formats that the API server does not enforce.
const UNENFORCED_FORMATS: [&str; 2] = ["double", "float"];

/// The keywords that bound something from below, and from above.
const LOWER: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const UPPER: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
/// How far a bound on a number that is not whole is moved.
const STEP: f64 = 0.2;

/// What must be noticed when a schema is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A rule is gone: a document outside of it is no longer refused as it was.
    Gone,
    /// A bound is one step wider: the document just outside of it is now inside.
    Wider,
    /// A bound is one step narrower: the document just inside of it is now outside.
    Narrower,
}

/// One rule of a schema.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// What the rule is, for people.
    pub rule: String,
    /// The field that it is about, as a path in a document; items of lists are `[0]`, keys of maps `key`.
    pub field: String,
    /// What must be noticed.
    pub effect: Effect,
    change: Change,
    node: String,
}

#[derive(Debug, Clone)]
enum Change {
    Remove(String),
    RemoveEntry(String, usize),
    Replace(String, Value),
    /// Unknown fields are kept instead of refused.
    AllowUnknown,
}

impl Mutation {
    /// The schema with this change.
    pub fn apply(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        let node = schema
            .pointer_mut(&self.node)
            .and_then(Value::as_object_mut)
            .unwrap();
        match &self.change {
            Change::Remove(keyword) => assert!(node.remove(keyword).is_some()),
            Change::RemoveEntry(keyword, index) => {
                node[keyword].as_array_mut().unwrap().remove(*index);
            }
            Change::Replace(keyword, value) => {
                node.insert(keyword.clone(), value.clone());
            }
            Change::AllowUnknown => {
                node.insert(
                    "x-kubernetes-preserve-unknown-fields".to_owned(),
                    json!(true),
                );
            }
        }
        schema
    }
}

/// A document's value at one field that a rule about kinds of values must refuse.
#[derive(Debug, Clone)]
pub struct Misfit {
    /// The field.
    pub field: String,
    /// The value that does not fit.
    pub value: Value,
    /// The field that the violation names.
    pub names: String,
    /// What it says.
    pub says: &'static str,
}

/// All rules of a schema in its `spec`, and misfits for those that follow from the schema alone: types, formats of numbers and
/// unknown fields.
pub fn rules(schema: &Value) -> (Vec<Mutation>, Vec<Misfit>) {
    let mut walk = Walk {
        schema,
        mutations: Vec::new(),
        misfits: Vec::new(),
    };
    for embedded in EMBEDDED {
        assert!(schema.pointer(embedded).is_some(), "there is no {embedded}");
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .position(|name| name == "spec");
    walk.add(
        "",
        "spec",
        "required",
        Change::RemoveEntry("required".to_owned(), required.unwrap()),
    );
    walk.node("/properties/spec", "spec");
    (walk.mutations, walk.misfits)
}

struct Walk<'a> {
    schema: &'a Value,
    mutations: Vec<Mutation>,
    misfits: Vec<Misfit>,
}

impl Walk<'_> {
    fn add(&mut self, node: &str, field: &str, rule: &str, change: Change) {
        let (rule, field, node) = (
            format!("{rule} of {field}"),
            field.to_owned(),
            node.to_owned(),
        );
        self.mutations.push(Mutation {
            rule,
            field,
            effect: Effect::Gone,
            change,
            node,
        });
    }

    /// A bound moved outwards and inwards.
    fn add_bound(&mut self, node: &str, field: &str, keyword: &str, value: &Value) {
        let is_lower = LOWER.contains(&keyword);
        for effect in [Effect::Wider, Effect::Narrower] {
            let up = is_lower == (effect == Effect::Narrower);
            let is_count = !matches!(keyword, "minimum" | "maximum");
            let is_whole = is_count
                || self
                    .schema
                    .pointer(node)
                    .is_some_and(|node| node["type"] == "integer");
            let moved = if is_whole {
                // schemars writes the bounds of whole numbers as `1.0`.
                let whole: i64 = format!("{:.0}", value.as_f64().unwrap()).parse().unwrap();
                json!(if up { whole + 1 } else { whole - 1 })
            } else {
                json!(value.as_f64().unwrap() + if up { STEP } else { -STEP })
            };
            let rule = format!("{keyword} of {field}, {effect:?}");
            let (field, node) = (field.to_owned(), node.to_owned());
            let change = Change::Replace(keyword.to_owned(), moved);
            self.mutations.push(Mutation {
                rule,
                field,
                effect,
                change,
                node,
            });
        }
    }

    fn node(&mut self, pointer: &str, field: &str) {
        let node = self
            .schema
            .pointer(pointer)
            .and_then(Value::as_object)
            .unwrap()
            .clone();
        for (keyword, value) in &node {
            self.keyword(pointer, field, keyword, value);
        }
        self.misfits_of(field, &node);
        let is_embedded = EMBEDDED.contains(&pointer);
        let is_closed = node.get("type").is_some_and(|kind| kind == "object")
            && !node.contains_key("additionalProperties")
            && !node.contains_key("x-kubernetes-preserve-unknown-fields");
        if is_closed && !is_embedded {
            self.add(pointer, field, "no unknown fields", Change::AllowUnknown);
            let unknown = format!("{field}.unheardOf");
            let value = json!("x");
            self.misfits.push(Misfit {
                field: unknown.clone(),
                value,
                names: unknown,
                says: "no known field",
            });
        }
        if is_embedded {
            return;
        }
        for name in node
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
        {
            self.node(
                &format!("{pointer}/properties/{name}"),
                &format!("{field}.{name}"),
            );
        }
        if node.contains_key("items") {
            self.node(&format!("{pointer}/items"), &format!("{field}[0]"));
        }
        if node
            .get("additionalProperties")
            .is_some_and(Value::is_object)
        {
            self.node(
                &format!("{pointer}/additionalProperties"),
                &format!("{field}.key"),
            );
        }
    }

    fn keyword(&mut self, pointer: &str, field: &str, keyword: &str, value: &Value) {
        match keyword {
            "properties" | "items" | "additionalProperties" | "x-kubernetes-list-map-keys" => {}
            _ if DESCRIBING.contains(&keyword) => {}
            "format"
                if value
                    .as_str()
                    .is_some_and(|format| UNENFORCED_FORMATS.contains(&format)) => {}
            "required" if EMBEDDED.contains(&pointer) => {}
            "required" | "x-kubernetes-validations" => {
                for (index, entry) in value.as_array().unwrap().iter().enumerate() {
                    let entry = entry.get("rule").unwrap_or(entry);
                    let change = Change::RemoveEntry(keyword.to_owned(), index);
                    self.add(pointer, field, &format!("{keyword} {entry}"), change);
                }
            }
            _ if LOWER.contains(&keyword) || UPPER.contains(&keyword) => {
                self.add_bound(pointer, field, keyword, value);
            }
            _ => self.add(pointer, field, keyword, Change::Remove(keyword.to_owned())),
        }
    }

    fn misfits_of(&mut self, field: &str, node: &Map<String, Value>) {
        let mut misfit = |value: Value, says: &'static str| {
            let (field, names) = (field.to_owned(), field.to_owned());
            self.misfits.push(Misfit {
                field,
                value,
                names,
                says,
            });
        };
        match node.get("type").and_then(Value::as_str) {
            Some("object") => misfit(json!("x"), "must be an object"),
            Some("array") => misfit(json!("x"), "must be a list"),
            Some("string") => misfit(json!(7), "must be a text"),
            Some("integer") => misfit(json!("1"), "must be a whole number"),
            Some("number") => misfit(json!("1"), "must be a number"),
            Some("boolean") => misfit(json!("true"), "must be true or false"),
            other => panic!("{field} has the type {other:?}"),
        }
        match node.get("format").and_then(Value::as_str) {
            Some("int32") => misfit(json!(2_147_483_648_i64), "32 bits"),
            Some("int64") => misfit(json!(9_223_372_036_854_775_808_u64), "64 bits"),
            _ => {}
        }
    }
}
