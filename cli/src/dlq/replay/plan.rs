//! What a replay is about to do.

use std::collections::BTreeMap;

use ordermill_runtime::kafka::dead_letter::{DeadLetter, NotADeadLetter};
use rdkafka::message::Message as _;

use super::ReplayError;
use crate::dlq::kafka::{BrokerError, Kafka, Next, Reading, Span};
use crate::dlq::letter::{dead_letter, place};
use crate::dlq::ticker::Ticker;

/// The topics that letters go to, each with its number of partitions.
pub(super) type Targets = BTreeMap<String, i32>;

/// What a replay of these spans does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub spans: Vec<Span>,
    /// Letters in the spans.
    pub letters: u64,
    /// Those that are to be replayed, by the topics that they go to.
    pub targets: BTreeMap<String, u64>,
    /// Records that are no dead letters.
    pub others: u64,
    /// The first of them, and why it is none.
    pub first_other: Option<String>,
}

impl Plan {
    /// Reads the spans, in the order of the replay.
    pub(super) fn make(
        kafka: &Kafka,
        topic: &str,
        spans: Vec<Span>,
        limit: Option<u64>,
    ) -> Result<Self, BrokerError> {
        let mut plan = Self::default();
        let mut ticker = Ticker::new();
        for span in &spans {
            let mut reading = Reading::begin(kafka, topic, &[*span])?;
            loop {
                match reading.next()? {
                    Next::Record(message) => {
                        let place = || place(message.partition(), message.offset());
                        plan.take(&dead_letter(message.headers()), place, limit);
                        ticker.tick(|| format!("{topic}: {} letters found", plan.letters));
                    }
                    Next::Nothing => {}
                    Next::End => break,
                }
            }
        }
        plan.spans = spans;
        Ok(plan)
    }

    fn take(
        &mut self,
        record: &Result<DeadLetter, NotADeadLetter>,
        place: impl FnOnce() -> String,
        limit: Option<u64>,
    ) {
        match record {
            Ok(letter) => {
                self.letters += 1;
                if limit.is_none_or(|limit| self.letters <= limit) {
                    *self.targets.entry(letter.topic.clone()).or_default() += 1;
                }
            }
            Err(why) => {
                self.others += 1;
                self.first_other
                    .get_or_insert_with(|| format!("{}: {why}", place()));
            }
        }
    }

    /// Makes sure that the topics are there that letters go to: all of them, or nothing is replayed.
    pub(super) fn check(&self, kafka: &Kafka, topic: &str) -> Result<Targets, ReplayError> {
        let (mut targets, mut missing) = (Targets::new(), BTreeMap::new());
        for (target, letters) in &self.targets {
            match kafka.partitions(target) {
                Ok(partitions) => {
                    let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
                    targets.insert(target.clone(), count);
                }
                Err(BrokerError::NoTopic { .. }) => {
                    missing.insert(target.clone(), *letters);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if missing.is_empty() {
            return Ok(targets);
        }
        let topic = topic.to_owned();
        Err(ReplayError::NoTarget { topic, missing })
    }

    /// How many letters are to be replayed.
    pub(super) fn chosen(&self) -> u64 {
        self.targets.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::letter::testing::letter;

    #[test]
    fn letters_are_chosen_in_order_up_to_the_limit() {
        let of = |topic: &str| {
            let topic = topic.to_owned();
            Ok(DeadLetter { topic, ..letter() })
        };
        let other = || Err(NotADeadLetter::Header("ordermill-dead-letter-reason"));
        let records = [of("a"), other(), of("b"), other(), of("a"), of("c")];
        let plan = |limit| {
            let mut plan = Plan::default();
            for (index, record) in records.iter().enumerate() {
                plan.take(record, || format!("place {index}"), limit);
            }
            plan
        };
        let all = plan(None);
        assert_eq!((all.letters, all.chosen(), all.others), (4, 4, 2));
        let first = "place 1: it has not one header ordermill-dead-letter-reason";
        assert_eq!(all.first_other.as_deref(), Some(first));
        let three = plan(Some(3));
        assert_eq!((three.letters, three.chosen()), (4, 3));
        let targets = [("a".to_owned(), 2), ("b".to_owned(), 1)];
        assert_eq!(three.targets, targets.into(), "nothing goes to c");
    }
}
