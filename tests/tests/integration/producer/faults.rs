//! What is wrong on purpose: live edits of it, and the same account of it by the records and by the producer itself.

use std::collections::BTreeSet;

use crate::support::SOON;
use crate::support::producer::{
    Configuration, Producer, Setup, State, injected, is_copy, read_topic, sequence, totals,
};
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::Record;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

const HOUR_MS: i64 = 3_600_000;

fn spec(model: &str, role: &str, topic: &str, more: &str) -> String {
    format!("{{model: {model}, rate: 400, seed: 7, topics: {{{role}: {{name: {topic}}}}}{more}}}")
}

/// Events that a fault touched, alone or among others.
fn touched(state: &State, fault: &str) -> u64 {
    let named = |label: &&String| label.split(',').any(|name| name == fault);
    state
        .faults
        .iter()
        .filter(|(label, _)| named(label))
        .map(|(_, count)| count)
        .sum()
}

/// Pauses the producer and waits until everything is accounted for: what it counts is what is in the topic.
async fn settle(
    broker: &Broker,
    topic: &str,
    producer: &mut Producer,
    configuration: &mut Configuration,
    paused: &str,
) -> TestResult<(State, Vec<Record>)> {
    producer.retune(configuration, paused).await?;
    producer
        .wait_for("the pause", |state| state.phase == "Paused")
        .await?;
    // Records may still be on their way: both are looked at until they agree.
    let settled = eventually_ok(SOON, "a settled account", async || {
        let records = read_topic(broker.bootstrap(), topic).await;
        let records = records.map_err(|error| error.to_string())?;
        let events = records.iter().filter(|record| !is_copy(record)).count() as u64;
        let state = producer.state().await.map_err(|error| error.to_string())?;
        if state.events() == events {
            Ok((state, records))
        } else {
            Err(format!("{events} are in the topic of {}", state.events()))
        }
    });
    Ok(settled.await)
}

#[tokio::test]
async fn an_edited_error_rate_loses_and_doubles_nothing_else() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("live");
    let spec = |more: &str| spec("WoodOrder", "orders", &topic, more);
    let (calm, wild) = (spec(", errorRate: 0"), spec(", errorRate: 0.5"));
    // As in a pod: the document is a ConfigMap that a kubelet swaps.
    let mut configuration = Configuration::mounted(Setup::plain(broker.bootstrap())?, &calm)?;
    let mut producer = Producer::start(&configuration).await?;
    producer.wait_for_events(200).await?;
    for _ in 0..3 {
        let before = producer.retune(&mut configuration, &wild).await?;
        producer.wait_for_events(before.events() + 300).await?;
        let after = producer.retune(&mut configuration, &calm).await?;
        producer.wait_for_events(after.events() + 100).await?;
    }
    let paused = spec(", errorRate: 0, paused: true");
    let (state, records) =
        settle(&broker, &topic, &mut producer, &mut configuration, &paused).await?;
    let totals = totals(&records);
    assert_eq!(totals.len(), 1, "the same instance all along: {totals:?}");
    let total = totals.values().next().unwrap();
    assert_eq!(total.events, state.events());
    assert_eq!(total.suppressed, state.fault("errorRate"));
    assert_eq!(state.injected(), state.fault("errorRate"));
    // At least 900 events were sent at a rate of one half: fewer than 600 held back has a chance below 1 in 10⁹.
    assert!(total.suppressed > 600, "{total:?}");
    assert_eq!(state.failed(), 0);
    producer.stop().await?;
    Ok(())
}

#[tokio::test]
async fn each_fault_is_what_it_says_and_is_counted_as_often_as_it_is_there() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("faults");
    let spec = |more: &str| spec("FoodOrder", "orderEvents", &topic, more);
    let wild = spec(
        ", errorRate: 0.2, faults: {drop: {rate: 0.1}, duplicate: {rate: 0.1}, outOfOrder: {rate: 0.1}, \
           late: {rate: 0.1, duration: 1h}, malformed: {rate: 0.1}, oversized: {rate: 0.03}}",
    );
    let calm = spec(", errorRate: 0");
    let mut configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &wild)?;
    let mut producer = Producer::start(&configuration).await?;
    let wild = producer.wait_for_events(1500).await?;
    producer.retune(&mut configuration, &calm).await?;
    producer.wait_for_events(wild.events() + 200).await?;
    let paused = spec(", errorRate: 0, paused: true");
    let (state, records) =
        settle(&broker, &topic, &mut producer, &mut configuration, &paused).await?;

    let totals = totals(&records);
    let total = totals.values().next().unwrap();
    assert_eq!(total.events, state.events());
    assert_eq!(total.copies, touched(&state, "duplicate"));
    assert_eq!(
        total.suppressed,
        touched(&state, "drop") + touched(&state, "oversized")
    );
    let marked = |fault: &str| -> Vec<&Record> {
        let has = |label: &str| label.split(',').any(|name| name == fault);
        let originals = records.iter().filter(|record| !is_copy(record));
        originals
            .filter(|record| injected(record).is_some_and(has))
            .collect()
    };
    for fault in ["errorRate", "outOfOrder", "late", "malformed"] {
        let records = marked(fault);
        assert_eq!(records.len() as u64, touched(&state, fault), "{fault}");
        assert!(!records.is_empty(), "{fault}");
    }
    assert!(
        touched(&state, "oversized") > 0 && touched(&state, "drop") > 0,
        "{state:?}"
    );
    assert!(
        marked("malformed")
            .iter()
            .all(|record| record.json().is_err())
    );
    let readable = records
        .iter()
        .filter(|it| !marked("malformed").contains(it));
    for record in readable.filter(|record| !is_copy(record)) {
        let failed = record.json()?["status"] == "failed";
        assert_eq!(
            failed,
            injected(record).is_some_and(|it| it.contains("errorRate"))
        );
    }
    let newest = records
        .iter()
        .filter_map(|record| record.timestamp)
        .max()
        .unwrap();
    for record in &records {
        let late = injected(record).is_some_and(|it| it.contains("late"));
        let age = newest - record.timestamp.unwrap();
        assert_eq!(age >= HOUR_MS, late, "{record:?}");
    }
    for record in marked("outOfOrder") {
        let number = sequence(record);
        let place = |number: u64| records.iter().position(|it| sequence(it) == number);
        let successor = (number + 1..).find_map(place).unwrap();
        assert!(
            successor < place(number).unwrap(),
            "{number} is before its successor"
        );
    }
    assert_eq!(state.failed(), 0);
    producer.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_window_opens_and_closes_by_itself() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("window");
    let more = ", errorRate: 0, faults: {drop: {rate: 1, after: 1s, for: 1s}}";
    let spec = spec("WoodOrder", "orders", &topic, more);
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    // The window opens after a second, so at 400 events a second no more than 401 are sent before it.
    let state = producer.wait_for_events(500).await?;
    producer.stop().await?;
    let records = read_topic(broker.bootstrap(), &topic).await?;
    let held_back = |record: &Record| record.header("ordermill-suppressed")?.parse::<u64>().ok();
    let steps: BTreeSet<u64> = records.iter().filter_map(held_back).collect();
    // One window, in one piece: nothing is held back before it, and nothing after it.
    assert_eq!(steps, BTreeSet::from([0, state.fault("drop")]));
    totals(&records);
    Ok(())
}
