//! What a check of manifests found.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::document::Position;
use super::path::FieldPath;

/// A resource as far as a document names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectName {
    /// Its kind, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its namespace, where it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, or the prefix that its name will be generated from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_deref().unwrap_or("document");
        match &self.name {
            Some(name) => write!(formatter, "{kind}/{name}"),
            None => formatter.write_str(kind),
        }
    }
}

/// A rule that a document breaks.
///
/// Written out: `orders.yaml:7:14: OrderProducer/wood: spec.errorRate: 1.5 is not allowed: must be at most 1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The file, as it was given; `-` for standard input.
    pub file: String,
    /// Where in the file; absent where the file could not be read at all.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The resource.
    #[serde(flatten)]
    pub object: ObjectName,
    /// The field, empty for the document itself.
    pub path: FieldPath,
    /// What the field holds, shortened; absent where it holds nothing or more than fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What is allowed, or what else is wrong.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(formatter, "{line}:{column}:")?;
        }
        if self.object != ObjectName::default() {
            write!(formatter, " {}:", self.object)?;
        }
        if !self.path.segments().is_empty() {
            write!(formatter, " {}:", self.path)?;
        }
        if let Some(found) = &self.found {
            write!(formatter, " {found} is not allowed:")?;
        }
        write!(formatter, " {}", self.problem)
    }
}

/// A resource that keeps every rule, as the API server would store it: defaults filled in, `status` left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The file, as it was given; `-` for standard input.
    pub file: String,
    /// The line where the document begins, counted from 1.
    pub line: usize,
    /// Its kind.
    pub kind: String,
    /// Its namespace, where it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, or the prefix that its name will be generated from.
    pub name: String,
    /// The whole object.
    #[serde(skip)]
    pub value: Value,
}

/// A document of another API group, which is not ours to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file, as it was given; `-` for standard input.
    pub file: String,
    /// The line where the document begins, counted from 1.
    pub line: usize,
    /// Its API version, such as `v1` or `kafka.strimzi.io/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The resource.
    #[serde(flatten)]
    pub object: ObjectName,
}

/// Something that a user should know but that keeps nothing from working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The file, as it was given; `-` for standard input.
    pub file: String,
    /// Where in the file.
    #[serde(flatten)]
    pub position: Position,
    /// The resource.
    #[serde(flatten)]
    pub object: ObjectName,
    /// The field.
    pub path: FieldPath,
    /// What to know of it.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(
            formatter,
            "{}:{line}:{column}: {}: {}: {}",
            self.file, self.object, self.path, self.message
        )
    }
}

/// All that a check of some files found, each list in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The resources that keep every rule.
    pub objects: Vec<Manifest>,
    /// Documents of other API groups.
    pub skipped: Vec<Skipped>,
    /// What is allowed but without effect.
    pub notes: Vec<Note>,
    /// Every broken rule of every document.
    pub violations: Vec<Violation>,
}
