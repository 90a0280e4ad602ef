use ordermill_crds::SaslMechanism;

use super::*;
use crate::Pacing;

fn read(model: ProducerModel, variables: &[(&str, &str)]) -> Result<Documents, EnvironmentErrors> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    producer_from_environment(model, &variables)
}

fn topic_names(documents: &Documents) -> Vec<String> {
    let producer = documents.workload.workload.producer().unwrap();
    producer
        .topics
        .values()
        .map(|topic| topic.name.to_string())
        .collect()
}

#[test]
fn the_originals_defaults_hold_without_any_variable() {
    let documents = read(ProducerModel::WoodOrder, &[]).unwrap();
    assert_eq!(documents.workload.resource.name, "customer");
    assert_eq!(topic_names(&documents), ["orders"]);
    let tuning = documents.tuning.tuning;
    assert_eq!(tuning.error_rate, "0.1".parse().unwrap());
    let pacing = tuning.producer.unwrap().pacing;
    assert_eq!(pacing, Pacing::interval(Duration::from_mins(1)));
}

#[test]
fn the_originals_names_are_read() {
    let documents = read(
        ProducerModel::RetailSale,
        &[
            ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
            ("KAFKA_TOPIC", "sales"),
            ("KAFKA_TOPIC_REFUNDS", "returns"),
            ("PRODUCER_SLEEP_SECONDS", "1.5"),
            ("REFUND_PROBABILITY", "0.25"),
            ("LOG_LEVEL", "WARNING"),
        ],
    )
    .unwrap();
    assert_eq!(topic_names(&documents), ["sales", "returns"]);
    let tuning = documents.tuning.tuning;
    assert_eq!(tuning.log_level, LogLevel::Warn);
    let pacing = tuning.producer.unwrap().pacing;
    assert_eq!(pacing, Pacing::interval(Duration::from_millis(1500)));
    let kafka = read(
        ProducerModel::DrinkOrder,
        &[("KAFKA_BROKERS", "broker:29092")],
    )
    .unwrap();
    let kafka = kafka.workload.kafka.unwrap();
    assert_eq!(kafka.bootstrap_servers.as_str(), "broker:29092");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let errors = read(
        ProducerModel::FoodOrder,
        &[
            ("ERROR_RATE", "1.5"),
            ("NUM_EVENTS", "0"),
            ("INTERVAL_SECONDS", "0"),
            ("RATE", "fast"),
            ("LOG_LEVEL", "loud"),
            ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
            ("KAFKA_SASL_MECHANISM", "PLAIN"),
            ("KEY_SKEW", "1"),
        ],
    )
    .unwrap_err();
    let named: Vec<_> = errors.0.iter().map(|error| error.variable).collect();
    for name in [
        "ERROR_RATE",
        "NUM_EVENTS",
        "INTERVAL_SECONDS",
        "RATE",
        "LOG_LEVEL",
        "KEY_SKEW",
        "KAFKA_BOOTSTRAP_SERVERS",
    ] {
        assert!(named.contains(&name), "{name} is missing in {named:?}");
    }
    assert!(
        errors.to_string().contains("between 0.0 and 1.0"),
        "{errors}"
    );
}

#[test]
fn pace_is_given_once() {
    let errors = read(
        ProducerModel::FoodOrder,
        &[("RATE", "5"), ("INTERVAL_SECONDS", "1")],
    );
    assert_eq!(errors.unwrap_err().0[0].variable, "RATE");
}

#[test]
fn security_comes_from_files() {
    let documents = read(
        ProducerModel::WoodOrder,
        &[
            ("KAFKA_TLS_CA_FILE", "/tls/ca.crt"),
            ("KAFKA_SASL_MECHANISM", "scram-sha-512"),
            ("KAFKA_SASL_USERNAME_FILE", "/sasl/username"),
            ("KAFKA_SASL_PASSWORD_FILE", "/sasl/password"),
        ],
    )
    .unwrap();
    let kafka = documents.workload.kafka.unwrap();
    assert_eq!(kafka.files().count(), 3);
    assert_eq!(kafka.sasl.unwrap().mechanism, SaslMechanism::ScramSha512);
    let alone = read(
        ProducerModel::WoodOrder,
        &[("KAFKA_TLS_CERTIFICATE_FILE", "/c")],
    );
    assert_eq!(alone.unwrap_err().0[0].variable, "KAFKA_TLS_KEY_FILE");
}
