//! A dead letter, ready to be shown.

use jiff::Timestamp;
use ordermill_runtime::kafka::dead_letter::{DeadLetter, NotADeadLetter, message_headers};
use rdkafka::message::{Header, Headers as _, Message};
use serde::Serialize;

use crate::dlq::content::Content;
use crate::dlq::letter::replays;

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LetterView {
    pub partition: i32,
    pub offset: i64,
    pub from: Source,
    pub reason: String,
    pub message: String,
    pub attempts: u32,
    /// When it was given up.
    pub time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The fault that failed it on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// How often the message was replayed before it came here.
    pub replays: u64,
    /// Whether this letter is replayed; unknown where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
    /// The message's own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    pub key: Option<Content>,
    pub headers: Vec<HeaderView>,
    pub payload: Option<Content>,
}

/// Where a dead letter comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub group: String,
}

/// A header that the message had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct HeaderView {
    pub name: String,
    pub value: Option<Content>,
}

/// A record that is no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OtherView {
    pub partition: i32,
    pub offset: i64,
    pub why: String,
}

impl OtherView {
    pub(super) fn new(message: &impl Message, why: &NotADeadLetter) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            why: why.to_string(),
        }
    }
}

/// What is shown of a dead letter.
pub(super) fn letter_view(
    message: &impl Message,
    letter: DeadLetter,
    replayed: Option<bool>,
) -> LetterView {
    let headers = message_headers(message.headers());
    let header = |header: Header<'_, &[u8]>| HeaderView {
        name: header.key.to_owned(),
        value: header.value.map(Content::of),
    };
    let timestamp = message.timestamp().to_millis();
    LetterView {
        partition: message.partition(),
        offset: message.offset(),
        from: Source {
            topic: letter.topic,
            partition: letter.partition,
            offset: letter.offset,
            group: letter.group,
        },
        reason: letter.reason,
        message: letter.message,
        attempts: letter.attempts,
        time: letter.time,
        trace_id: letter.trace.map(|trace| trace.trace_id().to_string()),
        injected: letter.injected,
        replays: replays(message.headers()),
        replayed,
        timestamp: timestamp.and_then(|time| Timestamp::from_millisecond(time).ok()),
        key: message.key().map(Content::of),
        headers: headers.iter().map(header).collect(),
        payload: message.payload().map(Content::of),
    }
}
