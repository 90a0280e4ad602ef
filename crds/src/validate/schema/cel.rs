//! The CEL rules of a schema (`x-kubernetes-validations`), evaluated by `kube-cel`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use kube_cel::{CompiledSchema, ErrorKind, compile_schema};
use serde_json::{Map, Value, json};

use super::finding::{Finding, Weight};
use crate::validate::path::{FieldPath, Segment};

const KEYWORD: &str = "x-kubernetes-validations";

/// One rule, compiled when it is first needed.
pub(super) struct Rule {
    reads: Reads,
    /// The schema of what it reads, without any other rule.
    schema: Value,
    compiled: OnceLock<CompiledSchema>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Rule")
            .field(&self.schema[KEYWORD][0]["rule"])
            .finish()
    }
}

/// What of its value a rule looks at.
#[derive(Debug, PartialEq, Eq)]
enum Reads {
    /// Only these fields: `self` stands nowhere but before one of them.
    Fields(BTreeSet<String>),
    Everything,
}

impl Rule {
    /// Reads one entry of the keyword in `schema`; none where it has no `rule`.
    pub(super) fn read(schema: &Value, rule: &Value) -> Option<Self> {
        let reads = match rule.get("messageExpression").and_then(Value::as_str) {
            Some(message) => reads(rule.get("rule")?.as_str()?).and(reads(message)),
            None => reads(rule.get("rule")?.as_str()?),
        };
        let mut own = Map::new();
        for (keyword, value) in schema.as_object()? {
            let kept = match (keyword.as_str(), value) {
                (KEYWORD | "description" | "default", _) => continue,
                ("properties", Value::Object(properties)) => properties
                    .iter()
                    .filter(|(name, _)| reads.sees(name))
                    .map(|(name, property)| (name.clone(), without_rules(property)))
                    .collect(),
                _ => without_rules(value),
            };
            own.insert(keyword.clone(), kept);
        }
        own.insert(KEYWORD.to_owned(), json!([rule]));
        Some(Self {
            reads,
            schema: Value::Object(own),
            compiled: OnceLock::new(),
        })
    }

    /// Evaluates the rule on a normalized value. `findings` are those on the value so far, whose paths begin with `path`:
    /// a rule that reads what is of the wrong kind is not asked.
    pub(super) fn check(
        &self,
        value: &Value,
        path: &FieldPath,
        findings: &[Finding],
    ) -> Vec<Finding> {
        let depth = path.segments().len();
        let concerned = || {
            findings
                .iter()
                .filter(|finding| self.reads(finding.path.segments().get(depth)))
        };
        if concerned().any(|finding| finding.weight == Weight::Blocking) {
            return Vec::new();
        }
        let compiled = self.compiled.get_or_init(|| compile_schema(&self.schema));
        let Err(errors) = kube_cel::validate_compiled(compiled, &self.seen_of(value), None) else {
            return Vec::new();
        };
        errors
            .into_iter()
            // `duration(self)` on what is no duration fails, but its pattern has said so already.
            .filter(|error| {
                error.kind != ErrorKind::EvaluationError || concerned().next().is_none()
            })
            .map(|error| {
                let inner = FieldPath::parse(&error.field_path);
                let problem = match error.kind {
                    ErrorKind::ValidationFailure => error.message,
                    _ => format!(
                        "the rule `{}` cannot be applied: {}",
                        error.rule, error.message
                    ),
                };
                let found = value_at(value, &inner).unwrap_or(&Value::Null);
                let finding = Finding::on(&path.join(&inner), found, problem);
                Finding {
                    found: finding.found.filter(|_| !found.is_null()),
                    ..finding
                }
            })
            .collect()
    }

    fn reads(&self, step: Option<&Segment>) -> bool {
        match step {
            Some(Segment::Key(name)) => self.reads.sees(name),
            _ => true,
        }
    }

    /// The part of a value that the rule looks at: the rest need not be turned into CEL's types.
    fn seen_of<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        match (&self.reads, value) {
            (Reads::Fields(_), Value::Object(fields)) => Cow::Owned(
                fields
                    .iter()
                    .filter(|(name, _)| self.reads.sees(name))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ),
            _ => Cow::Borrowed(value),
        }
    }
}

impl Reads {
    fn sees(&self, name: &str) -> bool {
        match self {
            Self::Fields(fields) => fields.contains(name),
            Self::Everything => true,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fields(own), Self::Fields(added)) => Self::Fields(&own | &added),
            _ => Self::Everything,
        }
    }
}

fn value_at<'a>(value: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.segments()
        .iter()
        .try_fold(value, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
}

fn without_rules(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(keyword, value)| !(*keyword == KEYWORD && value.is_array()))
            .filter(|(keyword, _)| *keyword != "description")
            .map(|(keyword, value)| (keyword.clone(), without_rules(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_rules).collect(),
        _ => schema.clone(),
    }
}

/// The fields after each `self` of a rule. In doubt (a call on `self`, an escaped name) it reads everything.
fn reads(rule: &str) -> Reads {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut fields = BTreeSet::new();
    let code = without_texts(rule);
    let mut rest = code.as_str();
    let mut before = ' ';
    while let Some(found) = rest.find("self") {
        before = rest[..found].chars().next_back().unwrap_or(before);
        rest = &rest[found + "self".len()..];
        if is_word(before) || before == '.' || rest.starts_with(is_word) {
            before = 'f';
            continue;
        }
        before = 'f';
        let Some(name) = rest.strip_prefix('.') else {
            return Reads::Everything;
        };
        let end = name
            .find(|character| !is_word(character))
            .unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        if name.is_empty() || name.contains("__") || after.trim_start().starts_with('(') {
            return Reads::Everything;
        }
        fields.insert(name.to_owned());
    }
    Reads::Fields(fields)
}

/// A rule without the contents of its quoted texts.
fn without_texts(rule: &str) -> String {
    let mut code = String::with_capacity(rule.len());
    let mut quote = None;
    let mut escaped = false;
    for character in rule.chars() {
        match quote {
            None => {
                quote = Some(character).filter(|character| "'\"".contains(*character));
                code.push(character);
            }
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if character == open => {
                quote = None;
                code.push(character);
            }
            Some(_) => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Reads {
        Reads::Fields(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn knows_what_a_rule_reads() {
        assert_eq!(
            reads("has(self.rate) != has(self.interval)"),
            fields(&["interval", "rate"])
        );
        assert_eq!(
            reads("self.a.b == 'self.c' && myself.d && x.self.e"),
            fields(&["a"])
        );
        assert_eq!(reads("self.all(x, x > 0)"), Reads::Everything);
        assert_eq!(reads("duration(self) > duration('1s')"), Reads::Everything);
        assert_eq!(reads("self.a__dash__b"), Reads::Everything);
        assert_eq!(reads("1 == 1"), fields(&[]));
    }
}
