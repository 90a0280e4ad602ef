//! Characters that JSON escapes as two UTF-16 surrogates (`\ud83d\ude00`), which YAML has no notation for.

use std::borrow::Cow;

/// The text with each escaped pair of surrogates as YAML's one escape (`\U0001F600`), where the text is JSON.
///
/// Places after it on the same line are two characters further left than in the file.
pub(super) fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[']) || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        joined.push_str(before);
        let pair = code_unit(escape).zip(escape.get(6..).and_then(code_unit));
        let character = pair.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok());
        // An escape is at least two characters, and the second may be a backslash too.
        let taken = if let Some(character) = character.filter(|found| u32::from(*found) > 0xffff) {
            joined.extend(["\\U", &format!("{:08X}", u32::from(character))]);
            r"\ud83d\ude00".len()
        } else {
            let taken = escape.chars().take(2).map(char::len_utf8).sum();
            joined.push_str(&escape[..taken]);
            taken
        };
        rest = &escape[taken..];
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// The number in `\uXXXX` at the beginning of a text.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_joined_and_all_else_stays() {
        for (text, joined) in [
            (r#"{"a": "\ud83d\ude00!"}"#, r#"{"a": "\U0001F600!"}"#),
            (r#"{"a": "\u00e4\ud83d"}"#, r#"{"a": "\u00e4\ud83d"}"#),
            (r#"{"a": "\\ud83d\\ude00"}"#, r#"{"a": "\\ud83d\\ude00"}"#),
            (r#"{"a": "\\\ud83d\ude00"}"#, r#"{"a": "\\\U0001F600"}"#),
            (r#"{"a": "\u00e4\ä\"#, r#"{"a": "\u00e4\ä\"#),
            (r"a: '\ud83d\ude00'", r"a: '\ud83d\ude00'"),
        ] {
            assert_eq!(join_surrogates(text), joined);
        }
    }
}
