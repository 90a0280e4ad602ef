//! Reading what lies in a topic, up to an end that is known before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{BrokerError, Kafka, Span};

/// How long one call may block.
const STEP: Duration = Duration::from_millis(100);
/// How long nothing may come before the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes next.
pub(crate) enum Next<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// Nothing just now.
    Nothing,
    /// Nothing any more: all spans are read.
    End,
}

/// Reads spans of a topic. Records of one partition come in order; partitions are mixed.
pub(crate) struct Reading<'a> {
    kafka: &'a Kafka,
    topic: &'a str,
    /// Ends of the partitions that are not read to their end yet.
    ends: BTreeMap<i32, i64>,
    quiet_since: Instant,
    /// What kept records from coming.
    last: Option<KafkaError>,
}

impl<'a> Reading<'a> {
    pub(crate) fn begin(
        kafka: &'a Kafka,
        topic: &'a str,
        spans: &[Span],
    ) -> Result<Self, BrokerError> {
        let mut reading = Self {
            kafka,
            topic,
            ends: BTreeMap::new(),
            quiet_since: Instant::now(),
            last: None,
        };
        let mut assignment = TopicPartitionList::new();
        for span in spans.iter().filter(|span| span.start < span.end) {
            assignment
                .add_partition_offset(topic, span.partition, Offset::Offset(span.start))
                .map_err(|error| reading.error(&error))?;
            reading.ends.insert(span.partition, span.end);
        }
        let assigned = kafka.client.assign(&assignment);
        assigned.map_err(|error| reading.error(&error))?;
        Ok(reading)
    }

    /// Waits for the next record, for a moment.
    pub(crate) fn next(&mut self) -> Result<Next<'a>, BrokerError> {
        if self.ends.is_empty() {
            return Ok(Next::End);
        }
        match self.kafka.client.poll(STEP) {
            Some(Ok(message)) => {
                self.quiet_since = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let Some(&end) = self.ends.get(&partition) else {
                    return Ok(Next::Nothing);
                };
                if offset + 1 >= end {
                    self.ends.remove(&partition);
                }
                // What was written since is for another reading.
                if offset < end {
                    return Ok(Next::Record(message));
                }
            }
            // Where transaction markers or aborted records are the last, no record tells the end.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.ends.remove(&partition);
            }
            Some(Err(error)) if is_final(&error) => return Err(self.error(&error)),
            Some(Err(error)) => self.last = Some(error),
            None => {}
        }
        if self.quiet_since.elapsed() > PATIENCE {
            let silence = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
            return Err(self.error(self.last.as_ref().unwrap_or(&silence)));
        }
        Ok(Next::Nothing)
    }

    fn error(&self, error: &KafkaError) -> BrokerError {
        self.kafka
            .own_error(format!("read topic {}", self.topic), error)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // What is fetched ahead goes; where that fails the next reading assigns anew all the same.
        _ = self.kafka.client.unassign();
    }
}

/// Whether waiting does not help. That its group may not be used does not matter to a reader by hand.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                Code::TopicAuthorizationFailed
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownTopic
                    | Code::UnknownPartition
            )
        )
}
