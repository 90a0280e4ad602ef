//! The newest record of each topic, read back from Kafka by a client of its own: what flows, seen from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ordermill_config::KafkaConnection;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_millis(200);
/// Time between looks for topics and partitions that are new.
const LOOK: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);

/// The newest record of a topic.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    pub key: String,
    pub value: String,
}

/// Follows topics in the background.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    newest: Arc<Mutex<BTreeMap<String, Newest>>>,
}

impl Tail {
    /// Follows every topic of an unsecured Kafka from now on, until cancelled. With security there is nothing to see: the
    /// workloads' credentials are not for looking.
    pub(super) fn start(connection: &KafkaConnection, cancelled: CancellationToken) -> Self {
        let tail = Self::default();
        if connection.tls.is_some() || connection.sasl.is_some() {
            return tail;
        }
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", connection.bootstrap_servers.as_str())
            .set("client.id", "ordermill-local-tail")
            .set("group.id", "ordermill-local-tail")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "100");
        let following = tail.clone();
        std::thread::spawn(move || {
            // What cannot be shown is not worth a line beside what the workloads say of the same Kafka.
            if let Ok(consumer) = config.create::<BaseConsumer>() {
                following.follow(&consumer, &cancelled);
            }
        });
        tail
    }

    /// The newest record of each topic that had one.
    pub(super) fn newest(&self) -> BTreeMap<String, Newest> {
        self.newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn follow(&self, consumer: &BaseConsumer, cancelled: &CancellationToken) {
        let mut known = TopicPartitionList::new();
        let mut looked: Option<std::time::Instant> = None;
        while !cancelled.is_cancelled() {
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                look(consumer, &mut known);
                looked = Some(std::time::Instant::now());
            }
            if let Some(Ok(message)) = consumer.poll(POLL) {
                let text = |bytes: Option<&[u8]>| {
                    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                };
                let newest = Newest {
                    key: text(message.key()),
                    value: text(message.payload()),
                };
                let mut all = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(message.topic().to_owned(), newest);
            }
        }
    }
}

/// Adds partitions that are new, from their end on.
fn look(consumer: &BaseConsumer, known: &mut TopicPartitionList) {
    let Ok(metadata) = consumer.fetch_metadata(None, TIMEOUT) else {
        return;
    };
    let mut added = TopicPartitionList::new();
    for topic in metadata
        .topics()
        .iter()
        .filter(|topic| !topic.name().starts_with("__"))
    {
        for partition in topic.partitions() {
            if known.find_partition(topic.name(), partition.id()).is_none() {
                known.add_partition(topic.name(), partition.id());
                // An offset of this kind is always accepted.
                _ = added.add_partition_offset(topic.name(), partition.id(), Offset::OffsetTail(1));
            }
        }
    }
    if added.count() > 0 {
        _ = consumer.incremental_assign(&added);
    }
}
