//! What a record of a dead-letter topic is.

use ordermill_crds::values::TopicName;
use ordermill_runtime::kafka::dead_letter::{DeadLetter, NotADeadLetter, text};
use ordermill_runtime::telemetry::names;
use rdkafka::message::Headers;

/// Reads what a dead letter says of itself; the topic that it names can be one.
pub(super) fn dead_letter(headers: Option<&impl Headers>) -> Result<DeadLetter, NotADeadLetter> {
    let letter = DeadLetter::read(headers)?;
    match letter.topic.parse::<TopicName>() {
        Ok(_) => Ok(letter),
        Err(_) => Err(NotADeadLetter::Value {
            name: names::HEADER_DEAD_LETTER_TOPIC,
            value: letter.topic,
        }),
    }
}

/// How often a message was replayed before it became this dead letter.
pub(super) fn replays(headers: Option<&impl Headers>) -> u64 {
    let told = text(headers, names::HEADER_REPLAYED);
    told.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What its place in the topic is called.
pub(super) fn place(partition: i32, offset: i64) -> String {
    format!("partition {partition} offset {offset}")
}

#[cfg(test)]
pub(super) mod testing {
    use ordermill_runtime::kafka::dead_letter::{DeadLetter, DeadLetterReason};
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    /// A dead letter of `orders`.
    pub(crate) fn letter() -> DeadLetter {
        DeadLetter {
            reason: DeadLetterReason::RetriesExhausted.as_str().to_owned(),
            message: "the order API answered with 500".to_owned(),
            attempts: 6,
            topic: "orders".to_owned(),
            partition: 3,
            offset: 42,
            group: "order-check-group".to_owned(),
            time: "2026-11-22T10:00:00.123Z".parse().unwrap(),
            trace: None,
            injected: None,
        }
    }

    /// Headers, in their order.
    pub(crate) fn headers(pairs: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
        let insert = |headers: OwnedHeaders, &(key, value): &(&str, Option<&[u8]>)| {
            headers.insert(Header { key, value })
        };
        pairs.iter().fold(OwnedHeaders::new(), insert)
    }

    /// A record of `orders.dead-letter`, in partition 1 at offset 7.
    pub(crate) fn record(
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> OwnedMessage {
        let (payload, key) = (payload.map(<[u8]>::to_vec), key.map(<[u8]>::to_vec));
        let time = Timestamp::CreateTime(1_795_341_600_000);
        let topic = "orders.dead-letter".to_owned();
        OwnedMessage::new(payload, key, topic, time, 1, 7, Some(headers))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::testing::{headers, letter};
    use super::*;

    #[test]
    fn a_letter_that_names_no_topic_is_none() {
        let none: Option<&OwnedHeaders> = None;
        for wrong in ["", "a b", "..", "ü"] {
            let headers = letter().headers(none).insert(Header {
                key: names::HEADER_DEAD_LETTER_TOPIC,
                value: Some(wrong),
            });
            let error = dead_letter(Some(&headers)).unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
        let headers = letter().headers(none);
        assert_eq!(dead_letter(Some(&headers)), Ok(letter()));
    }

    #[test]
    fn a_header_that_is_no_number_counts_as_no_replay() {
        let name = names::HEADER_REPLAYED;
        let of = |pairs: &[(&str, Option<&[u8]>)]| replays(Some(&headers(pairs)));
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(name, Some(b"2"))]), 2);
        assert_eq!(of(&[(name, Some(b"many"))]), 0);
        assert_eq!(of(&[(name, None)]), 0);
    }
}
