//! Both screens and both documents, of resources as an API server gives them.

use jiff::Timestamp;
use ordermill_config::StateReport;

use super::detail::{self, AskedPod, Facts};
use super::testing::resource;
use super::view::overview;
use super::{View, document, overview_lines};
use crate::cluster::{Kind, Resource};

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn text(resources: &[Resource], notes: &[&str]) -> String {
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    overview_lines(
        &overview(resources, notes),
        "in namespace shop",
        now(),
        false,
    )
    .join("\n")
}

fn healthy() -> Vec<Resource> {
    let system = |kind, name: &str, system: &str, rest: &str| {
        let labels = match system {
            "" => String::new(),
            system => format!("labels: {{app.kubernetes.io/part-of: {system}}}, "),
        };
        resource(
            kind,
            &format!(
                "metadata: {{name: {name}, namespace: shop, {labels}generation: 3, creationTimestamp: '2026-01-01T10:00:00Z'}}\n{rest}"
            ),
        )
    };
    let ready = |reason: &str| {
        format!(
            "[{{type: Ready, status: 'True', reason: {reason}, message: 1 of 1 pods work, lastTransitionTime: '2026-01-01T11:00:00Z'}}, \
              {{type: TuningApplied, status: 'True', reason: Applied, message: m, lastTransitionTime: '2026-01-01T11:00:00Z'}}]"
        )
    };
    vec![
        system(
            Kind::Consumer,
            "checker",
            "wood-orders",
            &format!(
                "spec: {{handler: OrderCheck, replicas: 2, group: checkers}}\nstatus: {{observedGeneration: 3, phase: Running, \
                    replicas: 2, readyReplicas: 2, tunedGeneration: 3, conditions: {}, observed: {{events: 4000, injected: 0, failed: 2, \
                    retried: 2, deadLettered: 0, lag: 17, members: 2, ratePerSecond: '3.9', asOf: '2026-01-01T11:59:30Z'}}}}",
                ready("Running")
            ),
        ),
        system(
            Kind::Producer,
            "customer",
            "wood-orders",
            &format!(
                "spec: {{model: WoodOrder, interval: 500ms, replicas: 2, topics: {{orders: {{name: orders, partitions: 3, \
                    config: {{retention.ms: '3600000'}}}}}}}}\n\
                  status: {{observedGeneration: 3, phase: Running, replicas: 2, readyReplicas: 2, tunedGeneration: 3, selector: a=b, \
                    conditions: {}, observed: {{events: 12345, injected: 1301, failed: 0, retried: 0, ratePerSecond: '3.61', \
                    since: '2026-01-01T11:00:00Z', asOf: '2026-01-01T11:59:48Z'}}}}",
                ready("Running")
            ),
        ),
        system(
            Kind::Producer,
            "bounded",
            "",
            &format!(
                "spec: {{model: RetailSale, rate: 200, maxEvents: 1000}}\nstatus: {{observedGeneration: 3, phase: Completed, replicas: 0, \
                    readyReplicas: 0, tunedGeneration: 3, conditions: {}, observed: {{events: 1000, injected: 0, failed: 0, \
                    ratePerSecond: '0', asOf: '2026-01-01T09:00:00Z'}}}}",
                ready("Completed")
            ),
        ),
    ]
}

fn in_trouble() -> Vec<Resource> {
    vec![
        resource(
            Kind::Producer,
            "
metadata: {name: a-producer-with-a-name-that-is-as-long-as-names-may-become-in-a-cluster, namespace: shop, generation: 8}
spec: {model: FoodOrder, rate: 20, errorRate: 0.025, replicas: 3}
status:
  observedGeneration: 8
  phase: Pending
  replicas: 3
  readyReplicas: 1
  tunedGeneration: 7
  conditions:
  - {type: Ready, status: 'False', reason: KafkaUnreachable, message: '2 of 3 pods cannot work; food-1: no broker answers at kafka:9092', lastTransitionTime: '2026-01-01T11:58:00Z'}
  - {type: TuningApplied, status: 'False', reason: Applying, message: 1 of 3 pods run with the newest tuning, lastTransitionTime: '2026-01-01T11:58:00Z'}
  observed: {events: 10, injected: 1, failed: 0, ratePerSecond: '6.7', asOf: '2026-01-01T11:50:00Z'}
",
        ),
        resource(
            Kind::Worker,
            "
metadata: {name: edited, namespace: shop, generation: 2}
spec: {task: DataCleanup, paused: true}
status:
  observedGeneration: 1
  conditions:
  - {type: Ready, status: 'True', reason: Running, message: 1 of 1 pods work, lastTransitionTime: '2026-01-01T11:58:00Z'}
",
        ),
        resource(
            Kind::Backend,
            "{metadata: {name: new, namespace: shop, generation: 1}, spec: {app: Order}}",
        ),
    ]
}

#[test]
fn a_healthy_cluster() {
    insta::assert_snapshot!(text(&healthy(), &[]));
}

#[test]
fn trouble_is_told_in_words() {
    let note = "not shown: list workers in namespace shop: you may not";
    insta::assert_snapshot!(text(&in_trouble(), &[note]));
}

#[test]
fn nothing_there() {
    assert_eq!(
        text(&[], &[]),
        "There is no resource of ours in namespace shop."
    );
    assert!(overview(&[], Vec::new()).ready);
}

#[test]
fn the_document_of_an_overview() {
    let view = View::Overview(overview(&healthy(), Vec::new()));
    insta::assert_json_snapshot!(document(&view, now()).unwrap());
    let view = View::Overview(overview(&in_trouble(), Vec::new()));
    let document = document(&view, now()).unwrap();
    assert_eq!(document["ready"], false);
    let reasons: Vec<_> = document["systems"][0]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["health"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["KafkaUnreachable", "EditPending", "NoStatus"]);
}

fn facts() -> Facts {
    let pod = |name: &str, mark: &str| {
        serde_yaml::from_str(&format!(
            "
metadata: {{name: {name}, creationTimestamp: '2026-01-01T11:00:00Z', annotations: {{ordermill.dev/tuning: '{mark}'}}}}
spec: {{containers: [], nodeName: node-1}}
status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}
"
        ))
        .unwrap()
    };
    let mut resource = healthy().swap_remove(1);
    // Not every pod has been heard of.
    resource.object.data["status"]["conditions"][1]["status"] = "Unknown".into();
    let state: StateReport = serde_yaml::from_str(
        "{generation: 3, state: Running, plannedRatePerSecond: 2, latenessSeconds: 0.0012, \
            observed: {events: 6000, ratePerSecond: '1.9'}}",
    )
    .unwrap();
    Facts {
        resource,
        pods: Some(vec![
            AskedPod {
                pod: pod("customer-producer-b", "2.0"),
                state: Err("no route to host".to_owned()),
            },
            AskedPod {
                pod: pod("customer-producer-a", "2.0"),
                state: Ok(state),
            },
        ]),
        kafka_topics: None,
        events: Some(vec![
            serde_yaml::from_str(
                "{metadata: {}, involvedObject: {}, type: Warning, reason: KafkaUnreachable, message: no broker, count: 2, \
                    lastTimestamp: '2026-01-01T11:30:00Z'}",
            )
            .unwrap(),
        ]),
        notes: Vec::new(),
    }
}

#[test]
fn one_resource_in_full() {
    let detail = detail::detail(&facts());
    insta::assert_snapshot!(detail::screen(&detail, now(), false).join("\n"));
}

#[test]
fn the_document_of_one_resource() {
    let view = View::Detail(Box::new(detail::detail(&facts())));
    insta::assert_json_snapshot!(document(&view, now()).unwrap());
}
