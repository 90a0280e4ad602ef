//! Topics of a broker.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;

use super::broker::START_DEADLINE;
use super::{Broker, Error};
use crate::wait::until;

const REQUEST_DEADLINE: Duration = Duration::from_secs(2);

impl Broker {
    /// Creates a topic and waits until each partition has its leader.
    ///
    /// # Errors
    /// [`Error::Topic`], [`Error::Client`].
    pub async fn create_topic(&self, name: &str, partitions: u16) -> Result<(), Error> {
        self.create_topic_with(name, partitions, &[]).await
    }

    /// Like [`create_topic`](Self::create_topic), with configuration (`("max.message.bytes", "1000")`).
    ///
    /// # Errors
    /// [`Error::Topic`], [`Error::Client`].
    pub async fn create_topic_with(
        &self,
        name: &str,
        partitions: u16,
        config: &[(&str, &str)],
    ) -> Result<(), Error> {
        let failed = |source| Error::Client {
            what: format!("creating the topic {name}"),
            source,
        };
        let admin: AdminClient<DefaultClientContext> = self.client().create().map_err(failed)?;
        let topic = NewTopic::new(name, partitions.into(), TopicReplication::Fixed(1));
        let topic = config
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let results = admin
            .create_topics([&topic], &AdminOptions::new())
            .await
            .map_err(failed)?;
        for result in results {
            result.map_err(|(topic, code)| Error::Topic { topic, code })?;
        }
        let metadata = Arc::new(self.client().create().map_err(failed)?);
        let there = async || {
            let seen = fetch_metadata(&metadata)
                .await
                .map_err(|error| error.to_string())?;
            let leaders = led_partitions(&seen, name).unwrap_or_default();
            if leaders == usize::from(partitions) {
                Ok(())
            } else {
                Err(format!("{leaders} have one"))
            }
        };
        until(START_DEADLINE, there).await.map_err(|_| {
            failed(KafkaError::MetadataFetch(
                RDKafkaErrorCode::OperationTimedOut,
            ))
        })
    }

    /// Sets a topic's configuration: what is not given goes back to the broker's default.
    ///
    /// # Errors
    /// [`Error::Topic`], [`Error::Client`].
    pub async fn configure_topic(&self, name: &str, config: &[(&str, &str)]) -> Result<(), Error> {
        let failed = |source| Error::Client {
            what: format!("configuring the topic {name}"),
            source,
        };
        let admin: AdminClient<DefaultClientContext> = self.client().create().map_err(failed)?;
        let topic = AlterConfig::new(ResourceSpecifier::Topic(name));
        let topic = config
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let results = admin
            .alter_configs([&topic], &AdminOptions::new())
            .await
            .map_err(failed)?;
        for result in results {
            result.map_err(|(_, code)| Error::Topic {
                topic: name.to_owned(),
                code,
            })?;
        }
        Ok(())
    }

    /// How many partitions a topic has; `None` when there is no such topic.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn partitions_of(&self, topic: &str) -> Result<Option<usize>, Error> {
        let failed = |source| Error::Client {
            what: "reading the topics".to_owned(),
            source,
        };
        let consumer = Arc::new(self.client().create().map_err(failed)?);
        let metadata = until(START_DEADLINE, async || fetch_metadata(&consumer).await).await;
        let metadata = metadata.map_err(|timed_out| {
            let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
            failed(timed_out.last.unwrap_or(late))
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map(|topic| topic.partitions().len()))
    }
}

/// Asks for the metadata of all topics; librdkafka's call blocks.
pub(super) async fn fetch_metadata(consumer: &Arc<BaseConsumer>) -> Result<Metadata, KafkaError> {
    let consumer = Arc::clone(consumer);
    tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, REQUEST_DEADLINE))
        .await
        .map_err(|_| KafkaError::Canceled)?
}

/// How many partitions of `topic` have a leader; `None` when there is no such topic.
pub(super) fn led_partitions(metadata: &Metadata, topic: &str) -> Option<usize> {
    let topic = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic)?;
    let led = |leader| {
        metadata
            .brokers()
            .iter()
            .any(|broker| broker.id() == leader)
    };
    Some(
        topic
            .partitions()
            .iter()
            .filter(|partition| led(partition.leader()))
            .count(),
    )
}
