//! YAML texts as trees that know where every value stands.

mod build;
mod scalar;
mod split;
mod surrogates;

use serde::Serialize;
use serde_json::Value;

use super::path::{FieldPath, Segment};

pub(super) use build::parse;
pub(super) use scalar::whole;

/// A place in a file, line and column counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Scalar(Value),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A field of a mapping, with the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) position: Position,
    pub(super) value: Node,
}

/// What is wrong with a text as YAML, before anything is known of its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxProblem {
    pub(super) position: Position,
    pub(super) path: FieldPath,
    pub(super) message: String,
}

/// A YAML stream: the documents that could be read, and what could not.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) documents: Vec<Document>,
    pub(super) problems: Vec<SyntaxProblem>,
}

/// One document, with the problems that did not keep it from being read.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    pub(super) problems: Vec<SyntaxProblem>,
}

/// Which place of a field to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Where its key stands.
    Key,
    /// Where its value stands; a list or an object is shown by its key, for its own first character belongs to a field.
    Value,
}

impl Node {
    /// The JSON value that the API server would be sent.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => items.iter().map(Self::to_value).collect(),
            Content::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect(),
            ),
        }
    }

    /// The value of a field, where this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The items, where this is a sequence.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match &self.content {
            Content::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Where the value at `path` stands, or the nearest one around it where there is none.
    pub(super) fn locate(&self, path: &FieldPath, show: Show) -> Position {
        let mut node = self;
        let mut shown = self.position;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Key(key), _) => node.entry(key).map(|entry| {
                    let by_key = show == Show::Key || entry.value.is_shown_by_its_key();
                    (
                        &entry.value,
                        if by_key {
                            entry.position
                        } else {
                            entry.value.position
                        },
                    )
                }),
                (Segment::Index(index), Content::Sequence(items)) => {
                    items.get(*index).map(|item| (item, item.position))
                }
                _ => None,
            };
            let Some((inner, position)) = next else {
                break;
            };
            node = inner;
            shown = position;
        }
        shown
    }

    fn is_shown_by_its_key(&self) -> bool {
        !matches!(&self.content, Content::Scalar(value) if !value.is_null())
    }
}
