//! One document: which kind it is of, and what of it breaks a rule.

use serde_json::{Map, Value};

use super::document::{Document, Node, Position, Show, SyntaxProblem};
use super::kinds::{Kind, Schemas};
use super::metadata::check_metadata;
use super::path::FieldPath;
use super::report::{Manifest, Note, ObjectName, Skipped, Violation};
use super::schema::{Extra, Finding, Weight, check, normalize};

/// What became of one document.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) object: Option<(Position, Manifest)>,
    pub(super) skipped: Option<Skipped>,
    pub(super) notes: Vec<Note>,
    pub(super) violations: Vec<Violation>,
    /// The resource of our group that the document speaks of, and where, whether it keeps the rules or not.
    pub(super) identity: Option<(ObjectName, Position)>,
}

/// Checks a document; a list gives the checks of its items.
pub(super) fn check_document(file: &str, document: &Document, schemas: &Schemas) -> Vec<Checked> {
    let mut checked = check_node(file, &document.root, schemas, &FieldPath::root());
    let object = checked
        .first()
        .map(|first| object_of(first, &document.root))
        .unwrap_or_default();
    let problems = document
        .problems
        .iter()
        .map(|problem| violation_of(file, &object, problem));
    let problems: Vec<Violation> = problems.collect();
    if !problems.is_empty() {
        // What was read is not what was written: nothing of the document can be used.
        for each in &mut checked {
            each.object = None;
        }
        checked.push(Checked {
            violations: problems,
            ..Checked::default()
        });
    }
    checked
}

pub(super) fn violation_of(file: &str, object: &ObjectName, problem: &SyntaxProblem) -> Violation {
    Violation {
        file: file.to_owned(),
        position: Some(problem.position),
        object: object.clone(),
        path: problem.path.clone(),
        found: None,
        problem: problem.message.clone(),
    }
}

fn object_of(checked: &Checked, root: &Node) -> ObjectName {
    let identity = checked.identity.as_ref().map(|(object, _)| object.clone());
    identity.unwrap_or_else(|| name_of(&root.to_value()))
}

fn name_of(value: &Value) -> ObjectName {
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let metadata = &value["metadata"];
    ObjectName {
        kind: text(&value["kind"]),
        namespace: text(&metadata["namespace"]),
        name: text(&metadata["name"]).or_else(|| text(&metadata["generateName"])),
    }
}

/// One object while it is checked.
struct Subject<'a> {
    file: &'a str,
    node: &'a Node,
    object: ObjectName,
    /// Where the object stands in its document, for items of a list.
    prefix: &'a FieldPath,
}

impl Subject<'_> {
    fn violation(&self, finding: &Finding) -> Violation {
        let show = if finding.weight == Weight::Stray {
            Show::Key
        } else {
            Show::Value
        };
        Violation {
            file: self.file.to_owned(),
            position: Some(self.node.locate(&finding.path, show)),
            object: self.object.clone(),
            path: self.prefix.join(&finding.path),
            found: finding.found.clone(),
            problem: finding.problem.clone(),
        }
    }

    fn refused(&self, findings: &[Finding]) -> Checked {
        let violations = findings
            .iter()
            .map(|finding| self.violation(finding))
            .collect();
        Checked {
            violations,
            ..Checked::default()
        }
    }
}

fn check_node(file: &str, node: &Node, schemas: &Schemas, prefix: &FieldPath) -> Vec<Checked> {
    let value = node.to_value();
    let subject = Subject {
        file,
        node,
        object: name_of(&value),
        prefix,
    };
    let root = FieldPath::root();
    let Value::Object(fields) = &value else {
        return vec![subject.refused(&[Finding::on(
            &root,
            &value,
            "must be an object with apiVersion and kind",
        )])];
    };
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let missing = ["apiVersion", "kind"]
            .into_iter()
            .filter(|name| text(name).is_none());
        let findings: Vec<Finding> = missing
            .map(|name| match fields.get(name) {
                None | Some(Value::Null) => Finding::missing(root.field(name)),
                Some(value) => Finding::on(&root.field(name), value, "must be a text"),
            })
            .collect();
        return vec![subject.refused(&findings)];
    };
    if is_list(api_version, kind, schemas) {
        let items = match node.get("items").map(|items| (items, items.items())) {
            Some((items, None)) if items.to_value() != Value::Null => {
                let path = root.field("items");
                let finding = Finding::on(&path, &items.to_value(), "must be a list");
                return vec![subject.refused(&[finding])];
            }
            Some((_, Some(items))) => items,
            _ => &[],
        };
        return items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| {
                let prefix = prefix.join(&root.field("items").item(index));
                check_node(file, item, schemas, &prefix)
            })
            .collect();
    }
    vec![match schemas.kind(api_version, kind) {
        Ok(Some(known)) => check_object(&subject, fields, kind, known),
        Ok(None) => {
            let line = node.position.line;
            let (file, api_version) = (file.to_owned(), api_version.to_owned());
            let skipped = Skipped {
                file,
                line,
                api_version,
                object: subject.object,
            };
            Checked {
                skipped: Some(skipped),
                ..Checked::default()
            }
        }
        Err(finding) => subject.refused(&[finding]),
    }]
}

/// Whether the document is a list of objects, as `kubectl get -o yaml` gives it.
fn is_list(api_version: &str, kind: &str, schemas: &Schemas) -> bool {
    let of_ours = |kind: &str| matches!(schemas.kind(api_version, kind), Ok(Some(_)));
    (api_version == "v1" && kind == "List") || kind.strip_suffix("List").is_some_and(of_ours)
}

fn check_object(
    subject: &Subject<'_>,
    fields: &Map<String, Value>,
    kind: &str,
    known: &Kind,
) -> Checked {
    let position = subject.node.position;
    // Objects with a generated name are as many as there are documents.
    let is_named = fields
        .get("metadata")
        .is_some_and(|metadata| metadata["name"].is_string());
    let mut checked = Checked {
        identity: is_named.then(|| (subject.object.clone(), position)),
        ..Checked::default()
    };
    let mut fields = fields.clone();
    if fields
        .remove("status")
        .is_some_and(|status| !status.is_null())
    {
        let path = FieldPath::root().field("status");
        checked.notes.push(Note {
            file: subject.file.to_owned(),
            position: subject.node.locate(&path, Show::Key),
            object: subject.object.clone(),
            path: subject.prefix.join(&path),
            message: "is written by the operator; what stands here is ignored".to_owned(),
        });
    }
    let mut findings = match check_metadata(fields.get("metadata")) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::on(
            &FieldPath::root(),
            &Value::Null,
            error.to_string(),
        )],
    };
    let value = normalize(
        &known.schema,
        &Value::Object(fields),
        Extra::ObjectFields,
        &mut findings,
    );
    findings.extend(check(&known.schema, &value, &FieldPath::root()));
    checked.violations = findings
        .iter()
        .map(|finding| subject.violation(finding))
        .collect();
    if let Some(name) = subject.object.name.clone().filter(|_| findings.is_empty()) {
        let manifest = Manifest {
            file: subject.file.to_owned(),
            line: position.line,
            kind: kind.to_owned(),
            namespace: subject.object.namespace.clone(),
            name,
            value,
        };
        checked.object = Some((position, manifest));
    }
    checked
}
