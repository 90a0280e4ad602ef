//! The checks of whole files: what is told, where, and in which order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::path::PathBuf;

use ordermill_crds::validate::{Folders, Report, Schemas, validate_files, validate_text};

fn schemas() -> Schemas {
    Schemas::of_this_build().unwrap()
}

fn check(text: &str) -> Report {
    validate_text("orders.yaml", text, &schemas())
}

fn told(text: &str) -> Vec<String> {
    check(text)
        .violations
        .iter()
        .map(ToString::to_string)
        .collect()
}

const GOOD: &str = "\
apiVersion: ordermill.dev/v1alpha1
kind: OrderProducer
metadata: {name: wood}
spec:
  model: WoodOrder
";

#[test]
fn a_good_manifest_is_given_as_the_api_server_would_store_it() {
    let report = check(&format!("{GOOD}  errorRate:\n  interval: 500ms\n"));
    assert_eq!(report.violations, []);
    let object = &report.objects[0];
    assert_eq!(
        (object.kind.as_str(), object.name.as_str(), object.line),
        ("OrderProducer", "wood", 1)
    );
    assert_eq!(object.value["spec"]["replicas"], 1);
    assert!(object.value["spec"].get("errorRate").is_none());
    let typed: ordermill_crds::OrderProducer =
        serde_json::from_value(object.value.clone()).unwrap();
    assert_eq!(typed.spec.common.replicas, 1);
}

#[test]
fn every_violation_of_every_document_is_told_at_once_in_order() {
    let text = "\
apiVersion: ordermill.dev/v1alpha1
kind: OrderProducer
metadata:
  name: wood
spec:
  intreval: 5s
  errorRate: 1.5
  interval: 1s
  rate: 10
---
apiVersion: ordermill.dev/v1alpha1
kind: Worker
metadata: {name: Loyalty, labels: {on: yes}}
spec:
  task: LoyaltyExpiri
  faults: {late: {}}
";
    assert_eq!(
        told(text),
        [
            "orders.yaml:5:1: OrderProducer/wood: spec.model: is required",
            "orders.yaml:5:1: OrderProducer/wood: spec: set at most one of interval, rate and stages",
            "orders.yaml:6:3: OrderProducer/wood: spec.intreval: is no known field: did you mean interval?",
            "orders.yaml:7:14: OrderProducer/wood: spec.errorRate: 1.5 is not allowed: must be at most 1",
            "orders.yaml:13:18: Worker/Loyalty: metadata.name: \"Loyalty\" is not allowed: must consist of lower-case letters, \
         digits, '-' and '.', with a letter or digit at the beginning and the end of each part between dots",
            "orders.yaml:13:40: Worker/Loyalty: metadata.labels.true: true is not allowed: must be a text",
            "orders.yaml:15:9: Worker/Loyalty: spec.task: \"LoyaltyExpiri\" is not allowed: must be one of OrderManagement, \
         StatsAggregation, RewardNotification, LoyaltyExpiry, DataCleanup; did you mean LoyaltyExpiry?",
            "orders.yaml:16:12: Worker/Loyalty: spec.faults.late: is no known field: did you mean latency?",
        ]
    );
}

#[test]
fn syntax_errors_have_their_place_and_leave_the_other_documents() {
    let report = check(&format!("a: [1\n---\n{GOOD}---\nkind: \"x\n"));
    assert_eq!(report.objects.len(), 1);
    let lines: Vec<usize> = report
        .violations
        .iter()
        .map(|violation| violation.position.unwrap().line)
        .collect();
    assert_eq!(lines.len(), 2, "{:?}", report.violations);
    assert!(lines[0] <= 2 && lines[1] >= 9, "{lines:?}");
}

#[test]
fn a_field_given_twice_is_a_violation_and_the_document_is_no_object() {
    let report = check(&format!("{GOOD}  rate: 1\n  rate: 2\n"));
    assert_eq!(report.objects, []);
    assert_eq!(
        report.violations[0].to_string(),
        "orders.yaml:7:3: OrderProducer/wood: spec.rate: is given twice, first on line 6, column 3"
    );
}

#[test]
fn unknown_kinds_and_versions_of_our_group_are_violations() {
    assert_eq!(
        told("apiVersion: ordermill.dev/v1alpha1\nkind: OrderProducr\n"),
        [
            "orders.yaml:2:7: OrderProducr: kind: \"OrderProducr\" is not allowed: must be one of Backend, OrderProducer, \
         StreamConsumer, Worker; did you mean OrderProducer?",
        ]
    );
    for api_version in [
        "ordermill.dev/v1",
        "ordermil.dev/v1alpha1",
        "ordermill.io/v1alpha1",
    ] {
        assert_eq!(
            told(&GOOD.replace("ordermill.dev/v1alpha1", api_version)),
            [format!(
                "orders.yaml:1:13: OrderProducer/wood: apiVersion: \"{api_version}\" is not allowed: must be ordermill.dev/v1alpha1"
            )]
        );
    }
    assert_eq!(
        told("metadata: {name: x}\n"),
        [
            "orders.yaml:1:1: document/x: apiVersion: is required",
            "orders.yaml:1:1: document/x: kind: is required",
        ]
    );
    assert_eq!(
        told("- a\n"),
        ["orders.yaml:1:1: must be an object with apiVersion and kind"]
    );
}

#[test]
fn documents_of_other_groups_are_skipped() {
    let report = check(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: b}\n---\napiVersion: kafka.strimzi.io/v1\nkind: Kafka\n",
    );
    assert_eq!(report.violations, []);
    let skipped: Vec<String> = report
        .skipped
        .iter()
        .map(|skipped| {
            format!(
                "{} {} {}",
                skipped.line, skipped.api_version, skipped.object
            )
        })
        .collect();
    assert_eq!(skipped, ["1 v1 Secret/s", "6 kafka.strimzi.io/v1 Kafka"]);
}

