//! Kafka inside this process: librdkafka's own cluster, which speaks the real protocol on a real port.

use std::collections::BTreeSet;

use ordermill_crds::Topic;
use ordermill_crds::values::BootstrapServers;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of a topic that asks for none.
const PARTITIONS: i32 = 3;

/// What members of a group have there, unless their resource says otherwise: a rebalance of this cluster lasts as long as
/// a session but for a second, and commits wait for it.
pub(super) const MEMBER_PROPERTIES: [(&str, &str); 2] = [
    ("session.timeout.ms", "3000"),
    ("heartbeat.interval.ms", "500"),
];

/// A broker inside this process; it ends with it.
pub(super) struct EmbeddedKafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    bootstrap_servers: BootstrapServers,
    topics: BTreeSet<String>,
}

impl EmbeddedKafka {
    pub(super) fn start() -> Result<Self, KafkaError> {
        let cluster = MockCluster::new(1)?;
        let address = cluster.bootstrap_servers();
        let bootstrap_servers = address
            .parse()
            .map_err(|_| KafkaError::ClientCreation(format!("unusable address {address}")))?;
        Ok(Self {
            cluster,
            bootstrap_servers,
            topics: BTreeSet::new(),
        })
    }

    pub(super) fn bootstrap_servers(&self) -> &BootstrapServers {
        &self.bootstrap_servers
    }

    /// Makes a topic that is not there yet; this cluster has no admin calls.
    pub(super) fn create(&mut self, topic: &Topic) {
        let name = topic.name.as_str();
        if !self.topics.insert(name.to_owned()) {
            return;
        }
        let partitions = topic.partitions.unwrap_or(PARTITIONS);
        match self.cluster.create_topic(name, partitions, 1) {
            Ok(()) if topic.config.is_empty() => {}
            Ok(()) => tracing::warn!(
                topic = name,
                "the embedded Kafka has no topic configuration"
            ),
            Err(error) => tracing::error!(topic = name, "the topic cannot be created: {error}"),
        }
    }
}
