//! What librdkafka tells besides the answers to calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ordermill_runtime::kafka::{Health, Trouble, reason_of_text};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long is listened.
const MOMENT: Duration = Duration::from_millis(50);

/// Keeps the first trouble that says why.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    health: Health,
    /// No broker can be reached.
    pub down: AtomicBool,
}

impl Ear {
    /// The first trouble that was told.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.health.trouble()
    }
}

impl ClientContext for Ear {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.down.store(true, Ordering::Release);
        }
        self.health.report(reason_of_text(&error, reason), reason);
    }
}

impl ConsumerContext for Ear {}

/// Lets a client that has nothing assigned hear what is told for a moment; gives the errors among it.
pub(crate) fn hear(client: &BaseConsumer<Ear>) -> Vec<KafkaError> {
    let end = Instant::now() + MOMENT;
    let mut errors = Vec::new();
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        // Lines of a log end a call before what they tell of.
        errors.extend(client.poll(rest).and_then(Result::err));
    }
    errors
}
