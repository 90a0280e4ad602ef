//! Where in a document something stands.

use std::fmt;

use serde::{Serialize, Serializer};

/// One step from a value into what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A field of an object or a key of a map.
    Key(String),
    /// An item of a list, counted from 0.
    Index(usize),
}

/// The way from a document's root to one of its values, such as `spec.topics[2].name`.
///
/// A key that is no plain word stands in brackets, as in the API server's own messages: `metadata.labels[a.b/c]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path of the document itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path of the field `name` of the value at this path.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.step(Segment::Key(name.to_owned()))
    }

    /// The path of the item `index` of the list at this path.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.step(Segment::Index(index))
    }

    /// The path that goes on with `rest` from here.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    fn step(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Reads a path as [`Display`](fmt::Display) writes it, and as `fieldPath` of a CEL rule does (`.a.b`, `['a-b']`, `[0]`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (inside, after) = inner.split_once(']').unwrap_or((inner, ""));
                segments.push(match inside.parse() {
                    Ok(index) => Segment::Index(index),
                    Err(_) => Segment::Key(inside.trim_matches(['\'', '"']).to_owned()),
                });
                rest = after;
            } else {
                let word = rest.strip_prefix('.').unwrap_or(rest);
                let end = word.find(['.', '[']).unwrap_or(word.len());
                segments.push(Segment::Key(word[..end].to_owned()));
                rest = &word[end..];
            }
        }
        Self(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) if !is_plain_word(key) => write!(formatter, "[{key}]")?,
                Segment::Key(key) if position == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain_word(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for text in [
            "",
            "spec.topics[2].name",
            "metadata.labels[a.b/c]",
            "spec.kafka.properties[linger.ms]",
        ] {
            assert_eq!(FieldPath::parse(text).to_string(), text);
        }
    }

    #[test]
    fn reads_the_field_path_of_a_rule() {
        assert_eq!(
            FieldPath::parse(".topics[0]['max.size']").to_string(),
            "topics[0][max.size]"
        );
    }
}
