//! How far a dead-letter topic is replayed: the offsets of a group of its own, one for each partition.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ordermill_runtime::kafka::ConnectionError;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::context::hear;
use super::{BrokerError, Ear, Kafka, Span};

/// Bound of the whole question, while the group's coordinator is found or moves.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bound of one attempt: what keeps it from being answered is looked at as often.
const STEP: Duration = Duration::from_secs(1);

/// The next offset to replay, by partition; absent where nothing was replayed.
pub(crate) type Committed = BTreeMap<i32, i64>;

/// The consumer group whose committed offsets are the progress.
pub(crate) fn replay_group(topic: &str) -> String {
    format!("ordermill-dlq-replay.{topic}")
}

/// Which progress is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// What is committed now, without waiting for a transaction that is open.
    Now,
    /// What is committed when no transaction of the replay is open any more.
    Finally,
}

/// Asks for the progress, and stands for its group in transactions. It never subscribes.
pub(crate) struct Ledger<'a> {
    kafka: &'a Kafka,
    topic: &'a str,
    client: BaseConsumer<Ear>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(
        kafka: &'a Kafka,
        topic: &'a str,
        settled: Settled,
    ) -> Result<Self, BrokerError> {
        let isolation = match settled {
            Settled::Now => "read_uncommitted",
            Settled::Finally => "read_committed",
        };
        let client = kafka
            .config()?
            .set("group.id", replay_group(topic))
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .create_with_context(Ear::default())
            .map_err(ConnectionError::Client)?;
        Ok(Self {
            kafka,
            topic,
            client,
        })
    }

    /// The progress of these partitions.
    pub(crate) fn committed(&self, partitions: &[i32]) -> Result<Committed, BrokerError> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let mut wanted = TopicPartitionList::new();
            for partition in partitions {
                wanted.add_partition(self.topic, *partition);
            }
            let asked = self.client.committed_offsets(wanted, STEP);
            let error = match asked.and_then(|list| offsets(&list)) {
                Ok(committed) => return Ok(committed),
                Err(error) => error,
            };
            // That the group may not be seen is told to who listens, not to who asks.
            let refused = hear(&self.client).into_iter().find(is_forbidden);
            let error = refused.unwrap_or(error);
            if Instant::now() >= end || !passes(&error) {
                return Err(self.error(&error));
            }
        }
    }

    /// What stands for the group in a transaction.
    pub(crate) fn group(&self) -> Result<ConsumerGroupMetadata, KafkaError> {
        let none = || KafkaError::ClientCreation("the group has no metadata".to_owned());
        self.client.group_metadata().ok_or_else(none)
    }

    fn error(&self, error: &KafkaError) -> BrokerError {
        let (topic, group) = (self.topic, replay_group(self.topic));
        let to = format!("see how far {topic} is replayed (group {group})");
        self.kafka.error(to, error, self.client.context())
    }
}

fn offsets(list: &TopicPartitionList) -> Result<Committed, KafkaError> {
    let mut committed = Committed::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            committed.insert(element.partition(), offset);
        }
    }
    Ok(committed)
}

fn is_forbidden(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
}

/// Whether the same question may be answered soon.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::WaitingForCoordinator
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::UnstableOffsetCommit
                | Code::BrokerTransportFailure
        )
    )
}

/// A progress that lies behind the end of its partition: the partition was cut, or is another than it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "partition {partition} ends at offset {end}, before offset {committed}, which it is replayed up to: it was made anew or \
     lost its end; delete the offsets of group {group} to replay it from its beginning"
)]
pub(crate) struct Beyond {
    pub partition: i32,
    pub end: i64,
    pub committed: i64,
    pub group: String,
}

/// What of these spans is not replayed yet.
pub(crate) fn pending(
    topic: &str,
    spans: &[Span],
    committed: &Committed,
) -> Result<Vec<Span>, Beyond> {
    let rest = spans.iter().map(|span| {
        let Some(&committed) = committed.get(&span.partition) else {
            return Ok(*span);
        };
        if committed > span.end {
            return Err(Beyond {
                partition: span.partition,
                end: span.end,
                committed,
                group: replay_group(topic),
            });
        }
        // What is older than the start has passed its retention.
        Ok(Span {
            start: committed.max(span.start),
            ..*span
        })
    });
    rest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        partition: 1,
        start: 5,
        end: 9,
    };

    fn rest(committed: Option<i64>) -> Result<(i64, i64), Beyond> {
        let committed = committed.map(|offset| (1, offset)).into_iter().collect();
        let spans = pending("a", &[SPAN], &committed)?;
        Ok((spans[0].start, spans[0].end))
    }

    #[test]
    fn a_replay_goes_on_where_the_last_one_was() {
        assert_eq!(rest(None), Ok((5, 9)));
        assert_eq!(rest(Some(7)), Ok((7, 9)));
        assert_eq!(rest(Some(9)), Ok((9, 9)));
        assert_eq!(rest(Some(3)), Ok((5, 9)), "older ones are gone");
    }

    #[test]
    fn a_progress_behind_the_end_is_told_and_not_guessed_about() {
        let told = rest(Some(10)).unwrap_err().to_string();
        assert!(
            told.starts_with("partition 1 ends at offset 9, before offset 10"),
            "{told}"
        );
        assert!(told.contains("ordermill-dlq-replay.a"), "{told}");
    }
}
