//! Dead letters as text, and as one JSON document.

use serde::Serialize;

use super::view::{LetterView, OtherView};
use crate::dlq::content::{Lines, escaped, shown};
use crate::dlq::letter::place;
use crate::status::table::Paint;

/// Raised when a field changes its meaning or goes.
const VERSION: u32 = 1;
/// Characters of a payload that are shown at most.
const PAYLOAD: usize = 2000;
/// Characters of a key or of a header's value that are shown at most.
const VALUE: usize = 200;
/// Where values begin.
const COLUMN: usize = 12;

/// The lines of one letter.
pub(super) fn letter_lines(topic: &str, letter: &LetterView, color: bool) -> Vec<String> {
    let title = format!("{topic} {}", place(letter.partition, letter.offset));
    let mut lines = vec![Paint::Heading.on(&title, color)];
    let mut add = |name: &str, value: String| lines.push(field(name, &value));
    let from = &letter.from;
    let group = escaped(&from.group, Lines::Escaped);
    add(
        "from",
        format!(
            "{} {}, group {group}",
            from.topic,
            place(from.partition, from.offset)
        ),
    );
    let attempts = match letter.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let reason = escaped(&letter.reason, Lines::Escaped);
    add("reason", format!("{reason}, after {attempts}"));
    if !letter.message.is_empty() {
        add("message", escaped(&letter.message, Lines::Kept));
    }
    add("time", letter.time.to_string());
    if let Some(trace) = &letter.trace_id {
        add("trace", trace.clone());
    }
    if let Some(fault) = &letter.injected {
        let fault = escaped(fault, Lines::Escaped);
        add("injected", format!("{fault}: it failed on purpose"));
    }
    if let Some(words) = replayed(letter) {
        add("replayed", words);
    }
    if let Some(timestamp) = letter.timestamp {
        add("timestamp", timestamp.to_string());
    }
    add("key", shown(letter.key.as_ref(), VALUE, Lines::Escaped));
    let mut name = "headers";
    for header in &letter.headers {
        let value = shown(header.value.as_ref(), VALUE, Lines::Escaped);
        add(
            name,
            format!("{}: {value}", escaped(&header.name, Lines::Escaped)),
        );
        name = "";
    }
    add(
        "payload",
        shown(letter.payload.as_ref(), PAYLOAD, Lines::Kept),
    );
    lines
}

/// Whether it is replayed, and how often it was before it came here.
fn replayed(letter: &LetterView) -> Option<String> {
    let before = match letter.replays {
        0 => None,
        1 => Some("once before it came here".to_owned()),
        times => Some(format!("{times} times before it came here")),
    };
    let now = letter.replayed.map(|is| if is { "yes" } else { "not yet" });
    match (now, before) {
        (Some(now), Some(before)) => Some(format!("{now}; {before}")),
        (Some(now), None) => Some(now.to_owned()),
        (None, before) => before,
    }
}

fn field(name: &str, value: &str) -> String {
    let gap = format!("\n{:COLUMN$}", "");
    format!(
        "  {name:width$}{}",
        value.replace('\n', &gap),
        width = COLUMN - 2
    )
}

/// The line of a record that is no dead letter.
pub(super) fn other_line(topic: &str, other: &OtherView) -> String {
    let why = escaped(&other.why, Lines::Escaped);
    let place = place(other.partition, other.offset);
    format!("{topic} {place} is no dead letter: {why}")
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    topic: &'a str,
    letters: &'a [LetterView],
    /// Records that are no dead letters.
    others: &'a [OtherView],
}

/// The document of what was found: its fields are only ever added to.
pub(super) fn document(
    topic: &str,
    letters: &[LetterView],
    others: &[OtherView],
) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Document {
        version: VERSION,
        topic,
        letters,
        others,
    })
}

#[cfg(test)]
mod tests {
    use ordermill_runtime::kafka::dead_letter::{DeadLetter, DeadLetterReason, NotADeadLetter};
    use ordermill_runtime::telemetry::TraceContext;
    use rdkafka::message::OwnedHeaders;

    use super::super::view::letter_view;
    use super::*;
    use crate::dlq::letter::testing::{headers, letter, record};

    const TOPIC: &str = "orders.dead-letter";

    /// With all that a letter may have, and bytes of all kinds.
    fn full() -> LetterView {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let told = DeadLetter {
            message: "the order API answered with 500:\n\u{1b}[31mno such wood".to_owned(),
            trace: Some(TraceContext::parse(trace).unwrap()),
            injected: Some("errorRate".to_owned()),
            ..letter()
        };
        let own = headers(&[
            ("traceparent", Some(b"00-1-2-01")),
            ("ordermill-replayed", Some(b"2")),
            ("bytes", Some(&[0xff, 0xfe])),
            ("nothing", None),
        ]);
        let payload = b"{\n  \"wood_type\": \"oak\"\n}";
        let record = record(Some(b"CUST-0307"), Some(payload), told.headers(Some(&own)));
        letter_view(&record, told, Some(false))
    }

    /// With as little as a letter can have.
    fn bare() -> LetterView {
        let none: Option<&OwnedHeaders> = None;
        let told = DeadLetter {
            reason: DeadLetterReason::InvalidMessage.as_str().to_owned(),
            message: String::new(),
            attempts: 1,
            ..letter()
        };
        let record = record(None, None, told.headers(none));
        letter_view(&record, told, None)
    }

    #[test]
    fn letters_as_text() {
        let mut lines = letter_lines(TOPIC, &full(), false);
        lines.push(String::new());
        lines.extend(letter_lines(TOPIC, &bare(), false));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn letters_as_a_document() {
        let why = NotADeadLetter::Header("ordermill-dead-letter-reason");
        let other = OtherView::new(&record(None, None, OwnedHeaders::new()), &why);
        let document = document(TOPIC, &[full(), bare()], &[other]);
        insta::assert_json_snapshot!(document.unwrap());
    }

    #[test]
    fn a_record_that_is_no_letter_says_why() {
        let why = NotADeadLetter::Header("ordermill-dead-letter-reason");
        let other = OtherView::new(&record(None, None, OwnedHeaders::new()), &why);
        assert_eq!(
            other_line(TOPIC, &other),
            "orders.dead-letter partition 1 offset 7 is no dead letter: it has not one header \
             ordermill-dead-letter-reason"
        );
    }

    #[test]
    fn how_often_it_was_replayed_is_told_in_words() {
        let told = |replays, now| {
            replayed(&LetterView {
                replays,
                replayed: now,
                ..bare()
            })
        };
        assert_eq!(told(0, None), None);
        assert_eq!(told(0, Some(true)).as_deref(), Some("yes"));
        assert_eq!(
            told(1, Some(false)).as_deref(),
            Some("not yet; once before it came here")
        );
        assert_eq!(
            told(3, None).as_deref(),
            Some("3 times before it came here")
        );
    }
}
