//! What is filled in, what is capped, and what is refused with which words.

use ordermill_crds::{Backend, OrderProducer, StreamConsumer, Worker};

use super::*;
use crate::fixtures::{policy, resource, strimzi, validated};
use crate::strimzi::UserCredentials;

fn producer(spec: &str) -> OrderProducer {
    resource("orders", spec)
}

fn valid(spec: &str) -> Validated {
    validated(&producer(spec), &Dereferenced::default(), &policy()).unwrap()
}

fn refused<K: Kind>(resource: &K, policy: &Policy) -> (Category, String) {
    let error = validated(resource, &Dereferenced::default(), policy).unwrap_err();
    (error.category(), error.to_string())
}

#[test]
fn the_operators_defaults_are_filled_in() {
    let validated = valid("{model: WoodOrder}");
    let workload = &validated.documents.workload;
    let kafka = workload.kafka.as_ref().unwrap();
    assert_eq!(kafka.bootstrap_servers.as_str(), "kafka:9092");
    let endpoint = workload.telemetry.endpoint.as_ref().unwrap();
    assert_eq!(endpoint.as_str(), "http://otel:4317");
    assert_eq!(workload.telemetry.service_name, "orders");
    assert_eq!(validated.image, "ordermill-workload:test");
    assert_eq!(validated.notes, Vec::<String>::new());
}

#[test]
fn without_any_kafka_it_is_told_what_to_set() {
    let policy = Policy {
        bootstrap_servers: None,
        ..policy()
    };
    let (category, message) = refused(&producer("{model: WoodOrder}"), &policy);
    assert_eq!(category, Category::KafkaNotConfigured);
    assert!(
        message.contains("spec.kafka: set bootstrapServers or strimzi"),
        "{message}"
    );
    let worker: Worker = resource("w", "{task: DataCleanup}");
    let worker = validated(&worker, &Dereferenced::default(), &policy).unwrap();
    assert_eq!(worker.documents.workload.kafka, None);
}

#[test]
fn brokers_that_are_not_allowed_are_named() {
    let policy = Policy {
        allowed_bootstrap_servers: vec!["kafka:9092".parse().unwrap()],
        ..policy()
    };
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092,prod:9092'}}";
    let (category, message) = refused(&producer(spec), &policy);
    assert_eq!(category, Category::BootstrapNotAllowed);
    assert!(message.contains("does not allow prod:9092"), "{message}");
}

#[test]
fn a_rate_is_capped_for_all_replicas_together_and_that_is_told() {
    let policy = Policy {
        maximum_rate: Some(100.0),
        ..policy()
    };
    let pacing = |spec: &str| {
        let validated = validated(&producer(spec), &Dereferenced::default(), &policy).unwrap();
        let producer = validated.documents.tuning.tuning.producer.unwrap();
        (producer.pacing, validated.notes.len())
    };
    assert_eq!(
        pacing("{model: WoodOrder, rate: 1000, replicas: 4}"),
        (Pacing::Rate(25.0), 1)
    );
    assert_eq!(
        pacing("{model: WoodOrder, rate: 20, replicas: 4}"),
        (Pacing::Rate(20.0), 0)
    );
    let slowest = Pacing::interval(Duration::from_millis(10));
    assert_eq!(pacing("{model: WoodOrder, interval: 1ms}"), (slowest, 1));
    let (Pacing::Stages(stages), 1) =
        pacing("{model: WoodOrder, stages: [{duration: 1s, rate: 50}, {duration: 1s, rate: 500}]}")
    else {
        panic!("stages stay stages");
    };
    assert_eq!(
        stages
            .iter()
            .map(|stage| stage.rate.get())
            .collect::<Vec<_>>(),
        [50.0, 100.0]
    );
}

#[test]
fn what_has_expired_is_paused_and_what_will_is_looked_at_again() {
    let running = valid("{model: WoodOrder, expiresAfter: 1m}");
    assert!(!running.documents.tuning.tuning.paused);
    assert_eq!(
        running.expires_at,
        Some("2026-01-01T00:01:00Z".parse().unwrap())
    );
    let over = valid("{model: WoodOrder, expiresAfter: 29s}");
    assert!(over.documents.tuning.tuning.paused);
    assert_eq!(over.expires_at, None);
    assert!(over.notes[0].contains("expiresAfter"), "{:?}", over.notes);
}

