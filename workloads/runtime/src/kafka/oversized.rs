//! Sending what the broker is to refuse. Inside the idempotent client such a record would take its whole batch with it.

use std::sync::Arc;

use ordermill_config::KafkaConnection;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use super::client::client_config;
use super::context::{DeliverySink, note_log};
use super::{ConnectionError, Record};

/// The client's own limit in bytes: far above any broker's.
const CLIENT_LIMIT: &str = "100000000";
/// Who is to be refused does not wait for a broker that is away.
const TIMEOUT_MS: &str = "30000";

struct Context<S>(Arc<S>);

impl<S: DeliverySink> ClientContext for Context<S> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.in_scope(|| note_log(level, facility, message));
    }

    /// The main client's errors tell the same.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl<S: DeliverySink> ProducerContext for Context<S> {
    type DeliveryOpaque = Box<S::Tag>;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: Self::DeliveryOpaque) {
        let refusal = result.as_ref().err().map(|(error, _)| error.to_string());
        self.0.in_scope(|| self.0.refused(*tag, refusal));
    }
}

/// Sends records only for the broker to refuse them.
pub struct OversizedSender<S: DeliverySink> {
    connection: KafkaConnection,
    client_id: String,
    sink: Arc<S>,
    /// Made at the first record: most workloads never need it.
    client: Option<ThreadedProducer<Context<S>>>,
}

impl<S: DeliverySink> OversizedSender<S> {
    /// A sender that connects when it is first used.
    #[must_use]
    pub fn new(connection: KafkaConnection, client_id: String, sink: Arc<S>) -> Self {
        Self {
            connection,
            client_id,
            sink,
            client: None,
        }
    }

    /// Sends a record and forgets it; the sink learns how it fared.
    pub fn send(&mut self, record: &Record, tag: Box<S::Tag>) {
        let client = match &self.client {
            Some(client) => client,
            None => match self.connect() {
                Ok(client) => self.client.insert(client),
                Err(error) => return self.sink.refused(*tag, Some(error.to_string())),
            },
        };
        let prepared = BaseRecord::with_opaque_to(&record.topic, tag)
            .key(&record.key)
            .payload(&record.payload)
            .headers(record.headers.clone())
            .timestamp(record.timestamp);
        if let Err((error, prepared)) = client.send(prepared) {
            self.sink
                .refused(*prepared.delivery_opaque, Some(error.to_string()));
        }
    }

    fn connect(&self) -> Result<ThreadedProducer<Context<S>>, ConnectionError> {
        client_config(&self.connection, &self.client_id)?
            .set("message.max.bytes", CLIENT_LIMIT)
            .set("message.timeout.ms", TIMEOUT_MS)
            .set("partitioner", "murmur2_random")
            // Compressed, it might fit after all.
            .set("compression.type", "none")
            .set("statistics.interval.ms", "0")
            .create_with_context(Context(Arc::clone(&self.sink)))
            .map_err(ConnectionError::Client)
    }
}
