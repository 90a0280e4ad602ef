//! Bytes that may be text: whole for programs, safe and short for terminals.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Bytes, as text where they are UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Content {
    Text(String),
    Base64(String),
}

/// Where a line ends within a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// It goes on in the same line.
    Escaped,
    /// It goes on in the next one.
    Kept,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        str::from_utf8(bytes).map_or_else(
            |_| Self::Base64(STANDARD.encode(bytes)),
            |text| Self::Text(text.to_owned()),
        )
    }

    /// As a person reads it: at most so many characters of it.
    pub(super) fn shown(&self, most: usize, lines: Lines) -> String {
        match self {
            Self::Text(text) if text.is_empty() => "(empty)".to_owned(),
            Self::Text(text) => cut(text, most, |kept| escaped(kept, lines)),
            Self::Base64(text) => format!("base64: {}", cut(text, most, str::to_owned)),
        }
    }
}

/// As a person reads what may be null.
pub(super) fn shown(content: Option<&Content>, most: usize, lines: Lines) -> String {
    content.map_or_else(|| "(null)".to_owned(), |content| content.shown(most, lines))
}

/// The text without what moves a terminal's cursor, changes its colours, or turns what is written around.
pub(super) fn escaped(text: &str, lines: Lines) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' if lines == Lines::Kept => safe.push(character),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                // Writing to a string cannot fail.
                _ = write!(safe, "{}", character.escape_unicode());
            }
            _ if character.is_control() => _ = write!(safe, "{}", character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

fn cut(text: &str, most: usize, show: impl FnOnce(&str) -> String) -> String {
    match text.char_indices().nth(most) {
        None => show(text),
        Some((end, _)) => {
            let all = text.chars().count();
            format!("{}… (cut: {all} characters in all)", show(&text[..end]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8], most: usize) -> String {
        Content::of(bytes).shown(most, Lines::Escaped)
    }

    #[test]
    fn text_is_shown_as_text_and_other_bytes_are_marked() {
        assert_eq!(line("näme".as_bytes(), 9), "näme");
        assert_eq!(line(&[0xff, 0, 1], 9), "base64: /wAB");
        assert_eq!(line(b"", 9), "(empty)");
        assert_eq!(shown(None, 9, Lines::Escaped), "(null)");
    }

    #[test]
    fn long_content_is_cut_between_characters() {
        assert_eq!(line("ääää".as_bytes(), 4), "ääää");
        assert_eq!(
            line("äääää".as_bytes(), 4),
            "ääää… (cut: 5 characters in all)"
        );
        assert_eq!(
            line(&[0xff; 6], 4),
            "base64: ////… (cut: 8 characters in all)"
        );
    }

    #[test]
    fn content_cannot_play_with_the_terminal() {
        let text = "a\u{1b}[2J\r\nb\tc\u{202e}d\u{7f}";
        assert_eq!(
            escaped(text, Lines::Escaped),
            "a\\u{1b}[2J\\r\\nb\\tc\\u{202e}d\\u{7f}"
        );
        assert_eq!(
            escaped(text, Lines::Kept),
            "a\\u{1b}[2J\\r\nb\tc\\u{202e}d\\u{7f}"
        );
    }

    #[test]
    fn programs_get_all_of_it() {
        let json = |bytes: &[u8]| serde_json::to_string(&Content::of(bytes)).unwrap();
        assert_eq!(json(b"a\n"), r#"{"text":"a\n"}"#);
        assert_eq!(json(&[0xff]), r#"{"base64":"/w=="}"#);
    }
}
