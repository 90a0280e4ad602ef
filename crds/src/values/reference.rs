//! Names of objects and addresses of services.

use std::str::FromStr;

use super::ValueError;
use super::bounds::{checked_text, inline_schema};

const NAME_MAX_LENGTH: usize = 253;
const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const URL_MAX_LENGTH: usize = 2048;
const URL_PATTERN: &str = r"^https?://[^\s/?#]+[^\s]*$";

/// The name of a Kubernetes object: a DNS subdomain of RFC 1123.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

fn is_object_name(text: &str) -> bool {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(end) && label.ends_with(end) && label.chars().all(|c| end(c) || c == '-')
    };
    text.len() <= NAME_MAX_LENGTH && text.split('.').all(label)
}

fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    text.len() <= URL_MAX_LENGTH
        && !text.contains(char::is_whitespace)
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
}

impl FromStr for ObjectName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if is_object_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let allowed = "use lower-case letters, digits, '-' or '.', beginning and ending with a letter or digit";
        Err(ValueError::new(
            text,
            "the name of a Kubernetes object",
            allowed,
        ))
    }
}

checked_text!(ObjectName);
inline_schema!(
    ObjectName,
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_MAX_LENGTH,
        "pattern": NAME_PATTERN,
    })
);

/// A Backend of the same namespace by its name, or any service by its http(s) URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendReference(String);

impl BackendReference {
    /// The URL, where this is one and not a Backend's name.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.contains("://").then_some(self.0.as_str())
    }
}

impl FromStr for BackendReference {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if is_object_name(text) || is_http_url(text) {
            return Ok(Self(text.to_owned()));
        }
        let allowed =
            "use the name of a Backend in the same namespace, or an http:// or https:// URL";
        Err(ValueError::new(text, "a backend", allowed))
    }
}

checked_text!(BackendReference);
inline_schema!(
    BackendReference,
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": URL_MAX_LENGTH,
        "pattern": format!("{NAME_PATTERN}|{URL_PATTERN}"),
    })
);

/// Where OTLP goes: an http or https URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TelemetryEndpoint(String);

impl FromStr for TelemetryEndpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if is_http_url(text) {
            return Ok(Self(text.to_owned()));
        }
        let allowed = "use an http:// or https:// URL, such as http://otel-collector:4317";
        Err(ValueError::new(text, "an OTLP endpoint", allowed))
    }
}

checked_text!(TelemetryEndpoint);
inline_schema!(
    TelemetryEndpoint,
    schemars::json_schema!({
        "type": "string",
        "minLength": 8,
        "maxLength": URL_MAX_LENGTH,
        "pattern": URL_PATTERN,
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_and_patterns_agree() {
        let name = regex::Regex::new(NAME_PATTERN).unwrap();
        let url = regex::Regex::new(URL_PATTERN).unwrap();
        for text in [
            "order",
            "a.b-c",
            "a",
            "A",
            "-a",
            "a-",
            "",
            "a..b",
            "a.-b",
            "a.",
            "http://order:5000",
            "https://x/y?z",
            "http://",
            "http:///x",
            "ftp://x",
            "http://a b",
            "order:5000",
        ] {
            assert_eq!(
                text.parse::<ObjectName>().is_ok(),
                name.is_match(text),
                "{text}"
            );
            assert_eq!(
                text.parse::<TelemetryEndpoint>().is_ok(),
                url.is_match(text),
                "{text}"
            );
            let either = name.is_match(text) || url.is_match(text);
            assert_eq!(text.parse::<BackendReference>().is_ok(), either, "{text}");
        }
    }
}
