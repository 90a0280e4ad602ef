//! Finds every rule of a schema that a value breaks.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::finding::{Finding, one_of};
use super::format;
use super::node::{Additional, Bound, Count, ListKind, SchemaNode, ValueType};
use crate::validate::path::FieldPath;

/// All findings on a [normalized](super::normalize) value.
pub(in crate::validate) fn check(
    schema: &SchemaNode,
    value: &Value,
    path: &FieldPath,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_value(schema, value, path, &mut findings);
    findings
}

fn check_value(schema: &SchemaNode, value: &Value, path: &FieldPath, findings: &mut Vec<Finding>) {
    if value.is_null() && schema.nullable {
        return;
    }
    if let Some(allowed) = schema.kind.and_then(|kind| type_breach(kind, value)) {
        let mut finding = Finding::on(path, value, allowed).blocking();
        finding.found.get_or_insert_with(|| super::shorten(value));
        findings.push(finding);
        return;
    }
    let before = findings.len();
    check_choice(schema, value, path, findings);
    match value {
        Value::Number(number) => check_number(schema, number, value, path, findings),
        Value::String(text) => check_text(schema, text, value, path, findings),
        Value::Array(items) => check_list(schema, items, path, findings),
        Value::Object(fields) => check_object(schema, fields, path, findings),
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(allowed) = schema
        .format
        .as_deref()
        .and_then(|name| format::breach(name, value))
    {
        findings.push(Finding::on(path, value, allowed));
    }
    check_junctors(schema, value, path, findings);
    for rule in &schema.rules {
        let broken = rule.check(value, path, &findings[before..]);
        findings.extend(broken);
    }
}

fn type_breach(kind: ValueType, value: &Value) -> Option<&'static str> {
    let is_integer = value.is_i64() || value.is_u64();
    let (fits, allowed) = match kind {
        ValueType::Object => (value.is_object(), "must be an object"),
        ValueType::Array => (value.is_array(), "must be a list"),
        ValueType::String => (value.is_string(), "must be a text"),
        ValueType::Integer => (is_integer, "must be a whole number"),
        ValueType::Number => (value.is_number(), "must be a number"),
        ValueType::Boolean => (value.is_boolean(), "must be true or false"),
        ValueType::IntegerOrString => (
            is_integer || value.is_string(),
            "must be a whole number or a text",
        ),
    };
    (!fits).then_some(allowed)
}

