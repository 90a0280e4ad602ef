//! The API server's own rules on `metadata`.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::path::FieldPath;
use super::schema::{Extra, Finding, SchemaError, SchemaNode, check, normalize};

/// All annotations of an object together, keys and values, in bytes.
const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;
const LABEL_MAX_LENGTH: usize = 63;
const SUBDOMAIN_MAX_LENGTH: usize = 253;

/// The types of `ObjectMeta`; what its texts may hold is checked in code, to say what is allowed in words.
static SCHEMA: LazyLock<Result<SchemaNode, SchemaError>> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    SchemaNode::read(&json!({"type": "object", "properties": {
        "annotations": texts,
        "creationTimestamp": {"type": "string", "format": "date-time"},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "deletionTimestamp": {"type": "string", "format": "date-time"},
        "finalizers": {"type": "array", "items": text},
        "generateName": text,
        "generation": {"type": "integer", "format": "int64"},
        "labels": texts,
        "managedFields": {"type": "array", "items": free},
        "name": text,
        "namespace": text,
        "ownerReferences": {"type": "array", "items": free},
        "resourceVersion": text,
        "selfLink": text,
        "uid": text,
    }}))
});

/// Checks the `metadata` of an object; `None` where it has none.
///
/// # Errors
/// Never in practice: the schema of `ObjectMeta` is a constant that a test reads.
pub(super) fn check_metadata(metadata: Option<&Value>) -> Result<Vec<Finding>, SchemaError> {
    let schema = SCHEMA.as_ref().map_err(Clone::clone)?;
    let path = FieldPath::root().field("metadata");
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) else {
        return Ok(vec![Finding::missing(path.field("name"))]);
    };
    let mut findings = Vec::new();
    let metadata = normalize(schema, metadata, Extra::None, &mut findings);
    findings.extend(check(schema, &metadata, &FieldPath::root()));
    for finding in &mut findings {
        finding.path = path.join(&finding.path);
    }
    if !metadata.is_object() {
        return Ok(findings);
    }
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let mut judge = |field: &FieldPath, text: &str, problem: Option<String>| {
        findings.extend(problem.map(|problem| Finding::on(field, &Value::from(text), problem)));
    };
    let name = text("name").filter(|name| !name.is_empty());
    let generate_name = text("generateName").filter(|name| !name.is_empty());
    if let Some(name) = name {
        judge(&path.field("name"), name, subdomain_breach(name));
    }
    if let Some(prefix) = generate_name {
        // The API server appends to the prefix, so it may end in what a name may not.
        let as_name = prefix
            .strip_suffix('-')
            .map_or(prefix.to_owned(), |stem| format!("{stem}a"));
        judge(
            &path.field("generateName"),
            prefix,
            subdomain_breach(&as_name),
        );
    }
    if let Some(namespace) = text("namespace") {
        judge(&path.field("namespace"), namespace, label_breach(namespace));
    }
    for (field, check_value) in [("labels", true), ("annotations", false)] {
        for (key, value) in metadata
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = path.field(field).field(key);
            judge(
                &path,
                key,
                qualified_name_breach(key, field).map(|problem| format!("as a key {problem}")),
            );
            if let Some(value) = value.as_str().filter(|_| check_value) {
                judge(&path, value, label_value_breach(value));
            }
        }
    }
    let finalizers = metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for (index, finalizer) in finalizers.enumerate() {
        if let Some(finalizer) = finalizer.as_str() {
            let path = path.field("finalizers").item(index);
            judge(
                &path,
                finalizer,
                qualified_name_breach(finalizer, "finalizers"),
            );
        }
    }
    if let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) {
        let sizes = annotations
            .iter()
            .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
        let size: usize = sizes.sum();
        if size > ANNOTATIONS_MAX_BYTES {
            let problem =
                format!("must have at most {ANNOTATIONS_MAX_BYTES} bytes altogether, has {size}");
            findings.push(Finding::on(&path.field("annotations"), &json!({}), problem));
        }
    }
    let name_fits_no_text = metadata.get("name").is_some_and(|name| !name.is_string());
    if name.is_none() && generate_name.is_none() && !name_fits_no_text {
        findings.push(Finding::missing(path.field("name")));
    }
    Ok(findings)
}

fn is_end(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    text.starts_with(is_end)
        && text.ends_with(is_end)
        && text
            .chars()
            .all(|character| is_end(character) || character == '-')
}

/// DNS subdomain of RFC 1123, what objects are named by.
fn subdomain_breach(text: &str) -> Option<String> {
    if text.len() > SUBDOMAIN_MAX_LENGTH {
        return Some(format!(
            "must have at most {SUBDOMAIN_MAX_LENGTH} characters, has {}",
            text.len()
        ));
    }
    let allowed = "must consist of lower-case letters, digits, '-' and '.', with a letter or digit at the beginning and \
                   the end of each part between dots";
    (!text.split('.').all(is_label)).then(|| allowed.to_owned())
}

