//! What goes wrong with Kafka, in one line each: what, why, and what to do.

use ordermill_config::{EnvironmentErrors, TroubleReason};
use ordermill_runtime::kafka::{ConnectionError, reason_of};
use rdkafka::error::KafkaError;

use super::Ear;

/// Why Kafka does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error("the environment variables cannot be used: {0}")]
    Environment(EnvironmentErrors),
    #[error(transparent)]
    Client(#[from] ConnectionError),
    #[error("no broker answers at {servers}: {why}; look at --kafka and KAFKA_BOOTSTRAP_SERVERS")]
    Unreachable { servers: String, why: String },
    #[error(
        "Kafka at {servers} refuses your credentials: {why}; look at the variables KAFKA_SASL_… and KAFKA_TLS_…"
    )]
    Unauthenticated { servers: String, why: String },
    #[error(
        "the connection to Kafka at {servers} cannot be trusted: {why}; look at the variables KAFKA_TLS_…"
    )]
    Untrusted { servers: String, why: String },
    #[error("you may not {to}: {why}; ask who looks after Kafka for the right")]
    Forbidden { to: String, why: String },
    #[error("there is no topic {topic}; see those with dead letters with: ordermill dlq list")]
    NoTopic { topic: String },
    #[error("Kafka does not let you {to}: {why}")]
    Refused { to: String, why: String },
}

impl BrokerError {
    /// What an error means that came back when it was tried `to` do something; what the client heard says why nobody
    /// answered.
    pub(crate) fn of(servers: &str, to: String, error: &KafkaError, heard: &Ear) -> Self {
        let (mut reason, mut why) = (reason_of(error), words(error));
        if reason == TroubleReason::KafkaUnreachable
            && let Some(trouble) = heard.trouble()
        {
            (reason, why) = (trouble.reason, trouble.message);
        }
        let servers = servers.to_owned();
        match reason {
            TroubleReason::KafkaUnreachable => Self::Unreachable { servers, why },
            TroubleReason::AuthenticationFailed => Self::Unauthenticated { servers, why },
            TroubleReason::TlsFailed => Self::Untrusted { servers, why },
            TroubleReason::NotAuthorized => Self::Forbidden { to, why },
            _ => Self::Refused { to, why },
        }
    }

    /// Whether asking for another topic may still work.
    pub(crate) const fn is_of_one_topic(&self) -> bool {
        matches!(
            self,
            Self::Forbidden { .. } | Self::NoTopic { .. } | Self::Refused { .. }
        )
    }
}

/// An error of the client as a person reads it, without what its layers are called.
pub(crate) fn words(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        other => other
            .rdkafka_error_code()
            .map_or_else(|| other.to_string(), |code| code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::client::ClientContext as _;
    use rdkafka::error::RDKafkaErrorCode as Code;

    use super::*;

    fn told(code: Code, heard: &Ear) -> String {
        let error = KafkaError::MetadataFetch(code);
        BrokerError::of("kafka:9092", "read topic a".to_owned(), &error, heard).to_string()
    }

    #[test]
    fn each_answer_says_what_why_and_what_to_do() {
        let deaf = Ear::default();
        assert_eq!(
            told(Code::TopicAuthorizationFailed, &deaf),
            "you may not read topic a: TopicAuthorizationFailed (Broker: Topic authorization failed); ask who looks \
             after Kafka for the right"
        );
        assert_eq!(
            told(Code::LeaderNotAvailable, &deaf),
            "Kafka does not let you read topic a: LeaderNotAvailable (Broker: Leader not available)"
        );
    }

    #[test]
    fn who_does_not_answer_is_told_with_what_was_heard_first() {
        let heard = Ear::default();
        let refused = KafkaError::Global(Code::BrokerTransportFailure);
        heard.error(refused, "kafka:9092: Connection refused");
        heard.error(
            KafkaError::Global(Code::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert_eq!(
            told(Code::OperationTimedOut, &heard),
            "no broker answers at kafka:9092: kafka:9092: Connection refused; look at --kafka and \
             KAFKA_BOOTSTRAP_SERVERS"
        );
        let heard = Ear::default();
        heard.error(KafkaError::Global(Code::Authentication), "wrong password");
        assert!(
            told(Code::OperationTimedOut, &heard)
                .starts_with("Kafka at kafka:9092 refuses your credentials: wrong password;")
        );
    }
}