fn check_choice(schema: &SchemaNode, value: &Value, path: &FieldPath, findings: &mut Vec<Finding>) {
    let Some(allowed) = schema
        .allowed
        .as_ref()
        .filter(|allowed| !allowed.contains(value))
    else {
        return;
    };
    let names: Vec<String> = allowed
        .iter()
        .filter(|choice| !choice.is_null())
        .map(|choice| {
            choice
                .as_str()
                .map_or_else(|| choice.to_string(), str::to_owned)
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let problem = one_of(value.as_str(), &names);
    findings.push(Finding::on(path, value, problem).blocking());
}

fn check_number(
    schema: &SchemaNode,
    number: &Number,
    value: &Value,
    path: &FieldPath,
    findings: &mut Vec<Finding>,
) {
    let Some(float) = number.as_f64() else {
        return;
    };
    if let Some(Bound {
        value: least,
        exclusive,
    }) = schema.minimum
        && (float < least || (exclusive && float <= least))
    {
        let relation = if exclusive { "more than" } else { "at least" };
        findings.push(Finding::on(
            path,
            value,
            format!("must be {relation} {least}"),
        ));
    }
    if let Some(Bound {
        value: greatest,
        exclusive,
    }) = schema.maximum
        && (float > greatest || (exclusive && float >= greatest))
    {
        let relation = if exclusive { "less than" } else { "at most" };
        findings.push(Finding::on(
            path,
            value,
            format!("must be {relation} {greatest}"),
        ));
    }
    if let Some(factor) = schema.multiple_of
        && (float / factor).fract() != 0.0
    {
        findings.push(Finding::on(
            path,
            value,
            format!("must be a multiple of {factor}"),
        ));
    }
}

fn check_text(
    schema: &SchemaNode,
    text: &str,
    value: &Value,
    path: &FieldPath,
    findings: &mut Vec<Finding>,
) {
    if let Some(problem) = count_breach(schema.length, text.chars().count(), "character") {
        findings.push(Finding::on(path, value, problem));
    }
    match schema
        .pattern
        .as_ref()
        .map(|pattern| (pattern, pattern.regex()))
    {
        Some((pattern, Ok(regex))) if !regex.is_match(text) => {
            findings.push(Finding::on(
                path,
                value,
                format!("must match {}", pattern.text),
            ));
        }
        Some((pattern, Err(error))) => {
            let problem = format!("the pattern {} cannot be applied: {error}", pattern.text);
            findings.push(Finding::on(path, value, problem));
        }
        _ => {}
    }
}

fn check_list(schema: &SchemaNode, items: &[Value], path: &FieldPath, findings: &mut Vec<Finding>) {
    if let Some(problem) = count_breach(schema.item_count, items.len(), "item") {
        findings.push(Finding::on(path, &Value::Array(Vec::new()), problem));
    }
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = path.item(index);
        if let Some(item_schema) = &schema.items {
            check_value(item_schema, item, &path, findings);
        }
        match &schema.list_kind {
            ListKind::Atomic => {}
            ListKind::Set => {
                if !seen.insert(item.to_string()) {
                    findings.push(Finding::on(&path, item, "must not be in the list twice"));
                }
            }
            ListKind::Map(keys) => {
                let identity: Vec<Option<&Value>> = keys.iter().map(|key| item.get(key)).collect();
                // A key that is missing is told as such, unless the schema leaves it to choice.
                if identity.iter().all(Option::is_some) && !seen.insert(format!("{identity:?}")) {
                    let names = keys.join(" and ");
                    let path = match keys.as_slice() {
                        [key] => path.field(key),
                        _ => path,
                    };
                    let shown = identity.first().copied().flatten().unwrap_or(item);
                    let problem = format!("must not repeat the {names} of an earlier item");
                    findings.push(Finding::on(&path, shown, problem));
                }
            }
        }
    }
}

fn check_object(
    schema: &SchemaNode,
    fields: &Map<String, Value>,
    path: &FieldPath,
    findings: &mut Vec<Finding>,
) {
    if let Some(problem) = count_breach(schema.property_count, fields.len(), "field") {
        findings.push(Finding::on(path, &Value::Object(Map::new()), problem));
    }
    for name in &schema.required {
        if !fields.contains_key(name) {
            findings.push(Finding::missing(path.field(name)));
        }
    }
    for (name, value) in fields {
        let inner = schema.properties.get(name).or(match &schema.additional {
            Additional::Schema(schema) => Some(schema),
            Additional::Any | Additional::Unknown => None,
        });
        if let Some(inner) = inner {
            check_value(inner, value, &path.field(name), findings);
        }
    }
}

fn count_breach(allowed: Count, count: usize, what: &str) -> Option<String> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let plural = |number: u64| if number == 1 { "" } else { "s" };
    if let Some(least) = allowed.least.filter(|least| count < *least) {
        return Some(format!(
            "must have at least {least} {what}{}, has {count}",
            plural(least)
        ));
    }
    let greatest = allowed.greatest.filter(|greatest| count > *greatest)?;
    Some(format!(
        "must have at most {greatest} {what}{}, has {count}",
        plural(greatest)
    ))
}

fn check_junctors(
    schema: &SchemaNode,
    value: &Value,
    path: &FieldPath,
    findings: &mut Vec<Finding>,
) {
    for branch in &schema.all_of {
        check_value(branch, value, path, findings);
    }
    let refusals = |branches: &[SchemaNode]| -> Vec<Vec<Finding>> {
        branches
            .iter()
            .map(|branch| check(branch, value, path))
            .collect()
    };
    let any = refusals(&schema.any_of);
    if !any.is_empty() && any.iter().all(|refusal| !refusal.is_empty()) {
        findings.push(Finding::on(path, value, alternatives(&any, path)));
    }
    let one = refusals(&schema.one_of);
    match one.iter().filter(|refusal| refusal.is_empty()).count() {
        0 if !one.is_empty() => findings.push(Finding::on(path, value, alternatives(&one, path))),
        0 | 1 => {}
        count => {
            let problem = format!(
                "must be exactly one of {} alternatives, but fits {count}",
                one.len()
            );
            findings.push(Finding::on(path, value, problem));
        }
    }
    if let Some(excluded) = &schema.not
        && check(excluded, value, path).is_empty()
    {
        findings.push(Finding::on(path, value, "has a form that is excluded"));
    }
}

/// What each alternative would need.
fn alternatives(refusals: &[Vec<Finding>], path: &FieldPath) -> String {
    let needs: Vec<String> = refusals
        .iter()
        .filter_map(|refusal| refusal.first())
        .map(
            |finding| match finding.path.segments().get(path.segments().len()..) {
                None | Some([]) => finding.problem.clone(),
                Some(_) => format!("{} {}", finding.path, finding.problem),
            },
        )
        .collect();
    needs.join(", or ")
}

#[cfg(test)]
mod tests;
