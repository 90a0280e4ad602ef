//! What is sent to Kafka.

use std::sync::Arc;

use rdkafka::message::OwnedHeaders;

/// One record, ready to send.
#[derive(Debug, Clone)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The key; it decides the partition as in the Java client.
    pub key: String,
    /// The value.
    pub payload: Vec<u8>,
    /// The headers.
    pub headers: OwnedHeaders,
    /// Event time in milliseconds since 1970.
    pub timestamp: i64,
}