#[test]
fn lists_are_unfolded() {
    let item = |name: &str, rate: &str| {
        format!(
            "- {{apiVersion: ordermill.dev/v1alpha1, kind: OrderProducer, metadata: {{name: {name}}}, spec: {{model: WoodOrder, errorRate: {rate}}}}}\n"
        )
    };
    for (api_version, kind) in [
        ("v1", "List"),
        ("ordermill.dev/v1alpha1", "OrderProducerList"),
    ] {
        let text = format!(
            "apiVersion: {api_version}\nkind: {kind}\nitems:\n{}{}",
            item("a", "0"),
            item("b", "2")
        );
        let report = check(&text);
        assert_eq!(report.objects.len(), 1);
        assert_eq!(report.violations.len(), 1);
        assert_eq!(
            report.violations[0].path.to_string(),
            "items[1].spec.errorRate"
        );
        assert_eq!(report.violations[0].position.unwrap().line, 5);
    }
}

#[test]
fn a_status_is_ignored_with_a_note() {
    let report = check(&format!("{GOOD}status: {{nonsense: true}}\n"));
    assert_eq!(report.violations, []);
    assert!(report.objects[0].value.get("status").is_none());
    assert!(
        report.notes[0]
            .to_string()
            .starts_with("orders.yaml:6:1: OrderProducer/wood: status: ")
    );
}

#[test]
fn the_same_resource_twice_names_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.yaml"), folder.path().join("b.yml"));
    fs::write(&first, GOOD).unwrap();
    fs::write(
        &second,
        format!(
            "# again\n{GOOD}---\n{}",
            GOOD.replace("wood}", "wood, namespace: other}")
        ),
    )
    .unwrap();
    let report = validate_files(&[folder.path().to_owned()], Folders::Flat, &schemas());
    assert_eq!(report.violations.len(), 1);
    assert_eq!(
        report.violations[0].to_string(),
        format!(
            "{}:2:1: OrderProducer/wood: metadata.name: names the same resource as {}:1:1",
            second.display(),
            first.display()
        )
    );
    assert_eq!(report.objects.len(), 2);
}

#[test]
fn folders_give_their_manifests_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let manifest = |name: &str| GOOD.replace("wood", name);
    for (path, text) in [
        (folder.path().join("b.yaml"), manifest("b")),
        (folder.path().join("a.json"), r#"{"apiVersion": "ordermill.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "a"}, "spec": {"app": "Order"}}"#.to_owned()),
        (folder.path().join("notes.txt"), "no: [".to_owned()),
        (folder.path().join(".hidden.yaml"), "no: [".to_owned()),
        (inner.join("c.yml"), manifest("c")),
    ] {
        fs::write(path, text).unwrap();
    }
    let names = |folders: Folders, paths: &[PathBuf]| -> Vec<String> {
        let report = validate_files(paths, folders, &schemas());
        assert_eq!(report.violations, []);
        report
            .objects
            .into_iter()
            .map(|object| object.name)
            .collect()
    };
    let path = folder.path().to_owned();
    assert_eq!(
        names(Folders::Flat, std::slice::from_ref(&path)),
        ["a", "b"]
    );
    assert_eq!(
        names(Folders::Recursive, std::slice::from_ref(&path)),
        ["a", "b", "c"]
    );
    assert_eq!(
        names(Folders::Flat, &[path.join("b.yaml"), path]),
        ["b", "a"]
    );
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (good, binary, missing) = (
        folder.path().join("good.yaml"),
        folder.path().join("binary.yaml"),
        folder.path().join("missing.yaml"),
    );
    fs::write(&good, GOOD).unwrap();
    fs::write(&binary, [b'a', 0xff]).unwrap();
    let report = validate_files(
        &[missing.clone(), binary.clone(), good],
        Folders::Flat,
        &schemas(),
    );
    assert_eq!(report.objects.len(), 1);
    let told: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    assert!(
        told[0].starts_with(&format!("{}: cannot be read: ", missing.display())),
        "{}",
        told[0]
    );
    assert_eq!(
        told[1],
        format!("{}: is no UTF-8 text from byte 1 on", binary.display())
    );
}

#[test]
fn a_violation_as_json_has_flat_fields() {
    let report = check(&format!("{GOOD}  errorRate: 2\n"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["violations"][0],
        serde_json::json!({
            "file": "orders.yaml", "line": 6, "column": 14, "kind": "OrderProducer", "name": "wood",
            "path": "spec.errorRate", "found": "2", "problem": "must be at most 1",
        })
    );
}

#[test]
fn a_list_without_a_list_of_items_is_a_violation() {
    assert_eq!(
        told("apiVersion: v1\nkind: List\nitems: {}\n"),
        ["orders.yaml:3:1: List: items: must be a list"]
    );
    assert_eq!(
        check("apiVersion: v1\nkind: List\nitems:\n"),
        Report::default()
    );
}

#[test]
fn generated_names_are_no_repetition() {
    let text = GOOD.replace("name:", "generateName:");
    let report = check(&format!("{text}---\n{text}"));
    assert_eq!(report.violations, []);
    assert_eq!(report.objects.len(), 2);
}

#[test]
fn json_is_read_with_all_its_escapes() {
    let text = r#"{"apiVersion": "ordermill.dev/v1alpha1", "kind": "Worker", "spec": {"task": "DataCleanup"},
        "metadata": {"name": "a", "annotations": {"note": "\ud83d\ude00 \/ \u00e4"}}}"#;
    let report = check(text);
    assert_eq!(report.violations, []);
    assert_eq!(
        report.objects[0].value["metadata"]["annotations"]["note"],
        "😀 / ä"
    );
}
