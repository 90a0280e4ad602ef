//! Kafka as the commands for dead letters use it: topics, what lies in them, and how far they are replayed.

mod context;
mod error;
mod progress;
mod reading;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ordermill_config::{KafkaConnection, kafka_from_environment, process_variables};
use ordermill_crds::values::BootstrapServers;
use ordermill_runtime::kafka::{ConnectionError, client_config};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};

use self::context::hear;

pub(super) use self::context::Ear;
pub(super) use self::error::{BrokerError, words};
pub(super) use self::progress::{Beyond, Committed, Ledger, Settled, pending, replay_group};
pub(super) use self::reading::{Next, Reading};

/// Bound of one request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The first attempt at a request: what keeps it from being answered is looked at as soon.
const FIRST_STEP: Duration = Duration::from_millis(250);
/// Time between two questions for a leader.
const BACKOFF: Duration = Duration::from_millis(100);
/// The client's name in the brokers' logs and quotas.
const CLIENT_ID: &str = "ordermill-dlq";
/// The end of a dead-letter topic's name by default.
const SUFFIX: &str = ".dead-letter";

/// How Kafka is found.
#[derive(Debug, Args)]
pub(super) struct KafkaOptions {
    /// Addresses of brokers; the variables `KAFKA_TLS_…` and `KAFKA_SASL_…` give their security.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "HOST:PORT")]
    kafka: BootstrapServers,
}

/// Offsets of a partition: from `start` up to `end`, which is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub partition: i32,
    pub start: i64,
    pub end: i64,
}

/// A Kafka that has answered.
pub(super) struct Kafka {
    connection: KafkaConnection,
    /// Sees committed records alone. Its group is a name without a meaning: it assigns its partitions by hand.
    client: BaseConsumer<Ear>,
}

impl Kafka {
    /// Connects.
    pub(super) fn connect(options: &KafkaOptions) -> Result<Self, BrokerError> {
        let connection = kafka_from_environment(options.kafka.clone(), &process_variables())
            .map_err(BrokerError::Environment)?;
        let client = client_config(&connection, CLIENT_ID)?
            .set("group.id", CLIENT_ID)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            // The end of a partition is told after this.
            .set("fetch.wait.max.ms", "50")
            .create_with_context(Ear::default())
            .map_err(ConnectionError::Client)?;
        Ok(Self { connection, client })
    }

    /// Settings of another client of this Kafka.
    pub(super) fn config(&self) -> Result<ClientConfig, ConnectionError> {
        client_config(&self.connection, CLIENT_ID)
    }

    /// What an error means that came back when it was tried `to` do something, by a client that has `heard` more.
    pub(super) fn error(&self, to: String, error: &KafkaError, heard: &Ear) -> BrokerError {
        let servers = self.connection.bootstrap_servers.as_str();
        BrokerError::of(servers, to, error, heard)
    }

    fn own_error(&self, to: impl Into<String>, error: &KafkaError) -> BrokerError {
        self.error(to.into(), error, self.client.context())
    }

    /// The topics that hold dead letters by their name, sorted.
    pub(super) fn dead_letter_topics(&self) -> Result<Vec<String>, BrokerError> {
        let metadata = self.metadata(None)?;
        let names = metadata.topics().iter().map(MetadataTopic::name);
        let mut names: Vec<_> = names
            .filter(|name| name.ends_with(SUFFIX))
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    /// The partitions of a topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Vec<i32>, BrokerError> {
        let metadata = self.metadata(Some(topic))?;
        let found = metadata.topics().iter().find(|it| it.name() == topic);
        let missing = || BrokerError::NoTopic {
            topic: topic.to_owned(),
        };
        let found = found.ok_or_else(missing)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(found
                .partitions()
                .iter()
                .map(MetadataPartition::id)
                .collect()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Err(missing()),
            Some(code) => {
                let error = KafkaError::MetadataFetch(code);
                Err(self.own_error(format!("see topic {topic}"), &error))
            }
        }
    }

    /// All that committed readers find in these partitions now.
    pub(super) fn spans(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, BrokerError> {
        let span = |&partition: &i32| {
            let (start, end) = self.watermarks(topic, partition).map_err(|error| {
                self.own_error(
                    format!("see the end of partition {partition} of topic {topic}"),
                    &error,
                )
            })?;
            Ok(Span {
                partition,
                start,
                end,
            })
        };
        partitions.iter().map(span).collect()
    }

    /// The offsets of the first record of a partition and after its last one.
    fn watermarks(&self, topic: &str, partition: i32) -> KafkaResult<(i64, i64)> {
        let end = Instant::now() + TIMEOUT;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            match self.client.fetch_watermarks(topic, partition, rest) {
                // A broker that has just started, and a partition that moves, have a leader soon.
                Err(error) if has_no_leader(&error) && rest > BACKOFF => thread::sleep(BACKOFF),
                marks => return marks,
            }
        }
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, BrokerError> {
        let end = Instant::now() + TIMEOUT;
        let mut step = FIRST_STEP;
        self.client.context().down.store(false, Ordering::Release);
        loop {
            let asked = self.client.fetch_metadata(topic, step);
            let error = match asked {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            hear(&self.client);
            let is_down = self.client.context().down.load(Ordering::Acquire);
            let rest = end.saturating_duration_since(Instant::now());
            if is_down || rest.is_zero() {
                return Err(self.own_error("see the topics", &error));
            }
            step = rest.min(2 * step);
        }
    }
}

fn has_no_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable)
    )
}