/// DNS label of RFC 1123, what namespaces are named by.
fn label_breach(text: &str) -> Option<String> {
    if text.len() > LABEL_MAX_LENGTH {
        return Some(format!(
            "must have at most {LABEL_MAX_LENGTH} characters, has {}",
            text.len()
        ));
    }
    let allowed = "must consist of lower-case letters, digits and '-', beginning and ending with a letter or digit";
    (!is_label(text)).then(|| allowed.to_owned())
}

/// The name part of a label's key, and a label's value unless it is empty.
fn is_label_text(text: &str) -> bool {
    let is_end = |character: char| character.is_ascii_alphanumeric();
    text.len() <= LABEL_MAX_LENGTH
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text
            .chars()
            .all(|character| is_end(character) || "-_.".contains(character))
}

fn label_value_breach(value: &str) -> Option<String> {
    let allowed = "must be empty or at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    (!value.is_empty() && !is_label_text(value)).then(|| allowed.to_owned())
}

fn qualified_name_breach(key: &str, field: &str) -> Option<String> {
    // Of the keys of annotations, and only of them, upper and lower case are one in the prefix too.
    let lower = key.to_lowercase();
    let (prefix, name) = match if field == "annotations" {
        lower.as_str()
    } else {
        key
    }
    .rsplit_once('/')
    {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_fits = prefix.is_none_or(|prefix| subdomain_breach(prefix).is_none());
    let allowed = "must be at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, after \
                   an optional DNS name and '/'";
    (!prefix_fits || !is_label_text(name)).then(|| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(metadata: &Value) -> Vec<String> {
        let findings = check_metadata(Some(metadata)).unwrap();
        findings
            .iter()
            .map(|finding| finding.path.to_string())
            .collect()
    }

    #[test]
    fn good_metadata_passes() {
        let metadata = json!({
            "name": "a.b-c", "namespace": "team-1",
            "labels": {"app.kubernetes.io/name": "x_Y.z", "empty": ""},
            "annotations": {"Example.com/A_b": "anything at all\n"},
            "finalizers": ["example.com/x"], "creationTimestamp": null,
        });
        assert_eq!(paths(&metadata), Vec::<String>::new());
        assert_eq!(
            paths(&json!({"generateName": "orders-"})),
            Vec::<String>::new()
        );
        assert_eq!(
            paths(&json!({"name": "x".repeat(253), "namespace": "y".repeat(63)})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_breach_names_its_field() {
        for (metadata, path) in [
            (json!({}), "metadata.name"),
            (json!({"name": ""}), "metadata.name"),
            (json!({"name": "Orders"}), "metadata.name"),
            (json!({"name": "a..b"}), "metadata.name"),
            (json!({"name": "a-"}), "metadata.name"),
            (json!({"name": 7}), "metadata.name"),
            (json!({"name": "x".repeat(254)}), "metadata.name"),
            (json!({"generateName": "A-"}), "metadata.generateName"),
            (
                json!({"name": "a", "namespace": "a.b"}),
                "metadata.namespace",
            ),
            (
                json!({"name": "a", "namespace": "x".repeat(64)}),
                "metadata.namespace",
            ),
            (
                json!({"name": "a", "labels": {"a b": "x"}}),
                "metadata.labels[a b]",
            ),
            (
                json!({"name": "a", "labels": {"A.com/x": "x"}}),
                "metadata.labels[A.com/x]",
            ),
            (
                json!({"name": "a", "labels": {"a/b/c": "x"}}),
                "metadata.labels[a/b/c]",
            ),
            (
                json!({"name": "a", "labels": {"a": "-x"}}),
                "metadata.labels.a",
            ),
            (
                json!({"name": "a", "labels": {"a": true}}),
                "metadata.labels.a",
            ),
            (
                json!({"name": "a", "labels": {"a": "x".repeat(64)}}),
                "metadata.labels.a",
            ),
            (
                json!({"name": "a", "annotations": {"/x": ""}}),
                "metadata.annotations[/x]",
            ),
            (
                json!({"name": "a", "annotations": {"x": "y".repeat(262_144)}}),
                "metadata.annotations",
            ),
            (json!({"name": "a", "label": {}}), "metadata.label"),
            (
                json!({"name": "a", "finalizers": ["a b"]}),
                "metadata.finalizers[0]",
            ),
            (
                json!({"name": "a", "creationTimestamp": "now"}),
                "metadata.creationTimestamp",
            ),
            (json!([]), "metadata"),
        ] {
            assert_eq!(paths(&metadata), [path], "{metadata}");
        }
        assert_eq!(
            check_metadata(None).unwrap()[0].path.to_string(),
            "metadata.name"
        );
    }
}
