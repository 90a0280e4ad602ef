//! Why a replay does not come to its end.

use std::collections::BTreeMap;
use std::io;

use super::screen;
use crate::dlq::kafka::{Beyond, BrokerError};

/// Why a replay does not come to its end. What was committed before is replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("it is not known what is replayed already")]
    Beyond(#[from] Beyond),
    #[error(
        "nothing is replayed: letters of {topic} come from topics that are not there: {}; create them first", list(.missing)
    )]
    NoTarget {
        topic: String,
        missing: BTreeMap<String, u64>,
    },
    #[error("nothing is replayed: there is no terminal to ask on; give --yes to go on unasked")]
    NobodyToAsk,
    #[error("nothing is replayed, as you say")]
    Declined,
    #[error("signals cannot be handled")]
    Signals(#[source] io::Error),
    #[error(
        "this replay of {topic} has lost its place ({why}): another one has begun, or it was held up for too long; what it had \
         not committed is not replayed, and nothing is replayed twice: replay again"
    )]
    Fenced { topic: String, why: String },
    #[error(
        "no broker answers to the commit of a batch of {topic} ({why}), so it is not known whether it is replayed: replay again, \
         nothing is replayed twice"
    )]
    Uncertain { topic: String, why: String },
    #[error("topic {target} does not take a letter: {why}; the rest is not replayed")]
    Letter {
        target: String,
        why: String,
        is_too_large: bool,
    },
    #[error(
        "nothing is replayed: this Kafka does not keep transactions ({why}), without which letters may be sent twice; the one \
         inside `ordermill local` does not"
    )]
    NoTransactions { why: String },
    #[error("a signal ended the replay: {} not replayed yet; replay again", screen::left(*.left))]
    Interrupted { left: u64 },
}

fn list(missing: &BTreeMap<String, u64>) -> String {
    let words = missing
        .iter()
        .map(|(topic, count)| format!("{topic} ({})", screen::letters(*count)));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_topics_are_named_with_what_they_lack() {
        let error = ReplayError::NoTarget {
            topic: "orders.dead-letter".to_owned(),
            missing: [("orders".to_owned(), 12), ("stocks".to_owned(), 1)].into(),
        };
        assert_eq!(
            error.to_string(),
            "nothing is replayed: letters of orders.dead-letter come from topics that are not there: orders (12 letters), \
             stocks (1 letter); create them first"
        );
    }

    #[test]
    fn an_interrupted_replay_says_what_is_left() {
        let told = |left| ReplayError::Interrupted { left }.to_string();
        assert_eq!(
            told(7),
            "a signal ended the replay: 7 letters are not replayed yet; replay again"
        );
        assert!(told(1).contains("1 letter is not replayed yet"));
    }
}
