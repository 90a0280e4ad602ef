//! The table of rules in `tests/rules/`: for every rule of the definitions, documents just inside and just outside it.
//!
//! `<kind>.yaml` has the kind, a good document of it (`base`) and rules; the rules of `common.yaml` hold for every kind.
//! Each rule has
//! - `rule`: what it says, for people;
//! - `field`: the field that its values are put into, such as `spec.topics.orders.name`; or none, and each case says what
//!   it sets;
//! - `accept`: values just inside; without `field`, objects with `set` (values by field path) and `remove` (field paths);
//! - `reject`: objects with `value` (without `field`, `set` and `remove`), `says` (a text, or several, that violations must
//!   contain) and `names` (the field that those violations must name; by default `field`);
//! - `with`: values by field path that every case sets first;
//! - `each`: a list of variables; the rule holds for each of them, with `{variable}` replaced everywhere. An entry may have
//!   a `with` of its own.
//!
//! Values too long to write are `{$repeat: x, $times: 249}` (a text, between `$before` and `$after`), `{$list: …, $times: 3}`
//! and `{$entries: …, $times: 3}` (an object); `{n}` in them is the number of the item.

use std::path::Path;

use ordermill_crds::validate::{FieldPath, Segment};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One document and what becomes of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The rule that it stands for.
    pub rule: String,
    /// The kind of the document.
    pub kind: String,
    /// The document.
    pub object: Value,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a document.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It keeps every rule.
    Accept,
    /// It breaks the rule.
    Reject {
        /// The field that a violation must name.
        names: String,
        /// What violations of that field must say.
        says: Vec<String>,
    },
}

/// A kind with a good document of it.
#[derive(Debug, Clone)]
pub struct Base {
    /// The kind.
    pub kind: String,
    /// The good document.
    pub object: Value,
}

/// The whole table.
#[derive(Debug, Default)]
pub struct Table {
    /// The kinds.
    pub bases: Vec<Base>,
    /// All cases of all kinds.
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    base: Option<Value>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(rename = "rule")]
    title: String,
    #[serde(default)]
    each: Vec<Map<String, Value>>,
    #[serde(default)]
    with: Map<String, Value>,
    field: Option<String>,
    #[serde(default)]
    accept: Vec<Value>,
    #[serde(default)]
    reject: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edits {
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    names: Option<String>,
    #[serde(default)]
    says: Says,
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Says {
    #[default]
    Nothing,
    One(String),
    Several(Vec<String>),
}

impl Table {
    /// Reads the table in a folder.
    ///
    /// # Panics
    /// When a file is not as described above: the table is part of the tests.
    pub fn read(folder: &Path) -> Self {
        let mut table = Self::default();
        let mut common = Vec::new();
        let mut own = Vec::new();
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: RuleFile = serde_yaml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let Some(object) = file.base else {
                common.extend(file.rules);
                continue;
            };
            let kind = object["kind"].as_str().unwrap().to_owned();
            own.push((kind.clone(), file.rules));
            table.bases.push(Base { kind, object });
        }
        for base in &table.bases {
            let rules = own
                .iter()
                .filter(|(kind, _)| *kind == base.kind)
                .flat_map(|(_, rules)| rules);
            for rule in common.iter().chain(rules) {
                table.cases.extend(cases(base, rule));
            }
        }
        table
    }
}

fn cases(base: &Base, rule: &Rule) -> Vec<Case> {
    let once = [Map::new()];
    let each = if rule.each.is_empty() {
        &once[..]
    } else {
        &rule.each
    };
    let mut cases = Vec::new();
    for variables in each {
        let text = |text: &str| substitute(text, variables);
        let mut object = base.object.clone();
        let own_with = variables.get("with").and_then(Value::as_object);
        for (path, value) in rule.with.iter().chain(own_with.into_iter().flatten()) {
            set(&mut object, &text(path), expand(value, variables));
        }
        let field = rule.field.as_deref().map(text);
        let case = |value: &Value, is_accept: bool| {
            let context = || format!("rule {:?} of {}: {value}", rule.title, base.kind);
            let mut object = object.clone();
            let edits: Edits = match (&field, is_accept) {
                (Some(field), true) => {
                    set(&mut object, field, expand(value, variables));
                    serde_json::from_value(Value::Object(Map::new())).unwrap()
                }
                _ => serde_json::from_value(value.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}", context())),
            };
            if let (Some(field), Some(value)) = (&field, &edits.value) {
                set(&mut object, field, expand(value, variables));
            }
            for (path, value) in &edits.set {
                set(&mut object, &text(path), expand(value, variables));
            }
            for path in &edits.remove {
                remove(&mut object, &text(path));
            }
            let verdict = if is_accept {
                Verdict::Accept
            } else {
                let names = edits.names.as_deref().map(text).or_else(|| field.clone());
                let says = match edits.says {
                    Says::Nothing => panic!("{} says nothing", context()),
                    Says::One(says) => vec![says],
                    Says::Several(says) => says,
                };
                Verdict::Reject {
                    names: names.unwrap_or_else(|| panic!("{} names no field", context())),
                    says: says.iter().map(|says| text(says)).collect(),
                }
            };
            Case {
                rule: text(&rule.title),
                kind: base.kind.clone(),
                object,
                verdict,
            }
        };
        cases.extend(rule.accept.iter().map(|value| case(value, true)));
        cases.extend(rule.reject.iter().map(|value| case(value, false)));
    }
    cases
}

fn substitute(text: &str, variables: &Map<String, Value>) -> String {
    variables
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
}

/// The value with variables replaced and long values written out.
fn expand(value: &Value, variables: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => Value::String(substitute(text, variables)),
        Value::Array(items) => items.iter().map(|item| expand(item, variables)).collect(),
        Value::Object(fields) if fields.contains_key("$times") => {
            let times = fields["$times"].as_u64().unwrap();
            let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            let numbered = |value: &Value, number: u64| {
                let mut variables = variables.clone();
                variables.insert("n".to_owned(), Value::String(number.to_string()));
                expand(value, &variables)
            };
            if let Some(item) = fields.get("$list") {
                (0..times).map(|number| numbered(item, number)).collect()
            } else if let Some(entry) = fields.get("$entries") {
                (0..times)
                    .map(|number| (format!("key{number}"), numbered(entry, number)))
                    .collect()
            } else {
                let middle = text("$repeat").repeat(usize::try_from(times).unwrap());
                Value::String(format!("{}{middle}{}", text("$before"), text("$after")))
            }
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (substitute(name, variables), expand(value, variables)))
            .collect(),
        _ => value.clone(),
    }
}

/// Puts a value at a field path, making the objects and lists on the way.
pub fn set(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for segment in FieldPath::parse(path).segments() {
        place = match segment {
            Segment::Key(key) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place
                    .as_object_mut()
                    .unwrap()
                    .entry(key.clone())
                    .or_insert(Value::Null)
            }
            Segment::Index(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let items = place.as_array_mut().unwrap();
                items.resize(items.len().max(index + 1), Value::Null);
                &mut items[*index]
            }
        };
    }
    *place = value;
}

fn remove(object: &mut Value, path: &str) {
    let path = FieldPath::parse(path);
    let Some((Segment::Key(last), above)) = path.segments().split_last() else {
        panic!("only fields can be removed, not {path}");
    };
    let mut place = object;
    for segment in above {
        place = match segment {
            Segment::Key(key) => &mut place[key.as_str()],
            Segment::Index(index) => &mut place[*index],
        };
    }
    let removed = place.as_object_mut().and_then(|fields| fields.remove(last));
    assert!(removed.is_some(), "there is no {path} to remove");
}
