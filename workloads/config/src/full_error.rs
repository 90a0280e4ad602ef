//! Errors as people read them.

/// An error with all its causes, on one line.
#[must_use]
pub fn full_error(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, rest) = texts.split_first()?;
        let source = layers(rest);
        Some(Box::new(Layer { text, source }))
    }

    #[test]
    fn every_cause_is_told_once() {
        let told = |texts: &[&'static str]| full_error(&*layers(texts).unwrap());
        assert_eq!(told(&["a", "b", "c"]), "a: b: c");
        assert_eq!(told(&["a: b", "b"]), "a: b");
    }
}
