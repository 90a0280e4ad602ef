//! What a check finds.

use serde_json::Value;

use crate::validate::path::FieldPath;

/// A rule that a value breaks, before it is known where in a file it stands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::validate) struct Finding {
    /// The field.
    pub(in crate::validate) path: FieldPath,
    /// What it holds, shortened; absent where it holds nothing or is too large to show.
    pub(in crate::validate) found: Option<String>,
    /// What is allowed, or what else is wrong.
    pub(in crate::validate) problem: String,
    /// How much it says about the rest.
    pub(in crate::validate) weight: Weight,
}

/// How far a finding makes other rules on the same value meaningless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::validate) enum Weight {
    /// The value is not of the kind that the schema speaks of: rules that read it would answer nonsense.
    Blocking,
    /// The value is of the right kind but outside of what is allowed.
    Ordinary,
    /// The field itself should not be there: it is shown by its key.
    Stray,
}

impl Finding {
    /// A value that is not allowed.
    pub(in crate::validate) fn on(
        path: &FieldPath,
        value: &Value,
        allowed: impl Into<String>,
    ) -> Self {
        let found = (!value.is_object() && !value.is_array()).then(|| shorten(value));
        Self {
            path: path.clone(),
            found,
            problem: allowed.into(),
            weight: Weight::Ordinary,
        }
    }

    /// A field that is missing.
    pub(in crate::validate) fn missing(path: FieldPath) -> Self {
        let problem = "is required".to_owned();
        Self {
            path,
            found: None,
            problem,
            weight: Weight::Blocking,
        }
    }

    /// A field that nobody knows.
    pub(in crate::validate) fn unknown<'a>(
        path: FieldPath,
        name: &str,
        siblings: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        /// More names than these are no help.
        const SHOWN: usize = 12;
        let siblings: Vec<&str> = siblings.into_iter().collect();
        let hint = match nearest(name, &siblings) {
            Some(near) => format!("did you mean {near}?"),
            None if siblings.is_empty() => "no field is allowed here".to_owned(),
            None if siblings.len() <= SHOWN => format!("allowed here are {}", siblings.join(", ")),
            None => format!("allowed here are {}, …", siblings[..SHOWN].join(", ")),
        };
        let problem = format!("is no known field: {hint}");
        Self {
            path,
            found: None,
            problem,
            weight: Weight::Stray,
        }
    }

    pub(super) fn blocking(self) -> Self {
        Self {
            weight: Weight::Blocking,
            ..self
        }
    }
}

/// What is allowed where `found` is none of `names`.
pub(in crate::validate) fn one_of(found: Option<&str>, names: &[&str]) -> String {
    if let [only] = names {
        return format!("must be {only}");
    }
    let hint = found
        .and_then(|found| nearest(found, names))
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    format!("must be one of {}{hint}", names.join(", "))
}

/// The name that was probably meant: at most a third of its letters differ, upper and lower case aside.
pub(in crate::validate) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&name, &candidate.to_lowercase());
    let (near, distance) = candidates
        .iter()
        .map(|candidate| (*candidate, distance(candidate)))
        .min_by_key(|(_, d)| *d)?;
    let contains = |a: &str, b: &str| a.len() >= 3 && b.to_lowercase().contains(a);
    if distance <= name.chars().count().max(near.chars().count()).div_ceil(3) {
        return Some(near);
    }
    // `backoffLimit` for `backoff`, `retries` for `maxRetries`.
    candidates
        .iter()
        .copied()
        .find(|candidate| contains(&name, candidate) || contains(&candidate.to_lowercase(), &name))
}

/// A value as JSON, cut where it gets long.
pub(in crate::validate) fn shorten(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = match value {
        Value::Number(number) => number
            .as_f64()
            .filter(|_| number.is_f64())
            .map_or_else(|| number.to_string(), |float| float.to_string()),
        _ => value.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    let start: String = text.chars().take(SHOWN - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let names = ["errorRate", "faults", "interval", "maxRetries", "rate"];
        assert_eq!(nearest("errorrate", &names), Some("errorRate"));
        assert_eq!(nearest("erorRate", &names), Some("errorRate"));
        assert_eq!(nearest("intreval", &names), Some("interval"));
        assert_eq!(nearest("fault", &names), Some("faults"));
        assert_eq!(nearest("retries", &names), Some("maxRetries"));
        assert_eq!(nearest("zzz", &names), None);
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shorten(&json!(1.0)), "1");
        assert_eq!(shorten(&json!("a")), "\"a\"");
        assert_eq!(shorten(&json!("x".repeat(100))).chars().count(), 60);
    }
}
