//! Edits that change what runs, and those that cannot be taken.

use ordermill_tests::TestResult;
use ordermill_tests::reader::{Isolation, Until, read_all};

use crate::support::events::{Event, assert_contiguous, instances};
use crate::support::local::{Local, ONE_PARTITION, SOON, manifest, producer};

/// A producer of the topic `orders`, with further fields.
fn orders(name: &str, further: &[&str]) -> String {
    let fields = [
        &["model: WoodOrder", ONE_PARTITION, "interval: 10ms"],
        further,
    ]
    .concat();
    producer(name, &fields)
}

/// A producer of the topic `stocks`.
fn supplier() -> String {
    let fields = [
        "model: WoodStock",
        "topics: {stocks: {name: stocks, partitions: 1}}",
        "interval: 10ms",
        "errorRate: 0",
    ];
    producer("supplier", &fields)
}

#[tokio::test]
async fn an_edit_that_breaks_a_rule_keeps_the_old_one_running_and_says_why() -> TestResult {
    let good = orders("customer", &["errorRate: 0"]);
    let mut local = Local::on(&[("customer.yaml", &good)]).await?;
    local.flows("orders", 20).await?;
    let file = local.manifests.path("customer.yaml");
    let wrong = [
        (
            "errorRate: 2",
            "9:14: OrderProducer/customer: spec.errorRate: 2 is not allowed: must be at most 1",
        ),
        ("errorRate: [", ": is no YAML: "),
        (
            "errorRat: 0.5",
            "9:3: OrderProducer/customer: spec.errorRat: is no known field: did you mean errorRate?",
        ),
    ];
    for (field, told) in wrong {
        local
            .manifests
            .save("customer.yaml", &orders("customer", &[field]))?;
        let line = local.line(told).await?;
        let place = format!("{}:", file.display());
        let (_, place) = line.split_once(&place).expect("the file is named");
        let number = place.split(':').next().unwrap();
        assert!(number.parse::<u32>().is_ok(), "no line is named: {line}");
        assert!(line.contains("stays as it was"), "{line}");
        local.flows("orders", 20).await?;
    }
    // Mended, it is the second edit that was taken.
    local
        .manifests
        .save("customer.yaml", &orders("customer", &["errorRate: 0.5"]))?;
    local
        .line("tuned: errorRate 0.0 → 0.5 generation=2")
        .await?;
    let events = Event::all(&local.flows("orders", 20).await?, "customer");
    assert_eq!(instances(&events).len(), 1, "nothing is restarted");
    assert_contiguous(&events);
    assert_eq!(local.finish().await?.resource("customer").generation, 2);
    Ok(())
}