#[test]
fn another_tuning_of_the_same_generation_has_a_higher_revision() {
    let version = |previous: TuningDocument, spec: &str| {
        let dereferenced = Dereferenced {
            previous_tuning: Some(previous),
            ..Dereferenced::default()
        };
        let validated = validated(&producer(spec), &dereferenced, &policy()).unwrap();
        let tuning = validated.documents.tuning;
        (tuning.generation, tuning.revision)
    };
    let first = valid("{model: WoodOrder}").documents.tuning;
    assert_eq!((first.generation, first.revision), (3, 0));
    let again = TuningDocument {
        revision: 4,
        ..first.clone()
    };
    assert_eq!(version(again.clone(), "{model: WoodOrder}"), (3, 4));
    assert_eq!(
        version(again.clone(), "{model: WoodOrder, expiresAfter: 1s}"),
        (3, 5)
    );
    let older = TuningDocument {
        generation: 2,
        ..again.clone()
    };
    assert_eq!(version(older, "{model: WoodOrder, errorRate: 1}"), (3, 0));
    let others = TuningDocument {
        uid: "other".to_owned(),
        ..again
    };
    assert_eq!(version(others, "{model: WoodOrder, errorRate: 1}"), (3, 0));
}

#[test]
fn secrets_are_mounted_and_never_read() {
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'k:9093', \
        tls: {certificateAuthority: {name: ca, key: ca.pem}, clientCertificate: {name: pair}}, \
        sasl: {mechanism: SCRAM-SHA-512, secret: {name: login}}}}";
    let validated = valid(spec);
    let kafka = validated.documents.workload.kafka.clone().unwrap();
    let files: Vec<_> = kafka
        .files()
        .map(|file| file.display().to_string())
        .collect();
    assert_eq!(
        files,
        [
            "/etc/ordermill-secrets/kafka-authority/ca.pem",
            "/etc/ordermill-secrets/kafka-certificate/tls.crt",
            "/etc/ordermill-secrets/kafka-certificate/tls.key",
            "/etc/ordermill-secrets/kafka-password/username",
            "/etc/ordermill-secrets/kafka-password/password",
        ]
    );
    let secrets: Vec<_> = validated
        .secrets
        .iter()
        .map(|mount| mount.secret.as_str())
        .collect();
    assert_eq!(secrets, ["ca", "pair", "login"]);
}

#[test]
fn a_strimzi_user_logs_in_with_its_secret_and_trusts_its_cluster() {
    let spec = "{model: WoodOrder, kafka: {strimzi: {cluster: mill, namespace: kafka, listener: tls, user: miller}}}";
    let user = UserCredentials::Password {
        secret: "miller".parse().unwrap(),
        username: "miller".to_owned(),
    };
    let validated = validated(&producer(spec), &strimzi(Some(user)), &policy()).unwrap();
    let kafka = validated.documents.workload.kafka.unwrap();
    assert_eq!(
        kafka.bootstrap_servers.as_str(),
        "mill-kafka-bootstrap.kafka.svc:9093"
    );
    assert_eq!(
        validated.files.get("kafka-ca.crt").map(String::as_str),
        Some("PEM\n")
    );
    assert_eq!(
        validated.files.get("kafka-username").map(String::as_str),
        Some("miller")
    );
    assert!(kafka.tls.is_some() && kafka.sasl.is_some());
    let topics = validated.topics.unwrap();
    assert_eq!(
        (topics.namespace.as_str(), topics.cluster.as_str()),
        ("kafka", "mill")
    );
    // Strimzi makes the topics.
    let settings = validated.documents.workload.workload;
    assert!(!settings.producer().unwrap().create_topics);
}

#[test]
fn what_this_version_cannot_do_is_refused_by_field() {
    let scaled: StreamConsumer =
        resource("c", "{handler: Inventory, autoscaling: {maxReplicas: 3}}");
    let drinks = producer("{model: DrinkOrder, drinkOrder: {backend: bar}}");
    let backend: Backend = resource("b", "{app: Order, port: 8081}");
    for (found, field) in [
        (refused(&scaled, &policy()), "spec.autoscaling"),
        (refused(&drinks, &policy()), "spec.drinkOrder.backend"),
        (refused(&backend, &policy()), "spec.port"),
    ] {
        assert_eq!(found.0, Category::InvalidSpec);
        assert!(found.1.starts_with(field), "{}", found.1);
    }
}

#[test]
fn urls_reach_pods_as_variables_and_secrets_as_references() {
    let worker: Worker = resource(
        "w",
        "{task: DataCleanup, database: {secret: {name: db, key: url}}, cache: {url: 'redis://cache'}}",
    );
    let validated = validated(&worker, &Dereferenced::default(), &policy()).unwrap();
    let names: Vec<_> = validated
        .environment
        .iter()
        .map(|variable| variable.name)
        .collect();
    assert_eq!(names, ["DATABASE_URL", "CACHE_URL"]);
    assert!(matches!(
        validated.environment[0].value,
        VariableValue::Secret(_)
    ));
    let document = serde_json::to_string(&validated.documents.workload).unwrap();
    assert!(!document.contains("redis"), "{document}");
}
