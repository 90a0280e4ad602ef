use ordermill_crds::{ConsumerHandler, ProducerModel, SaslMechanism};

use super::*;
use crate::{ConsumerSettings, Documents, Pacing, TaskSettings, WorkerSettings, WorkloadSettings};

fn map(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(model: ProducerModel, variables: &[(&str, &str)]) -> Result<Documents, EnvironmentErrors> {
    producer_from_environment(model, &map(variables))
}

fn worker(variables: &[(&str, &str)]) -> (Documents, WorkerSettings) {
    let documents = worker_from_environment(&map(variables)).unwrap();
    let WorkloadSettings::Worker(settings) = documents.workload.workload.clone() else {
        panic!("not a worker");
    };
    (documents, settings)
}

fn consumer(handler: ConsumerHandler, variables: &[(&str, &str)]) -> (Documents, ConsumerSettings) {
    let documents = consumer_from_environment(handler, &map(variables)).unwrap();
    let WorkloadSettings::Consumer(settings) = documents.workload.workload.clone() else {
        panic!("not a consumer");
    };
    (documents, settings)
}

fn urls(backends: &BTreeMap<BackendRole, String>) -> Vec<(BackendRole, &str)> {
    backends
        .iter()
        .map(|(role, url)| (*role, url.as_str()))
        .collect()
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

#[test]
fn a_worker_has_the_originals_defaults() {
    let (documents, settings) = worker(&[]);
    assert_eq!(documents.workload.resource.name, "ordermanagement");
    assert_eq!(documents.workload.kafka, None);
    let lease = "30s".parse().unwrap();
    assert_eq!(settings.task, TaskSettings::OrderManagement { lease });
    assert_eq!((settings.batch_size, settings.max_retries), (100, 0));
    assert_eq!(
        urls(&settings.backends),
        [
            (BackendRole::Order, "http://localhost:5000"),
            (BackendRole::Stock, "http://localhost:5001"),
        ]
    );
    let tuning = documents.tuning.tuning;
    assert_eq!(tuning.error_rate, "0.1".parse().unwrap());
    assert_eq!(tuning.worker.unwrap().interval, "5s".parse().unwrap());
}

#[test]
fn a_workers_variables_are_read() {
    let (documents, settings) = worker(&[
        ("API_URL_ORDERS", "http://order:8080"),
        ("API_URL_STOCKS", "https://stock"),
        ("INTERVAL_SECONDS", "0.25"),
        ("ERROR_RATE", "0"),
        ("BATCH_SIZE", "10"),
        ("MAX_RETRIES", "3"),
        ("LEASE_SECONDS", "1.5"),
        ("OTEL_SERVICE_NAME", "mover"),
    ]);
    assert_eq!(documents.workload.resource.name, "mover");
    let lease = "1.5s".parse().unwrap();
    assert_eq!(settings.task, TaskSettings::OrderManagement { lease });
    assert_eq!((settings.batch_size, settings.max_retries), (10, 3));
    assert_eq!(
        urls(&settings.backends),
        [
            (BackendRole::Order, "http://order:8080"),
            (BackendRole::Stock, "https://stock"),
        ]
    );
    let interval = documents.tuning.tuning.worker.unwrap().interval;
    assert_eq!(interval, "250ms".parse().unwrap());
}

#[test]
fn everything_wrong_with_a_worker_is_said_at_once() {
    let wrong = [
        ("API_URL_ORDERS", "order"),
        ("API_URL_STOCKS", "ftp://stock"),
        ("BATCH_SIZE", "0"),
        ("ERROR_RATE", "2"),
        ("INTERVAL_SECONDS", "-1"),
        ("LEASE_SECONDS", "0.5"),
        ("MAX_RETRIES", "many"),
    ];
    let errors = worker_from_environment(&map(&wrong)).unwrap_err();
    let mut named: Vec<_> = errors.0.iter().map(|error| error.variable).collect();
    named.sort_unstable();
    assert_eq!(named, wrong.map(|(name, _)| name));
}

#[test]
fn a_consumer_has_the_originals_defaults() {
    use ConsumerHandler::{OrderCheck, StockCheck};
    for (handler, name, topic, group, backend) in [
        (
            OrderCheck,
            "ordercheck",
            "orders",
            "order-check-group",
            (BackendRole::Order, "http://localhost:5000"),
        ),
        (
            StockCheck,
            "stockcheck",
            "stocks",
            "stock-check-group",
            (BackendRole::Stock, "http://localhost:5001"),
        ),
    ] {
        let (documents, settings) = consumer(handler, &[]);
        assert_eq!(documents.workload.resource.name, name);
        let kafka = documents.workload.kafka.unwrap();
        assert_eq!(kafka.bootstrap_servers.as_str(), "localhost:9092");
        let topics: Vec<_> = settings.topics.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((topics, settings.group.as_str()), (vec![topic], group));
        assert_eq!(urls(&settings.backends), [backend]);
        assert_eq!(documents.tuning.tuning.error_rate, "0.1".parse().unwrap());
    }
}

#[test]
fn a_consumers_variables_are_read() {
    let (documents, settings) = consumer(
        ConsumerHandler::StockCheck,
        &[
            ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
            ("KAFKA_TOPIC", "deliveries"),
            ("KAFKA_GROUP_ID", "mine"),
            ("ERROR_RATE", "0.5"),
            ("API_URL_STOCKS", "http://stock:5001"),
            ("PROCESSING_DELAY_SECONDS", "0.02"),
            // Of another handler.
            ("API_URL_ORDERS", "nowhere"),
        ],
    );
    assert_eq!(settings.topics[0].name.as_str(), "deliveries");
    assert_eq!(settings.group, "mine");
    assert_eq!(
        urls(&settings.backends),
        [(BackendRole::Stock, "http://stock:5001")]
    );
    let tuning = documents.tuning.tuning;
    assert_eq!(tuning.error_rate, "0.5".parse().unwrap());
    let delay = tuning.consumer.unwrap().processing_delay;
    assert_eq!(delay, "20ms".parse().unwrap());
    let wrong = [("KAFKA_GROUP_ID", ""), ("PROCESSING_DELAY_SECONDS", "soon")];
    let errors = consumer_from_environment(ConsumerHandler::OrderCheck, &map(&wrong));
    assert_eq!(
        errors.unwrap_err().0[0].variable,
        "PROCESSING_DELAY_SECONDS"
    );
}
