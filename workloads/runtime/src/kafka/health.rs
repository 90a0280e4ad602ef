//! Whether Kafka can be reached, and if not, why.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ordermill_config::TroubleReason;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The reason that an error of the client stands for.
#[must_use]
pub fn reason_of(error: &KafkaError) -> TroubleReason {
    match error.rdkafka_error_code() {
        Some(code) => reason_of_code(code),
        None => TroubleReason::KafkaError,
    }
}

/// The reason that an error stands for together with librdkafka's text: with TLS 1.3 a broker refuses a client's
/// certificate only after the handshake, which librdkafka then calls a transport failure.
#[must_use]
pub fn reason_of_text(error: &KafkaError, text: &str) -> TroubleReason {
    let reason = reason_of(error);
    if reason != TroubleReason::KafkaUnreachable || !text.contains("SSL") {
        return reason;
    }
    if text.contains("alert") && text.contains("certificate") {
        TroubleReason::AuthenticationFailed
    } else {
        TroubleReason::TlsFailed
    }
}

const fn reason_of_code(code: RDKafkaErrorCode) -> TroubleReason {
    use RDKafkaErrorCode as Code;
    match code {
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::BrokerNotAvailable
        | Code::NetworkException
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::Resolve => TroubleReason::KafkaUnreachable,
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            TroubleReason::AuthenticationFailed
        }
        Code::SSL => TroubleReason::TlsFailed,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => TroubleReason::NotAuthorized,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            TroubleReason::TopicMissing
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => TroubleReason::RecordTooLarge,
        _ => TroubleReason::KafkaError,
    }
}

/// Whether a connection that comes about again ends this trouble by itself.
const fn ends_with_a_connection(reason: TroubleReason) -> bool {
    matches!(
        reason,
        TroubleReason::KafkaUnreachable
            | TroubleReason::AuthenticationFailed
            | TroubleReason::TlsFailed
    )
}

/// What was on its way when connections broke may be told after that, by the thread of another broker.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What is wrong, for a person and for a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The reason.
    pub reason: TroubleReason,
    /// What happened, in words.
    pub message: String,
}

/// What is known of the connections to Kafka and database. Each change is logged once, not each failed attempt.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<Option<Told>>,
}

#[derive(Debug)]
struct Told {
    trouble: Trouble,
    at: Instant,
}

impl Told {
    /// Whether a sign of life may be older than the trouble.
    fn is_too_new(&self) -> bool {
        self.trouble.reason == TroubleReason::KafkaUnreachable && self.at.elapsed() < AFTERMATH
    }
}

impl Health {
    /// What is wrong now.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().as_ref().map(|told| told.trouble.clone())
    }

    /// Says that something is wrong.
    pub fn report(&self, reason: TroubleReason, message: impl Into<String>) {
        let message = message.into();
        let mut trouble = self.lock();
        // That all brokers are down follows from a more telling reason, and must not hide it.
        let told = trouble.as_ref().map(|told| told.trouble.reason);
        let follows = reason == TroubleReason::KafkaUnreachable
            && told.is_some_and(|told| told != TroubleReason::KafkaUnreachable);
        if told == Some(reason) || follows {
            return;
        }
        tracing::warn!(reason = ?reason, "{}: {message}", reason.subject());
        *trouble = Some(Told {
            trouble: Trouble { reason, message },
            at: Instant::now(),
        });
    }

    /// Says that a broker is connected.
    pub fn connected(&self) {
        self.clear(ends_with_a_connection);
    }

    /// Says that work succeeds.
    pub fn working(&self) {
        self.clear(|_| true);
    }

    /// Says that what this trouble was about works; others go on.
    pub fn works(&self, reason: TroubleReason) {
        self.clear(|told| told == reason);
    }

    /// Says that Kafka works, whatever else does not.
    pub fn kafka_works(&self) {
        self.clear(TroubleReason::is_of_kafka);
    }

    fn clear(&self, ends: impl Fn(TroubleReason) -> bool) {
        let mut trouble = self.lock();
        let ended = trouble.take_if(|told| ends(told.trouble.reason) && !told.is_too_new());
        if let Some(Told { trouble, .. }) = ended {
            let reason = trouble.reason;
            tracing::info!(reason = ?reason, "{} works again", reason.subject());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telling_reason_is_not_hidden_by_its_consequence() {
        let health = Health::default();
        health.report(TroubleReason::AuthenticationFailed, "wrong password");
        health.report(TroubleReason::KafkaUnreachable, "all brokers down");
        assert_eq!(health.trouble().unwrap().message, "wrong password");
        health.connected();
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn what_arrives_from_before_an_outage_does_not_end_it() {
        let health = Health::default();
        health.report(TroubleReason::KafkaUnreachable, "all brokers down");
        health.working();
        health.connected();
        assert!(health.trouble().is_some());
        health.lock().as_mut().unwrap().at -= AFTERMATH;
        health.connected();
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn a_refused_client_certificate_is_told_from_a_broker_that_is_away() {
        let error = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
        let refused = "SSL routines::tlsv13 alert certificate required: SSL alert number 116";
        assert_eq!(
            reason_of_text(&error, refused),
            TroubleReason::AuthenticationFailed
        );
        let away = "Connect to ipv4#127.0.0.1:9092 failed: Connection refused";
        assert_eq!(
            reason_of_text(&error, away),
            TroubleReason::KafkaUnreachable
        );
    }

    #[test]
    fn a_connection_does_not_end_missing_rights() {
        let health = Health::default();
        health.report(TroubleReason::NotAuthorized, "no write access to orders");
        health.connected();
        assert!(health.trouble().is_some());
        health.working();
        assert_eq!(health.trouble(), None);
    }
}