#[tokio::test]
async fn a_broken_file_does_not_hold_up_the_others() -> TestResult {
    let (one, two) = (orders("one", &[]), producer("two", &["model: WoodStock"]));
    let mut local = Local::on(&[("one.yaml", &one), ("two.yaml", &two)]).await?;
    local.flows("orders", 5).await?;
    local.manifests.save("one.yaml", "kind: [")?;
    local.line("one.yaml:").await?;
    let text = producer(
        "two",
        &["model: WoodStock", "interval: 10ms", "errorRate: 0"],
    );
    local.manifests.save("two.yaml", &text)?;
    local.line("OrderProducer/two: tuned: ").await?;
    local.flows("stocks", 20).await?;
    local.flows("orders", 5).await?;
    local.finish().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_tuned_replaces_the_instance() -> TestResult {
    let mut local = Local::on(&[("customer.yaml", &orders("customer", &["errorRate: 0"]))]).await?;
    local.flows("orders", 20).await?;
    let text = orders("customer", &["errorRate: 0", "payloadBytes: 500"]);
    local.manifests.save("customer.yaml", &text)?;
    local.line("the edit cannot be taken live").await?;
    local
        .line("OrderProducer/customer: the producer has stopped")
        .await?;
    local.line("the producer starts generation=2").await?;
    let records = local.flows("orders", 20).await?;
    let events = Event::all(&records, "customer");
    assert_eq!(instances(&events).len(), 2);
    assert_contiguous(&events);
    for record in &records {
        let padded = Event::of(record, "customer").instance == events.last().unwrap().instance;
        let bytes = record.value.as_ref().unwrap().len();
        assert!(bytes == 500 || bytes < 300, "{bytes} bytes, {padded}");
    }
    let summary = local.finish().await?;
    let shown = summary.resource("customer");
    assert_eq!((shown.generation, shown.state.as_str()), (2, "Stopped"));
    // One producer at 10 ms, not two.
    assert!(
        (shown.planned_rate_per_second - 100.0).abs() < 1e-6,
        "{shown:?}"
    );
    assert!(shown.observed.events >= Some(records.len()), "{shown:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_file_starts_and_a_deleted_one_stops() -> TestResult {
    let mut local = Local::on(&[("customer.yaml", &orders("customer", &[]))]).await?;
    local.flows("orders", 5).await?;
    let text = supplier();
    local.manifests.save("supplier.yaml", &text)?;
    local
        .line("OrderProducer/supplier: the producer starts")
        .await?;
    local.flows("stocks", 20).await?;

    local.manifests.delete("supplier.yaml")?;
    local.line("the manifest is gone").await?;
    local
        .line("OrderProducer/supplier: the producer has stopped")
        .await?;
    let events = Event::all(&local.all_records("stocks").await?, "supplier");
    assert_contiguous(&events);
    local.flows("orders", 20).await?;
    assert_eq!(local.count("stocks").await?, events.len());

    let summary = local.finish().await?;
    let shown = summary.resource("supplier");
    assert_eq!(shown.state, "Stopped");
    assert_eq!(shown.observed.events, Some(events.len()));
    Ok(())
}

#[tokio::test]
async fn a_file_that_returns_starts_anew() -> TestResult {
    let text = supplier();
    let files = [
        ("customer.yaml", orders("customer", &[])),
        ("supplier.yaml", text.clone()),
    ];
    let mut local = Local::on(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await?;
    local.flows("stocks", 5).await?;
    local.manifests.delete("supplier.yaml")?;
    local
        .line("OrderProducer/supplier: the producer has stopped")
        .await?;
    let before = local.count("stocks").await?;
    local.manifests.save("supplier.yaml", &text)?;
    let events = Event::all(&local.records("stocks", before + 5).await?, "supplier");
    assert_eq!(instances(&events).len(), 2);
    assert_contiguous(&events);
    let summary = local.finish().await?;
    assert!(summary.resource("supplier").observed.events >= Some(events.len()));
    Ok(())
}

#[tokio::test]
async fn replicas_run_side_by_side_and_follow_edits() -> TestResult {
    let replicas =
        |count: u32| orders("customer", &["errorRate: 0", &format!("replicas: {count}")]);
    let mut local = Local::on(&[("customer.yaml", &replicas(1))]).await?;
    let events = Event::all(&local.flows("orders", 5).await?, "customer");
    let first = events[0].instance.clone();

    local.manifests.save("customer.yaml", &replicas(3))?;
    let kafka = local.kafka().await?;
    let three = async || {
        let read = read_all(&kafka, "orders", Isolation::ReadCommitted, Until::end()).await;
        let events = Event::all(&read.map_err(|error| error.to_string())?, "customer");
        match instances(&events).len() {
            3 => Ok(()),
            other => Err(format!("{other} instances")),
        }
    };
    local
        .process
        .wait_for(SOON, "three instances", three)
        .await?;

    local.manifests.save("customer.yaml", &replicas(1))?;
    local.line("the producer has stopped").await?;
    let records = local.flows("orders", 20).await?;
    let events = Event::all(&records, "customer");
    assert_eq!(instances(&events).len(), 3);
    assert_contiguous(&events);
    let last = Event::of(records.last().unwrap(), "customer");
    assert_eq!(last.instance, first, "the first one stays");
    let summary = local.finish().await?;
    let shown = summary.resource("customer");
    assert_eq!(shown.generation, 3);
    assert!(
        (shown.planned_rate_per_second - 100.0).abs() < 1e-6,
        "{shown:?}"
    );
    assert!(shown.observed.events >= Some(records.len()), "{shown:?}");
    Ok(())
}

#[tokio::test]
async fn without_replicas_nothing_runs() -> TestResult {
    let mut local = Local::on(&[
        ("customer.yaml", &orders("customer", &["replicas: 0"])),
        (
            "other.yaml",
            &producer("other", &["model: WoodStock", "interval: 10ms"]),
        ),
    ])
    .await?;
    local.flows("stocks", 20).await?;
    assert_eq!(local.count("orders").await?, 0);
    let summary = local.finish().await?;
    let shown = summary.resource("customer");
    assert_eq!(
        (shown.state.as_str(), shown.observed.events),
        ("ScaledToZero", None)
    );
    Ok(())
}

#[tokio::test]
async fn kinds_that_do_not_run_here_are_told_plainly() -> TestResult {
    let consumer = manifest("StreamConsumer", "check", "  handler: Inventory");
    let files = [
        ("customer.yaml", orders("customer", &[])),
        ("check.yaml", consumer),
    ];
    let mut local = Local::on(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await?;
    let line = local.line("StreamConsumer is left out").await?;
    assert!(
        line.contains("handler Inventory cannot run locally yet"),
        "{line}"
    );
    assert!(line.contains("check"), "{line}");
    local.flows("orders", 5).await?;
    let summary = local.finish().await?;
    let shown = summary.resource("check");
    assert_eq!(
        (shown.state.as_str(), shown.observed.events),
        ("NotRunnable", None)
    );
    assert_eq!(
        shown.message.as_deref(),
        Some("handler Inventory cannot run locally yet")
    );
    assert!(summary.resource("customer").observed.events > Some(0));
    Ok(())
}

#[tokio::test]
async fn a_consumer_whose_backend_no_manifest_has_says_so_and_runs_when_one_comes() -> TestResult {
    let consumer = manifest("StreamConsumer", "check", "  handler: OrderCheck");
    let files = [
        ("customer.yaml", orders("customer", &[])),
        ("check.yaml", consumer),
    ];
    let mut local = Local::on(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await?;
    let line = local.line("StreamConsumer is left out").await?;
    let told = "it calls the Backend order, which no manifest has";
    assert!(line.contains(told), "{line}");
    let backend = manifest("Backend", "order", "  app: Order");
    let backend = local.manifests.with_port(&backend)?;
    local.manifests.save("order.yaml", &backend)?;
    local.line("took a partition over").await?;
    let summary = local.finish().await?;
    assert_eq!(summary.resource("check").state, "Stopped");
    Ok(())
}
