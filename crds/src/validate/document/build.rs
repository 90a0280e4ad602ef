//! Builds trees from the events of the YAML parser.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::Value;

use super::split::{Chunk, split};
use super::surrogates::join_surrogates;
use super::{Content, Document, Entry, Node, Position, Stream, SyntaxProblem, scalar};
use crate::validate::path::FieldPath;

/// Deeper nesting is refused: no manifest needs it, and reading is recursive further on.
const MAX_DEPTH: usize = 100;
/// Aliases may multiply a document up to this many values; a longer one is an attack or a mistake.
const MAX_NODES: usize = 200_000;

/// Reads all documents of a YAML text; JSON is YAML too. Empty documents are left out.
pub(in crate::validate) fn parse(text: &str) -> Stream {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut stream = Stream::default();
    for chunk in split(text) {
        if let Err(problem) = read_chunk(&chunk, &mut stream.documents) {
            stream.problems.push(problem);
        }
    }
    stream
}

fn read_chunk(chunk: &Chunk<'_>, documents: &mut Vec<Document>) -> Result<(), SyntaxProblem> {
    let position = |marker: &Marker| Position {
        line: marker.line() + chunk.lines_before,
        column: marker.col() + 1,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str(&join_surrogates(chunk.text)) {
        let (event, span) = event.map_err(|error| SyntaxProblem {
            position: position(error.marker()),
            path: FieldPath::root(),
            message: format!("is no YAML: {}", error.info()),
        })?;
        if let Some(document) = builder.take(event, position(&span.start))? {
            documents.push(document);
        }
    }
    Ok(())
}

/// Collections that are open while events come in, outermost first.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    problems: Vec<SyntaxProblem>,
    nodes: usize,
}

struct Open {
    anchor: usize,
    position: Position,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        merged: Vec<Node>,
        key: Option<Key>,
    },
}

enum Key {
    Field {
        name: String,
        position: Position,
    },
    /// `<<`: the fields of its value, where this mapping has none of that name.
    Merge,
}

impl Builder {
    /// Takes one event; the end of a document gives it, unless it is empty.
    fn take(
        &mut self,
        event: Event<'_>,
        position: Position,
    ) -> Result<Option<Document>, SyntaxProblem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = tag.is_none() && style == ScalarStyle::Plain && text == "<<";
                if is_merge && let Some(key) = self.awaited_key() {
                    *key = Some(Key::Merge);
                    return Ok(None);
                }
                let value =
                    scalar::resolve(&text, style, tag.as_deref()).unwrap_or_else(|message| {
                        self.problem(position, message);
                        Value::Null
                    });
                self.complete(
                    Node {
                        position,
                        content: Content::Scalar(value),
                    },
                    anchor,
                )?;
            }
            Event::SequenceStart(anchor, _) => {
                self.open(anchor, position, Collection::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                let (entries, merged) = (Vec::new(), Vec::new());
                self.open(
                    anchor,
                    position,
                    Collection::Mapping {
                        entries,
                        merged,
                        key: None,
                    },
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.unwrap_or_else(|| {
                    self.problem(
                        position,
                        "an alias cannot stand inside of what it names".to_owned(),
                    );
                    Node {
                        position,
                        content: Content::Scalar(Value::Null),
                    }
                });
                self.nodes += count(&node);
                self.complete(Node { position, ..node }, 0)?;
            }
            Event::DocumentEnd => return Ok(self.finish()),
            Event::DocumentStart(_) | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
        }
        Ok(None)
    }

    fn finish(&mut self) -> Option<Document> {
        let finished = std::mem::take(self);
        let root = finished.root?;
        let is_empty = matches!(&root.content, Content::Scalar(Value::Null));
        (!is_empty || !finished.problems.is_empty()).then_some(Document {
            root,
            problems: finished.problems,
        })
    }

    fn open(
        &mut self,
        anchor: usize,
        position: Position,
        collection: Collection,
    ) -> Result<(), SyntaxProblem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.refusal(position, format!("is nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open {
            anchor,
            position,
            collection,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxProblem> {
        // The parser closes only what it opened.
        let Some(Open {
            anchor,
            position,
            collection,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let content = match collection {
            Collection::Sequence(items) => Content::Sequence(items),
            Collection::Mapping {
                entries, merged, ..
            } => Content::Mapping(self.with_merged(entries, merged)),
        };
        self.complete(Node { position, content }, anchor)
    }

    /// Puts a finished value where it belongs: the root, an item, a key or the value of a key.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxProblem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.refusal(node.position, format!("holds more than {MAX_NODES} values")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(Open { collection, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match collection {
            Collection::Sequence(items) => items.push(node),
            Collection::Mapping {
                entries,
                merged,
                key,
            } => match key.take() {
                None => {
                    let position = node.position;
                    let name = key_name(&node);
                    let earlier = name
                        .as_ref()
                        .and_then(|name| entries.iter().find(|entry| entry.key == *name))
                        .map(|entry| entry.position);
                    let known = name.is_some();
                    let name = name.unwrap_or_else(|| "?".to_owned());
                    *key = Some(Key::Field { name, position });
                    if !known {
                        self.problem(
                            position,
                            "a key must be a text, a number or a boolean".to_owned(),
                        );
                    } else if let Some(Position { line, column }) = earlier {
                        let message =
                            format!("is given twice, first on line {line}, column {column}");
                        self.problem(position, message);
                    }
                }
                Some(Key::Merge) => merged.push(node),
                Some(Key::Field { name, position }) => {
                    entries.push(Entry {
                        key: name,
                        position,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }

    /// The place for the next key, where a key is what comes next.
    fn awaited_key(&mut self) -> Option<&mut Option<Key>> {
        match &mut self.open.last_mut()?.collection {
            Collection::Mapping { key, .. } if key.is_none() => Some(key),
            _ => None,
        }
    }

    fn with_merged(&mut self, mut entries: Vec<Entry>, merged: Vec<Node>) -> Vec<Entry> {
        let sources = merged.into_iter().flat_map(|node| match node.content {
            Content::Sequence(nodes) => nodes,
            _ => vec![node],
        });
        for source in sources {
            let Content::Mapping(fields) = source.content else {
                self.problem(
                    source.position,
                    "`<<` takes a mapping or a list of mappings".to_owned(),
                );
                continue;
            };
            for field in fields {
                if entries.iter().all(|entry| entry.key != field.key) {
                    entries.push(field);
                }
            }
        }
        entries
    }

    fn problem(&mut self, position: Position, message: String) {
        let problem = self.refusal(position, message);
        self.problems.push(problem);
    }

    fn refusal(&self, position: Position, message: String) -> SyntaxProblem {
        SyntaxProblem {
            position,
            path: self.path(),
            message,
        }
    }

    /// The path of the value that is being read.
    fn path(&self) -> FieldPath {
        self.open
            .iter()
            .fold(FieldPath::root(), |path, open| match &open.collection {
                Collection::Sequence(items) => path.item(items.len()),
                Collection::Mapping {
                    key: Some(Key::Field { name, .. }),
                    ..
                } => path.field(name),
                Collection::Mapping { .. } => path,
            })
    }
}

/// The text that a key becomes in JSON.
fn key_name(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar(Value::String(text)) => Some(text.clone()),
        Content::Scalar(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
        _ => None,
    }
}

fn count(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 1,
        Content::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Content::Mapping(entries) => {
            1 + entries
                .iter()
                .map(|entry| count(&entry.value))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests;
