//! Names and addresses of Kafka.

use std::str::FromStr;

use super::ValueError;
use super::bounds::{checked_text, inline_schema};

/// A topic name: 1 to 249 of `a-z A-Z 0-9 . _ -`, neither `.` nor `..` (Kafka's `Topic.validate`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(String);

const NAME_MAX_LENGTH: usize = 249;

fn is_kafka_name(text: &str) -> bool {
    let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=NAME_MAX_LENGTH).contains(&text.len()) && text.chars().all(character)
}

impl FromStr for TopicName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if is_kafka_name(text) && !matches!(text, "." | "..") {
            return Ok(Self(text.to_owned()));
        }
        let allowed = "use 1 to 249 letters, digits, '.', '_' or '-', but not '.' or '..' alone";
        Err(ValueError::new(text, "a Kafka topic name", allowed))
    }
}

checked_text!(TopicName);
inline_schema!(
    TopicName,
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_MAX_LENGTH,
        "pattern": "^[a-zA-Z0-9._-]+$",
        "x-kubernetes-validations": [{
            "rule": "self != '.' && self != '..'",
            "message": "a topic cannot be named '.' or '..'",
        }],
    })
);

/// A consumer group id: 1 to 249 of `a-z A-Z 0-9 . _ -`, the part of Kafka's rule that every tool can handle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerGroup(String);

impl FromStr for ConsumerGroup {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if is_kafka_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let allowed = "use 1 to 249 letters, digits, '.', '_' or '-'";
        Err(ValueError::new(text, "a consumer group", allowed))
    }
}

checked_text!(ConsumerGroup);
inline_schema!(
    ConsumerGroup,
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_MAX_LENGTH,
        "pattern": "^[a-zA-Z0-9._-]+$",
    })
);

/// One or more `host:port` of brokers, separated by commas; an IPv6 host stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootstrapServers(String);

const SERVERS_MAX_LENGTH: usize = 2048;
const SERVERS_ALLOWED: &str = "use host:port, several separated by commas, ports 1 to 65535";

impl BootstrapServers {
    /// The single addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.0.split(',')
    }
}

fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let port_fits = port.len() <= 5
        && !port.starts_with('0')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    let host_fits = if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        !inner.is_empty()
            && inner
                .chars()
                .all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
    } else {
        let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !host.is_empty() && host.chars().all(character)
    };
    port_fits && host_fits
}

impl FromStr for BootstrapServers {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() <= SERVERS_MAX_LENGTH && text.split(',').all(is_address) {
            return Ok(Self(text.to_owned()));
        }
        Err(ValueError::new(
            text,
            "a list of Kafka bootstrap servers",
            SERVERS_ALLOWED,
        ))
    }
}

checked_text!(BootstrapServers);
inline_schema!(BootstrapServers, {
    let port =
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
    let address = format!(r"([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):{port}");
    schemars::json_schema!({
        "type": "string",
        "minLength": 3,
        "maxLength": SERVERS_MAX_LENGTH,
        "pattern": format!("^{address}(,{address})*$"),
    })
});

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;

    #[test]
    fn parser_and_schema_agree_on_addresses() {
        let schema = BootstrapServers::json_schema(&mut schemars::SchemaGenerator::default());
        let pattern = schema.get("pattern").unwrap().as_str().unwrap();
        let pattern = regex::Regex::new(pattern).unwrap();
        for (text, good) in [
            ("kafka:9092", true),
            ("a.b-c_d:1,[::1]:65535", true),
            ("10.0.0.1:19092", true),
            ("kafka", false),
            ("kafka:", false),
            ("kafka:0", false),
            ("kafka:65536", false),
            ("kafka:09", false),
            ("kafka:+9", false),
            (":9092", false),
            ("a:1,", false),
            ("a:1, b:2", false),
            ("http://a:1", false),
        ] {
            assert_eq!(
                text.parse::<BootstrapServers>().is_ok(),
                good,
                "parser on {text}"
            );
            assert_eq!(pattern.is_match(text), good, "schema on {text}");
        }
    }

    #[test]
    fn topic_names_follow_kafka() {
        for good in ["orders", "order.placed", "a_b-C9", &"x".repeat(249)] {
            assert!(good.parse::<TopicName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(bad.parse::<TopicName>().is_err(), "{bad}");
        }
    }
}
