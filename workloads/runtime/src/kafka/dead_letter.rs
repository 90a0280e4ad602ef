//! Dead letters: messages that could not be handled, as they were, with headers that say why.

use jiff::Timestamp;
use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::telemetry::{TraceContext, Traceparent, names};

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// It is not what the handler takes: repeating does not help.
    InvalidMessage,
    /// The API that it goes to refuses it: repeating does not help.
    Refused,
    /// Handling it failed as often as it may be repeated.
    RetriesExhausted,
}

impl DeadLetterReason {
    /// The word in headers, logs and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidMessage => "InvalidMessage",
            Self::Refused => "Refused",
            Self::RetriesExhausted => "RetriesExhausted",
        }
    }
}

/// What a dead letter says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why it is one: a word of [`DeadLetterReason`], or one of a later version.
    pub reason: String,
    /// The last error, in words.
    pub message: String,
    /// Attempts at handling it.
    pub attempts: u32,
    /// The topic that it comes from.
    pub topic: String,
    /// The partition that it comes from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The group that could not handle it.
    pub group: String,
    /// When it was given up.
    pub time: Timestamp,
    /// The span in which it was given up.
    pub trace: Option<TraceContext>,
    /// The fault that failed it on purpose, where one did.
    pub injected: Option<String>,
}

/// Why a message is no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADeadLetter {
    /// A header is missing, twice there, or no text.
    #[error("it has not one header {0}")]
    Header(&'static str),
    /// A header holds something else.
    #[error("its header {name} holds {value:?}")]
    Value {
        /// The header.
        name: &'static str,
        /// What it holds.
        value: String,
    },
}

impl DeadLetter {
    /// The headers of the dead letter: those of the message, then what it says of itself.
    #[must_use]
    pub fn headers(&self, message: Option<&impl Headers>) -> OwnedHeaders {
        let attempts = self.attempts.to_string();
        let (partition, offset) = (self.partition.to_string(), self.offset.to_string());
        let time = format!("{:.3}", self.time);
        let trace = self.trace.map(|trace| trace.traceparent());
        let own = [
            (names::HEADER_DEAD_LETTER_REASON, Some(self.reason.as_str())),
            (names::HEADER_DEAD_LETTER_MESSAGE, Some(&self.message)),
            (names::HEADER_DEAD_LETTER_ATTEMPTS, Some(&attempts)),
            (names::HEADER_DEAD_LETTER_TOPIC, Some(&self.topic)),
            (names::HEADER_DEAD_LETTER_PARTITION, Some(&partition)),
            (names::HEADER_DEAD_LETTER_OFFSET, Some(&offset)),
            (names::HEADER_DEAD_LETTER_GROUP, Some(&self.group)),
            (names::HEADER_DEAD_LETTER_TIME, Some(&time)),
            (
                names::HEADER_DEAD_LETTER_TRACEPARENT,
                trace.as_ref().map(Traceparent::as_str),
            ),
            (names::HEADER_DEAD_LETTER_INJECTED, self.injected.as_deref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        own.fold(message_headers(message), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
    }

    /// Reads what a dead letter says of itself.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn read(headers: Option<&impl Headers>) -> Result<Self, NotADeadLetter> {
        let optional = |name| text(headers, name);
        let required = |name| optional(name).ok_or(NotADeadLetter::Header(name));
        let trace = optional(names::HEADER_DEAD_LETTER_TRACEPARENT);
        Ok(Self {
            reason: required(names::HEADER_DEAD_LETTER_REASON)?,
            message: optional(names::HEADER_DEAD_LETTER_MESSAGE).unwrap_or_default(),
            attempts: parsed(headers, names::HEADER_DEAD_LETTER_ATTEMPTS)?,
            topic: required(names::HEADER_DEAD_LETTER_TOPIC)?,
            partition: parsed(headers, names::HEADER_DEAD_LETTER_PARTITION)?,
            offset: parsed(headers, names::HEADER_DEAD_LETTER_OFFSET)?,
            group: required(names::HEADER_DEAD_LETTER_GROUP)?,
            time: parsed(headers, names::HEADER_DEAD_LETTER_TIME)?,
            trace: trace.and_then(|trace| TraceContext::parse(&trace).ok()),
            injected: optional(names::HEADER_DEAD_LETTER_INJECTED),
        })
    }
}

/// The headers that a message had before it became a dead letter.
#[must_use]
pub fn message_headers(headers: Option<&impl Headers>) -> OwnedHeaders {
    let Some(headers) = headers else {
        return OwnedHeaders::new();
    };
    let own = headers
        .iter()
        .filter(|header| !header.key.starts_with(names::HEADER_DEAD_LETTER_PREFIX));
    own.fold(OwnedHeaders::new(), OwnedHeaders::insert)
}

/// The text of the last header of this name, as for all readers of Kafka headers.
#[must_use]
pub fn text(headers: Option<&impl Headers>, name: &str) -> Option<String> {
    let found = headers?.iter().filter(|header| header.key == name).last()?;
    String::from_utf8(found.value?.to_vec()).ok()
}

fn parsed<T: std::str::FromStr>(
    headers: Option<&impl Headers>,
    name: &'static str,
) -> Result<T, NotADeadLetter> {
    let value = text(headers, name).ok_or(NotADeadLetter::Header(name))?;
    let read = value.parse().ok();
    read.ok_or(NotADeadLetter::Value { name, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            reason: DeadLetterReason::RetriesExhausted.as_str().to_owned(),
            message: "the order API answered with 500".to_owned(),
            attempts: 6,
            topic: "orders".to_owned(),
            partition: 3,
            offset: 42,
            group: "order-check-group".to_owned(),
            time: "2026-11-22T10:00:00.123Z".parse().unwrap(),
            trace: Some(TraceContext::new_root(true)),
            injected: Some("errorRate".to_owned()),
        }
    }

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, Option<Vec<u8>>)> {
        let pair =
            |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        headers.iter().map(pair).collect()
    }

    #[test]
    fn a_missing_header_is_named() {
        let none: Option<&OwnedHeaders> = None;
        let missing = NotADeadLetter::Header(names::HEADER_DEAD_LETTER_REASON);
        assert_eq!(DeadLetter::read(none), Err(missing));
        let headers = letter().headers(none).insert(Header {
            key: names::HEADER_DEAD_LETTER_OFFSET,
            value: Some("later"),
        });
        let error = DeadLetter::read(Some(&headers)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "its header ordermill-dead-letter-offset holds \"later\""
        );
    }

    #[test]
    fn a_letter_that_failed_again_says_so_once() {
        let none: Option<&OwnedHeaders> = None;
        let first = letter();
        let again = DeadLetter {
            offset: 99,
            injected: None,
            ..letter()
        };
        let headers = again.headers(Some(&first.headers(none)));
        assert_eq!(DeadLetter::read(Some(&headers)), Ok(again));
        let offsets = headers
            .iter()
            .filter(|it| it.key == names::HEADER_DEAD_LETTER_OFFSET);
        assert_eq!(offsets.count(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_the_message_keeps_its_headers(
            message in "\\PC{0,80}", attempts: u32, partition in 0_i32.., offset in 0_i64..,
            own in proptest::collection::vec(("[a-z]{1,8}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9))), 0..5)
        ) {
            let own = own.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            let written = DeadLetter { message, attempts, partition, offset, ..letter() };
            let headers = written.headers(Some(&own));
            prop_assert_eq!(DeadLetter::read(Some(&headers)), Ok(written));
            prop_assert_eq!(pairs(&message_headers(Some(&headers))), pairs(&own));
        }
    }
}
