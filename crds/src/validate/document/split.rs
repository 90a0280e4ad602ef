//! Cuts a YAML stream into documents by its `---` lines, as kubectl does, so that a slip in one leaves the others readable.

/// A part of a text that holds one document, or none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    /// How many lines of the file come before it.
    pub(super) lines_before: usize,
}

/// The parts of `text`; each but the first begins with its `---` line.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut lines_before) = (0, 0);
    let mut holds_something = false;
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if is_marker && holds_something {
            chunks.push(Chunk {
                text: &text[start..offset],
                lines_before,
            });
            (start, lines_before) = (offset, number);
        }
        // Directives and comments before the first marker belong to the document that it opens.
        holds_something |= is_marker || !is_preamble(line);
        offset += line.len();
    }
    chunks.push(Chunk {
        text: &text[start..],
        lines_before,
    });
    chunks
}

fn is_preamble(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(&str, usize)> {
        split(text)
            .into_iter()
            .map(|chunk| (chunk.text, chunk.lines_before))
            .collect()
    }

    #[test]
    fn cuts_at_marker_lines_only() {
        assert_eq!(
            texts("a: 1\n---\nb: 2\n"),
            [("a: 1\n", 0), ("---\nb: 2\n", 1)]
        );
        assert_eq!(texts("a: |\n  ---\n  x\n"), [("a: |\n  ---\n  x\n", 0)]);
        assert_eq!(texts("a: 1\n---x: 2\n"), [("a: 1\n---x: 2\n", 0)]);
        assert_eq!(
            texts("a: 1\r\n--- # two\r\nb: 2"),
            [("a: 1\r\n", 0), ("--- # two\r\nb: 2", 1)]
        );
    }

    #[test]
    fn what_precedes_the_first_marker_belongs_to_it() {
        assert_eq!(
            texts("# x\n%YAML 1.2\n---\na: 1\n"),
            [("# x\n%YAML 1.2\n---\na: 1\n", 0)]
        );
    }
}
