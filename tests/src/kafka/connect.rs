//! Whether a client gets into a broker, and why not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::wait::until;

const DEADLINE: Duration = Duration::from_mins(1);

/// How long one request may block.
const STEP: Duration = Duration::from_millis(250);

/// Why a client did not get in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {reason}")]
pub struct Refusal {
    /// What kind of trouble it was.
    pub kind: RefusalKind,
    /// In librdkafka's words.
    pub reason: String,
}

/// Kinds of trouble on the way into a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The password or the user is wrong.
    Authentication,
    /// One side does not trust the other's certificate.
    Tls,
    /// Nobody answered within a minute.
    Silence,
    /// librdkafka does not take the configuration.
    Configuration,
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Authentication => "authentication failed",
            Self::Tls => "TLS failed",
            Self::Silence => "no answer",
            Self::Configuration => "the configuration is wrong",
        })
    }
}

/// Connects as `config` says and waits for the answer to a real request. A broker that is down is waited for; one that
/// refuses the client for its credentials is not.
///
/// # Errors
/// [`Refusal`].
pub async fn connect(config: &ClientConfig) -> Result<(), Refusal> {
    let refusal = |kind| {
        move |error: KafkaError| Refusal {
            kind,
            reason: error.to_string(),
        }
    };
    let troubles = Troubles::default();
    let consumer: BaseConsumer<Troubles> =
        BaseConsumer::from_config_and_context(config, troubles.clone())
            .map_err(refusal(RefusalKind::Configuration))?;
    let consumer = Arc::new(consumer);
    let outcome = until(DEADLINE, async || {
        let consumer = Arc::clone(&consumer);
        let request = move || {
            let answer = consumer.fetch_metadata(None, STEP).map(drop);
            // Serves the events that tell why.
            let _ = consumer.poll(Duration::ZERO);
            answer
        };
        let answer = tokio::task::spawn_blocking(request).await;
        match answer.unwrap_or(Err(KafkaError::Canceled)) {
            Ok(()) => Ok(Ok(())),
            Err(error) => troubles.refusal().map(Err).ok_or(error),
        }
    })
    .await;
    outcome.unwrap_or_else(|timed_out| {
        let reason = timed_out
            .last
            .map_or_else(String::new, |error| error.to_string());
        Err(Refusal {
            kind: RefusalKind::Silence,
            reason,
        })
    })
}

/// Collects what librdkafka tells besides the answers to calls: the first refusal.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Option<Refusal>>>);

impl Troubles {
    fn refusal(&self) -> Option<Refusal> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Troubles {
    fn error(&self, error: KafkaError, reason: &str) {
        let kind = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => RefusalKind::Authentication,
            Some(RDKafkaErrorCode::SSL) => RefusalKind::Tls,
            // In TLS 1.3 a broker looks at the client's certificate when the handshake is over for the client already:
            // librdkafka takes the alert for a lost connection.
            Some(RDKafkaErrorCode::BrokerTransportFailure) if reason.contains("SSL routines") => {
                RefusalKind::Tls
            }
            _ => return,
        };
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| Refusal {
            kind,
            reason: reason.to_owned(),
        });
    }
}

impl ConsumerContext for Troubles {}
