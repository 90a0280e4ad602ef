//! How much one request to a broker may carry: learned from the broker, because librdkafka's batches may be larger than a
//! topic's `max.message.bytes`, and a batch that is refused once is refused for good.

use ordermill_config::KafkaConnection;
use rdkafka::ClientConfig;

/// librdkafka's own default of `batch.size`, in bytes.
const DEFAULT: u32 = 1_000_000;
/// Below this, a batch is one record or a few small ones: smaller batches would not help.
const SMALLEST: u32 = 1_000;
/// How much smaller each next attempt is.
const STEP: u32 = 4;

/// The most bytes that a client puts into one batch.
#[derive(Debug, Clone)]
pub struct BatchSize {
    bytes: u32,
    /// Whether it differs from what the connection says.
    learned: bool,
}

impl BatchSize {
    /// What the connection's properties say, or librdkafka's default.
    #[must_use]
    pub fn of(connection: &KafkaConnection) -> Self {
        let property = connection.properties.get("batch.size");
        Self {
            bytes: property
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(DEFAULT),
            learned: false,
        }
    }

    /// Tries a smaller size after a broker refused a batch as too large; `false` when one record alone must be too large.
    pub fn shrink(&mut self) -> bool {
        if self.bytes <= SMALLEST {
            return false;
        }
        self.bytes = (self.bytes / STEP).max(SMALLEST);
        self.learned = true;
        tracing::info!(
            batch_bytes = self.bytes,
            "a topic takes smaller batches than the Kafka client sent: from now on they are smaller"
        );
        true
    }

    pub(super) fn apply(&self, config: &mut ClientConfig) {
        if self.learned {
            config.set("batch.size", self.bytes.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(batch_size: Option<&str>) -> KafkaConnection {
        let mut connection = KafkaConnection::plain("kafka:9092".parse().unwrap());
        if let Some(bytes) = batch_size {
            let property = ("batch.size".to_owned(), bytes.to_owned());
            connection.properties.extend([property]);
        }
        connection
    }

    fn sizes(mut size: BatchSize) -> Vec<u32> {
        let mut sizes = vec![size.bytes];
        while size.shrink() {
            sizes.push(size.bytes);
        }
        sizes
    }

    #[test]
    fn batches_shrink_until_one_record_alone_fills_them() {
        let default = sizes(BatchSize::of(&connection(None)));
        assert_eq!(default, [1_000_000, 250_000, 62_500, 15_625, 3_906, 1_000]);
        assert_eq!(
            sizes(BatchSize::of(&connection(Some("2000")))),
            [2000, 1000]
        );
        assert_eq!(sizes(BatchSize::of(&connection(Some("16")))), [16]);
    }

    #[test]
    fn what_the_user_set_stands_until_a_broker_refuses() {
        let connection = connection(Some("2000000"));
        let mut config = ClientConfig::new();
        let mut size = BatchSize::of(&connection);
        size.apply(&mut config);
        assert_eq!(config.get("batch.size"), None);
        size.shrink();
        size.apply(&mut config);
        assert_eq!(config.get("batch.size"), Some("500000"));
    }
}
