//! Every record of a topic, by librdkafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::Isolation;
use crate::kafka::plain_client;

/// How long one call of librdkafka may block: the deadline is looked at as often.
const STEP: Duration = Duration::from_millis(100);

/// A record as it lies in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub value: Option<Vec<u8>>,
    /// Names and values in their order; a value that is null reads as empty.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The first header of that name, as text; `None` also when it is no UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The key as text; `None` also when it is no UTF-8.
    #[must_use]
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The payload, read as JSON.
    ///
    /// # Errors
    /// When it is none; a null payload reads as JSON's `null`.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(self.value.as_deref().unwrap_or(b"null"))
    }
}

/// When enough has been read.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    condition: Condition,
    deadline: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    Count(usize),
    End,
}

impl Until {
    const DEADLINE: Duration = Duration::from_mins(1);

    /// As soon as so many records are there, of all partitions together.
    #[must_use]
    pub const fn count(records: usize) -> Self {
        Self {
            condition: Condition::Count(records),
            deadline: Self::DEADLINE,
        }
    }

    /// At what is the end of each partition when the reader gets there: the last stable offset for
    /// [`Isolation::ReadCommitted`], else the high watermark.
    #[must_use]
    pub const fn end() -> Self {
        Self {
            condition: Condition::End,
            deadline: Self::DEADLINE,
        }
    }

    /// Fails after `deadline` instead of a minute.
    #[must_use]
    pub const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

/// Why a topic was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// librdkafka refuses for good.
    #[error("topic {topic} cannot be read")]
    Client {
        /// Its name.
        topic: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// Time was up.
    #[error(
        "topic {topic}: {read} records read within {deadline:?}, that is not all; last error: {last}"
    )]
    Deadline {
        /// Its name.
        topic: String,
        /// How many were read.
        read: usize,
        /// How long was tried.
        deadline: Duration,
        /// What librdkafka said last, or `none`.
        last: String,
    },
    /// The test is shutting down.
    #[error("the reader was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
}

/// Reads `topic` from its beginning through the plain listener at `bootstrap`, and commits nothing. A broker that is down is
/// waited for. Records of one partition come in order; partitions are mixed.
///
/// # Errors
/// [`Error::Deadline`] when `until` did not come true in its time.
pub async fn read_all(
    bootstrap: &str,
    topic: &str,
    isolation: Isolation,
    until: Until,
) -> Result<Vec<Record>, Error> {
    let mut config = plain_client(bootstrap);
    config
        .set("group.id", crate::unique("reader"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("isolation.level", isolation.name());
    let topic = topic.to_owned();
    let read = move || {
        let failed = |source| Error::Client {
            topic: topic.clone(),
            source,
        };
        let reading = |consumer| Reading {
            consumer,
            topic: topic.clone(),
            until,
            begin: Instant::now(),
            last: None,
        };
        // A client that once was told that there is no such topic remembers it for longer than it is true.
        let partitions = reading(config.create().map_err(failed)?).partitions()?;
        reading(config.create().map_err(failed)?).run(partitions)
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(Error::Cancelled)?
}

struct Reading {
    consumer: BaseConsumer,
    topic: String,
    until: Until,
    begin: Instant,
    last: Option<KafkaError>,
}

impl Reading {
    fn run(mut self, partitions: usize) -> Result<Vec<Record>, Error> {
        self.assign(partitions)?;
        let ends = self.ends(partitions)?;
        let mut records = Vec::new();
        let mut ended: BTreeSet<i32> = BTreeSet::new();
        loop {
            let enough = match self.until.condition {
                Condition::Count(count) => records.len() >= count,
                Condition::End => ended.len() == partitions,
            };
            if enough {
                return Ok(records);
            }
            self.check_time(records.len())?;
            match self.consumer.poll(STEP) {
                Some(Ok(message)) => {
                    let partition = message.partition();
                    // What comes after the end of a partition belongs to the next reading.
                    let beyond = matches!(self.until.condition, Condition::End)
                        && ended.contains(&partition);
                    if !beyond {
                        records.push(record(&message));
                    }
                    // Where records keep coming, the client never meets the end itself.
                    let end = ends.get(&partition);
                    if end.is_some_and(|end| message.offset() + 1 >= *end) {
                        ended.insert(partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => self.last = Some(error),
                None => {}
            }
        }
    }

    /// Waits until the topic is there, and gives the number of its partitions.
    fn partitions(mut self) -> Result<usize, Error> {
        loop {
            self.check_time(0)?;
            match self.consumer.fetch_metadata(Some(&self.topic), STEP * 10) {
                Ok(metadata) => {
                    let topic = metadata.topics().first();
                    let partitions = topic.map_or(0, |topic| topic.partitions().len());
                    if partitions > 0 {
                        return Ok(partitions);
                    }
                }
                Err(error) => self.last = Some(error),
            }
            // An unknown topic is answered at once: do not ask in a busy loop.
            std::thread::sleep(STEP);
        }
    }

    /// Takes every partition from its beginning.
    fn assign(&self, partitions: usize) -> Result<(), Error> {
        let failed = |source| Error::Client {
            topic: self.topic.clone(),
            source,
        };
        let mut assignment = TopicPartitionList::with_capacity(partitions);
        for partition in (0..).take(partitions) {
            assignment
                .add_partition_offset(&self.topic, partition, Offset::Beginning)
                .map_err(failed)?;
        }
        self.consumer.assign(&assignment).map_err(failed)
    }

    /// The end of each partition when the reading begins; empty where that does not matter.
    fn ends(&mut self, partitions: usize) -> Result<BTreeMap<i32, i64>, Error> {
        let mut ends = BTreeMap::new();
        if !matches!(self.until.condition, Condition::End) {
            return Ok(ends);
        }
        for partition in (0..).take(partitions) {
            loop {
                self.check_time(0)?;
                let consumer = &self.consumer;
                match consumer.fetch_watermarks(&self.topic, partition, STEP * 10) {
                    Ok((_, end)) => {
                        ends.insert(partition, end);
                        break;
                    }
                    Err(error) => self.last = Some(error),
                }
            }
        }
        Ok(ends)
    }

    fn check_time(&self, read: usize) -> Result<(), Error> {
        if self.begin.elapsed() < self.until.deadline {
            return Ok(());
        }
        Err(Error::Deadline {
            topic: self.topic.clone(),
            read,
            deadline: self.until.deadline,
            last: self
                .last
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string),
        })
    }
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| {
                (
                    header.key.to_owned(),
                    header.value.unwrap_or_default().to_owned(),
                )
            })
            .collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_owned),
        value: message.payload().map(<[u8]>::to_owned),
        headers: headers.unwrap_or_default(),
    }
}
