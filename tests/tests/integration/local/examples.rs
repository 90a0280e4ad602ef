//! The examples: what a newcomer sees first.

use std::collections::BTreeSet;

use ordermill_tests::process::Program;
use ordermill_tests::reader::{Isolation, Until, read_all};
use ordermill_tests::{TestResult, unique};
use serde_json::Value;

use crate::support::events::{Event, assert_contiguous};
use crate::support::local::{Local, Manifests, SOON, Summary, producer, unix_ms};

/// Topic and resource of every event of the examples.
const TOPICS: [(&str, &str); 9] = [
    ("orders", "customer"),
    ("stocks", "supplier"),
    ("transactions", "tills"),
    ("refunds", "tills"),
    ("order-events", "food-orders"),
    ("order.placed", "drinks"),
    ("order.completed", "drinks"),
    ("order.cancelled", "drinks"),
    ("payment.processed", "drinks"),
];

fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_keys(value: &Value, required: &[&str], optional: &[&str]) {
    let found = keys(value);
    let required: BTreeSet<_> = required.iter().copied().collect();
    let allowed: BTreeSet<_> = required.iter().chain(optional).copied().collect();
    assert!(
        required.is_subset(&found) && found.is_subset(&allowed),
        "{found:?} are not {required:?}, with or without {optional:?}"
    );
}

#[tokio::test]
async fn a_run_of_some_seconds_ends_with_one_document() -> TestResult {
    // As they stand, the supplier may be silent for three seconds by chance, and errorRate hold back all that is sent.
    let manifests = Manifests::of_examples(|text| {
        let text = text.replace("interval: 1s", "interval: 100ms");
        text.replace("interval: 500ms", "interval: 100ms")
    })?;
    let mut local = Local::start(manifests, &["--for", "3s", "--output", "json"]).await?;
    let kafka = local.kafka().await?;
    let exit = local.process.wait(SOON).await?.assert_code(0);

    assert!(
        exit.stderr.contains("the producer starts"),
        "the log is on standard error"
    );
    let document: Value = serde_json::from_str(&exit.stdout)?;
    assert_keys(&document, &["kafka", "resources"], &[]);
    assert_eq!(document["kafka"], kafka);
    let resources = document["resources"].as_array().expect("a list");
    let resources = resources
        .iter()
        .filter(|it| it["kind"] == "OrderProducer")
        .collect::<Vec<_>>();
    let names: BTreeSet<_> = resources
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let expected: BTreeSet<_> = TOPICS.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, expected);
    for resource in resources {
        assert_keys(
            resource,
            &["kind", "name", "generation", "state", "observed"],
            &[
                "namespace",
                "plannedRatePerSecond",
                "latenessSeconds",
                "reason",
                "message",
            ],
        );
        assert_eq!(resource["generation"], 1);
        assert_eq!(resource["state"], "Stopped");
        let observed = &resource["observed"];
        // Zero is shown; what a producer has none of is absent.
        assert_keys(
            observed,
            &[
                "events",
                "injected",
                "failed",
                "retried",
                "since",
                "ratePerSecond",
                "asOf",
            ],
            &[],
        );
        assert!(observed["events"].as_u64().unwrap() > 0, "{resource}");
        assert_eq!(observed["failed"], 0, "{resource}");
        let rate: f64 = observed["ratePerSecond"].as_str().unwrap().parse()?;
        assert!(rate > 0.0, "{resource}");
        let time =
            |name: &str| -> jiff::Timestamp { observed[name].as_str().unwrap().parse().unwrap() };
        assert!(time("since") < time("asOf"), "{resource}");
        assert!((unix_ms() - time("asOf").as_millisecond()).abs() < 60_000);
    }
    Ok(())
}

