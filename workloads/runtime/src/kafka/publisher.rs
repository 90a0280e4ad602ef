//! Sending single messages, each of which somebody waits for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ordermill_config::{KafkaConnection, TroubleReason, full_error};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::context::QuietContext;
use super::{ConnectionError, Delivered, Health, client_config, reason_of};

/// How long one attempt may take before a new client tries.
const ATTEMPT: &str = "30000";
/// Larger than what any broker takes: the broker's own limit is the one that counts.
const LARGEST: &str = "100000000";
/// Time between attempts, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

type Client = FutureProducer<QuietContext>;

/// A message to send, with whatever key and value.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The topic.
    pub topic: String,
    /// The key, where it has one; it decides the partition as in the Java client.
    pub key: Option<Vec<u8>>,
    /// The value, where it has one.
    pub payload: Option<Vec<u8>>,
    /// The headers.
    pub headers: OwnedHeaders,
    /// Event time in milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// No attempt can succeed: the message is larger than what the topic takes.
#[derive(Debug, thiserror::Error)]
#[error("{topic}: {source}")]
pub struct TooLarge {
    topic: String,
    source: KafkaError,
}

/// Sends single messages until each is acknowledged by all in-sync replicas.
pub struct Publisher {
    connection: KafkaConnection,
    client_id: String,
    health: Arc<Health>,
    client: Mutex<Client>,
}

impl Publisher {
    /// A publisher; it connects in the background.
    ///
    /// # Errors
    /// When a file cannot be read or librdkafka refuses the settings.
    pub fn new(
        connection: KafkaConnection,
        client_id: String,
        health: Arc<Health>,
    ) -> Result<Self, ConnectionError> {
        let client = client(&connection, &client_id, &health)?;
        Ok(Self {
            connection,
            client_id,
            health,
            client: Mutex::new(client),
        })
    }

    /// Sends a message, for as long as it takes: why it takes long is told by health. One that is given up by dropping this
    /// may arrive nevertheless, and one whose acknowledgement is lost for half a minute may arrive twice.
    ///
    /// # Errors
    /// [`TooLarge`], which no repetition would change.
    pub async fn publish(&self, message: &Publication) -> Result<Delivered, TooLarge> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.attempt(message).await {
                Ok(delivered) => {
                    self.health.kafka_works();
                    return Ok(delivered);
                }
                Err(source) if reason_of(&source) == TroubleReason::RecordTooLarge => {
                    // It was the broker who said so.
                    self.health.kafka_works();
                    let topic = message.topic.clone();
                    return Err(TooLarge { topic, source });
                }
                Err(error) => {
                    let told = format!("{}: {error}", message.topic);
                    self.health.report(reason_of(&error), told);
                }
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
            self.renew();
        }
    }

    async fn attempt(&self, message: &Publication) -> Result<Delivered, KafkaError> {
        let client = self
            .client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&message.topic);
        record.key = message.key.as_deref();
        record.payload = message.payload.as_deref();
        record.timestamp = message.timestamp;
        record.headers = Some(message.headers.clone());
        let sent = client.send(record, Timeout::Never).await;
        let delivered = sent.map_err(|(error, _)| error)?;
        Ok(Delivered {
            partition: delivered.partition,
            offset: delivered.offset,
        })
    }

    /// A client made anew has no fatal error, and takes rotated certificates and passwords.
    fn renew(&self) {
        match client(&self.connection, &self.client_id, &self.health) {
            Ok(client) => {
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
            }
            Err(error) => {
                let told = full_error(&error);
                self.health
                    .report(TroubleReason::ConfigurationInvalid, told);
            }
        }
    }
}

fn client(
    connection: &KafkaConnection,
    client_id: &str,
    health: &Arc<Health>,
) -> Result<Client, ConnectionError> {
    let mut config = client_config(connection, client_id)?;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", ATTEMPT)
        .set("message.max.bytes", LARGEST)
        // They are few: each goes alone, so that a topic's limit is about one message and not about a batch.
        .set("batch.num.messages", "1")
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random");
    let context = QuietContext {
        health: Arc::clone(health),
        span: tracing::Span::current(),
    };
    config
        .create_with_context(context)
        .map_err(ConnectionError::Client)
}
