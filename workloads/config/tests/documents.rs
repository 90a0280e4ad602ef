//! Both documents of every model, handler, task and app, as a pod is given them.
#![allow(clippy::unwrap_used)]

use ordermill_config::{
    BackendRole, Documents, KafkaConnection, Placement, ResourceReference, TelemetrySettings,
    TuningDocument, WorkloadDocument, backend_documents, consumer_documents, producer_documents,
    worker_documents,
};
use serde::de::DeserializeOwned;

fn placement(kind: &str) -> Placement {
    let roles = [
        BackendRole::Order,
        BackendRole::Stock,
        BackendRole::Customer,
    ];
    Placement {
        resource: ResourceReference {
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "one".to_owned(),
            uid: "11111111-2222-3333-4444-555555555555".to_owned(),
        },
        generation: 7,
        revision: 2,
        kafka: Some(KafkaConnection::plain("kafka:9092".parse().unwrap())),
        telemetry: TelemetrySettings {
            endpoint: Some("http://otel-collector:4317".parse().unwrap()),
            service_name: "one".to_owned(),
            ..TelemetrySettings::default()
        },
        create_topics: true,
        backends: roles
            .map(|role| (role, format!("http://{role}.shop:5000")))
            .into(),
    }
}

/// Compares the documents of a spec with those that are kept, and sees that they read back.
fn check<T: DeserializeOwned>(kind: &str, spec: &str, derive: fn(&T, Placement) -> Documents) {
    let value: serde_yaml::Value = serde_yaml::from_str(spec).unwrap();
    let what = ["model", "handler", "task", "app"];
    let what = what.iter().find_map(|field| value.get(field)?.as_str());
    let name = format!("{kind}-{}", what.unwrap());
    let documents = derive(&serde_yaml::from_str(spec).unwrap(), placement(kind));
    let Documents { workload, tuning } = &documents;
    assert_eq!(workload.workload.kind(), kind);
    let texts = [
        serde_json::to_string(workload).unwrap(),
        serde_json::to_string(tuning).unwrap(),
    ];
    let read: WorkloadDocument = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!(read, *workload);
    let read: TuningDocument = serde_json::from_str(&texts[1]).unwrap();
    assert_eq!(read, *tuning);
    insta::with_settings!({description => spec, omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!(name, (workload, tuning));
    });
}

#[test]
fn producers() {
    for spec in [
        "{model: WoodOrder, topics: {orders: {name: wood, partitions: 3, config: {retention.ms: '1000'}}}}",
        "{model: WoodStock, rate: 5, arrival: Poisson}",
        "{model: RetailSale, keySkew: 1.2, maxEvents: 100, replicas: 3, seed: 5, payloadBytes: 500}",
        "{model: FoodOrder, stages: [{duration: 1m, rate: 10}], faults: {late: {rate: 0.1, duration: 1m, after: 30s, for: 5m}}}",
        "{model: DrinkOrder, drinkOrder: {backend: order, customers: 10, preparation: 500ms}}",
    ] {
        check("OrderProducer", spec, producer_documents);
    }
}

#[test]
fn consumers() {
    for spec in [
        "{handler: OrderCheck}",
        "{handler: StockCheck, onFailure: {action: Retry, backoff: {initial: 1s, maximum: 1m}}, groupProtocol: Consumer}",
        "{handler: Inventory, processingDelay: 10ms, errorRate: 0.25, \
            faults: {crash: {rate: 0.01}, slow: {rate: 1, duration: 2s}}}",
        "{handler: OrderAnalytics, report: {path: /reports/metrics_output.txt}, \
            replay: {id: again, from: {position: Timestamp, timestamp: '2026-01-01T00:00:00Z'}}}",
        "{handler: RetailAnalytics, onFailure: {action: Skip, maxRetries: 0}, startFrom: {position: Latest}}",
        "{handler: CustomerStats, database: {url: 'postgres://db/x'}, telemetry: {consumerParent: Link}, \
            onFailure: {action: DeadLetter, deadLetterTopic: {name: unhandled, partitions: 1}}}",
    ] {
        check("StreamConsumer", spec, consumer_documents);
    }
}

#[test]
fn workers() {
    for spec in [
        "{task: OrderManagement, maxRetries: 3}",
        "{task: StatsAggregation, interval: 90s, faults: {latency: {rate: 0.5, duration: 100ms}}}",
        "{task: RewardNotification, paused: true}",
        "{task: LoyaltyExpiry, batchSize: 10}",
        "{task: DataCleanup, dataCleanup: {retention: 720h}}",
    ] {
        check("Worker", spec, worker_documents);
    }
}

#[test]
fn backends() {
    for spec in [
        "{app: Order}",
        "{app: Stock, storage: {size: 1Gi}, port: 8080}",
        "{app: Customer, database: {secret: {name: db, key: url}}, faults: {unavailable: {rate: 0.1, duration: 5s}}}",
    ] {
        check("Backend", spec, backend_documents);
    }
}