#[tokio::test]
async fn the_wood_orders_end_with_orders_processed_and_a_stock_that_is_right() -> TestResult {
    let manifests = Manifests::of_examples(|text| {
        let text = text.replace("interval: 500ms", "interval: 50ms");
        let text = text.replace("interval: 1s", "interval: 50ms");
        text.replace("interval: 2s", "interval: 500ms")
    })?;
    let process = Program::ordermill()
        .await?
        .args(["local", "--for", "15s", "--output", "json", "-f"])
        .arg(manifests.path("wood-orders"))
        .start()?
        .wait(SOON)
        .await?
        .assert_code(0);
    let document: Value = serde_json::from_str(&process.stdout)?;
    let resources = document["resources"].as_array().expect("a list");
    let resource = |name: &str| resources.iter().find(|it| it["name"] == name).unwrap();
    let count = |value: &Value| value.as_i64().unwrap();
    for name in ["ordercheck", "stockcheck"] {
        let observed = &resource(name)["observed"];
        assert!(count(&observed["events"]) > 20, "{name}: {observed}");
        assert!(count(&observed["lag"]) >= 0 && count(&observed["members"]) > 0);
        assert_eq!(observed["failed"], 0, "{observed}");
    }
    let orders = &resource("order")["contents"]["orders"];
    assert!(count(&orders["processed"]) > 20, "{orders}");
    let stock = &resource("stock")["contents"]["stock"];
    for (kind, account) in stock.as_object().expect("wood") {
        let left = count(&account["delivered"]) - count(&account["decreased"]);
        assert_eq!(count(&account["quantity"]), left, "{kind}");
        assert_eq!(account["consistent"], true, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn an_independent_reader_sees_valid_events_of_every_model() -> TestResult {
    // Faster than for people, so that the rare events come soon.
    let manifests = Manifests::of_examples(|text| {
        let text = text.replace("\n  rate: 2\n", "\n  rate: 50\n");
        text.replace("preparation: 2s", "preparation: 200ms")
    })?;
    let mut local = Local::start(manifests, &["--output", "json"]).await?;
    for (topic, resource) in TOPICS {
        let records = local.records(topic, 1).await?;
        let events = Event::all(&records, resource);
        let ids: BTreeSet<_> = records
            .iter()
            .map(|record| record.header("ce_id"))
            .collect();
        assert_eq!(ids.len(), events.len(), "an id twice in {topic}");
    }
    local.finish().await?;
    Ok(())
}

#[tokio::test]
async fn what_it_says_of_a_real_kafka_is_what_is_there() -> TestResult {
    let broker = ordermill_tests::kafka::Broker::shared().await?;
    let topic = unique("counted");
    let files = [(
        "food.yaml",
        producer(
            "food",
            &[
                "model: FoodOrder",
                "interval: 10ms",
                "errorRate: 0.5",
                &format!("topics: {{orderEvents: {{name: {topic}, partitions: 5}}}}"),
            ],
        ),
    )];
    let files = files.each_ref().map(|(file, text)| (*file, text.as_str()));
    let arguments = ["--kafka", broker.bootstrap(), "--output", "json"];
    let mut local = Local::start(Manifests::new(&files)?, &arguments).await?;
    local.records(&topic, 100).await?;
    let summary = local.finish().await?;

    assert_eq!(summary.kafka, broker.bootstrap());
    assert_eq!(broker.partitions_of(&topic).await?, Some(5));
    let records = read_all(
        broker.bootstrap(),
        &topic,
        Isolation::ReadCommitted,
        Until::end(),
    )
    .await?;
    let events = Event::all(&records, "food");
    assert_contiguous(&events);
    let observed = &summary.resource("food").observed;
    assert_eq!(observed.events, Some(events.len()));
    let failed = |event: &&Event| event.payload["status"] == "failed";
    assert_eq!(
        observed.injected,
        Some(events.iter().filter(failed).count())
    );
    for event in events {
        assert_eq!(
            event.injected.as_deref(),
            failed(&&event).then_some("errorRate")
        );
    }
    Ok(())
}

#[tokio::test]
async fn plain_lines_name_kafka_and_tell_of_each_resource() -> TestResult {
    let manifests = Manifests::of_examples(str::to_owned)?;
    // Standard output is a file here, no terminal: that makes plain lines the default.
    let mut local = Local::start(manifests, &[]).await?;
    let kafka = local.kafka().await?;
    let line = local.line("Kafka listens at").await?;
    assert_eq!(line, format!("Kafka listens at {kafka}"));
    let names: BTreeSet<_> = TOPICS.iter().map(|(_, name)| *name).collect();
    for name in &names {
        let line = local
            .line(&format!("OrderProducer/{name} Running generation=1"))
            .await?;
        for part in ["planned=", "observed=", "events=", "injected=", "failed=0"] {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
    }
    local
        .process
        .signal(ordermill_tests::process::Signal::INT)?;
    let exit = local.process.wait(SOON).await?.assert_code(0);
    let (_, summary) = exit.stdout.split_once("At the end:\n").expect("a summary");
    for name in names {
        assert!(
            summary.contains(&format!("OrderProducer/{name} Stopped")),
            "{summary}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_arguments_the_examples_run() -> TestResult {
    let manifests = Manifests::of_examples(str::to_owned)?;
    let folder = manifests.path("");
    std::os::unix::fs::symlink(&folder, folder.join("examples"))?;
    let exit = Program::ordermill()
        .await?
        .args(["local", "--for", "1s", "-o", "json"])
        .in_folder(&folder)
        .start()?
        .wait(SOON)
        .await?
        .assert_code(0);
    assert_eq!(Summary::of(&exit).resources.len(), 10);
    Ok(())
}
