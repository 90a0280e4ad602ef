//! What is sent for a dead letter: the message as it was, and how often it was replayed.

use ordermill_runtime::kafka::dead_letter::{DeadLetter, message_headers};
use ordermill_runtime::telemetry::names;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::dlq::letter::replays;

/// The record for a letter; `partitions` are those of the topic that it goes to.
pub(super) fn replayed<'a>(
    message: &'a impl Message,
    letter: &'a DeadLetter,
    partitions: i32,
) -> BaseRecord<'a, [u8], [u8]> {
    let mut record = BaseRecord::to(&letter.topic).headers(headers(message.headers()));
    // A topic that was made anew may have fewer: then the key decides.
    record.partition = (0..partitions)
        .contains(&letter.partition)
        .then_some(letter.partition);
    record.key = message.key();
    record.payload = message.payload();
    record.timestamp = message.timestamp().to_millis();
    record
}

fn headers(headers: Option<&impl Headers>) -> OwnedHeaders {
    let times = replays(headers).saturating_add(1).to_string();
    let own = message_headers(headers);
    let own = own.iter().filter(|it| it.key != names::HEADER_REPLAYED);
    let own = own.fold(OwnedHeaders::new(), OwnedHeaders::insert);
    own.insert(Header {
        key: names::HEADER_REPLAYED,
        value: Some(&times),
    })
}

/// Bytes that a record takes about.
pub(super) fn size(message: &impl Message) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = message.headers().map_or(0, |headers| {
        headers
            .iter()
            .map(|header| header.key.len() + length(header.value))
            .sum()
    });
    length(message.key()) + length(message.payload()) + headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rdkafka::message::OwnedMessage;

    use super::*;
    use crate::dlq::letter::testing::{headers as headers_of, letter, record};

    type Pairs = Vec<(String, Option<Vec<u8>>)>;

    fn sent(message: &OwnedMessage, partitions: i32) -> (Pairs, Option<i32>) {
        let letter = letter();
        let record = replayed(message, &letter, partitions);
        assert_eq!(record.topic, "orders");
        assert_eq!(record.key, message.key());
        assert_eq!(record.payload, message.payload());
        assert_eq!(record.timestamp, Some(1_795_341_600_000));
        let pair =
            |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        let headers = record.headers.unwrap();
        (headers.iter().map(pair).collect(), record.partition)
    }

    fn pairs(pairs: &[(&str, Option<&[u8]>)]) -> Pairs {
        let pair =
            |(key, value): &(&str, Option<&[u8]>)| ((*key).to_owned(), value.map(<[u8]>::to_vec));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn an_earlier_count_is_raised_and_stands_there_once() {
        let own = headers_of(&[
            ("a", Some(b"")),
            ("ordermill-replayed", Some(b"1")),
            ("a", None),
            ("ordermill-replayed", Some(b"2")),
        ]);
        let message = record(None, None, letter().headers(Some(&own)));
        let expected = pairs(&[
            ("a", Some(b"")),
            ("a", None),
            ("ordermill-replayed", Some(b"3")),
        ]);
        assert_eq!(sent(&message, 4).0, expected);
    }

    #[test]
    fn it_goes_to_its_partition_where_that_is_there() {
        let none: Option<&OwnedHeaders> = None;
        let message = record(Some(b"key"), Some(b""), letter().headers(none));
        assert_eq!(sent(&message, 4).1, Some(3));
        assert_eq!(sent(&message, 3).1, None);
    }

    #[test]
    fn what_a_record_takes_counts_all_of_it() {
        let message = record(
            Some(b"12"),
            Some(b"345"),
            headers_of(&[("a", Some(b"67")), ("b", None)]),
        );
        assert_eq!(size(&message), 2 + 3 + 1 + 2 + 1);
        assert_eq!(size(&record(None, None, OwnedHeaders::new())), 0);
    }

    proptest! {
        #[test]
        fn the_message_is_sent_as_it_was(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..99)),
            own in proptest::collection::vec(
                ("[a-z]{1,8}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9))), 0..9
            )
        ) {
            let own: Vec<_> = own.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
            let message = record(key.as_deref(), payload.as_deref(), letter().headers(Some(&headers_of(&own))));
            let mut expected = pairs(&own);
            expected.push(("ordermill-replayed".to_owned(), Some(b"1".to_vec())));
            prop_assert_eq!(sent(&message, 9).0, expected);
        }
    }
}
