//! Where messages go that cannot be handled.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ordermill_config::{ConsumerSettings, FailureSettings, KafkaConnection, full_error};
use ordermill_runtime::Workload;
use ordermill_runtime::kafka::dead_letter::DeadLetter;
use ordermill_runtime::kafka::{ConnectionError, Publication, Publisher, TooLarge};
use rdkafka::message::Message as _;

use crate::handler::HandleError;
use crate::incoming::Incoming;

/// A longer text of an error would only repeat what the message holds.
const MESSAGE_MAX_LENGTH: usize = 1000;

/// Puts messages on their dead-letter topics.
pub(crate) struct DeadLetters {
    publisher: Publisher,
    /// By source topic.
    topics: BTreeMap<String, String>,
    group: String,
}

impl DeadLetters {
    /// For these settings; none where messages do not become dead letters.
    pub(crate) fn new(
        workload: &Workload,
        settings: &ConsumerSettings,
        connection: &KafkaConnection,
    ) -> Result<Option<Self>, ConnectionError> {
        let FailureSettings::DeadLetter { topics, .. } = &settings.on_failure else {
            return Ok(None);
        };
        let topics = topics
            .iter()
            .map(|(source, topic)| (source.to_string(), topic.name.to_string()));
        let publisher = Publisher::new(
            connection.clone(),
            workload.instance.name.clone(),
            workload.health.clone(),
        )?;
        Ok(Some(Self {
            publisher,
            topics: topics.collect(),
            group: settings.group.clone(),
        }))
    }

    /// Puts a message on its dead-letter topic, with its own bytes, key, headers and time, for as long as that takes; that
    /// topic, where the settings name one.
    ///
    /// # Errors
    /// [`TooLarge`], where the topic takes nothing as large.
    pub(crate) async fn put(
        &self,
        incoming: &Incoming,
        error: &HandleError,
        attempts: u32,
    ) -> Result<Option<&str>, TooLarge> {
        let message = &incoming.message;
        // The settings name one for each source.
        let Some(topic) = self.topics.get(message.topic()) else {
            return Ok(None);
        };
        let letter = DeadLetter {
            reason: error.reason().as_str().to_owned(),
            message: full_error(error).chars().take(MESSAGE_MAX_LENGTH).collect(),
            attempts,
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            group: self.group.clone(),
            time: Timestamp::now(),
            trace: Some(incoming.trace),
            injected: error.injected(incoming).map(str::to_owned),
        };
        let publication = Publication {
            topic: topic.clone(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: letter.headers(message.headers()),
            timestamp: message.timestamp().to_millis(),
        };
        self.publisher.publish(&publication).await?;
        Ok(Some(topic))
    }
}
