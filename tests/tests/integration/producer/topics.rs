//! Topics and what lies in them, as independent clients see it.

use std::collections::BTreeMap;

use crate::support::producer::{
    Configuration, Producer, SOON, Setup, read_topic, totals, wait_for_records,
};
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, console_consumer, java_partitions};
use ordermill_tests::{TestResult, unique};

#[tokio::test]
async fn a_missing_topic_is_created_as_asked_for_and_an_existing_one_is_left() -> TestResult {
    let broker = Broker::shared().await?;
    let (missing, existing) = (unique("missing"), unique("existing"));
    broker.create_topic(&existing, 2).await?;
    let spec = format!(
        "{{model: RetailSale, rate: 50, topics: {{\
            transactions: {{name: {missing}, partitions: 5, config: {{retention.ms: '3600000'}}}}, \
            refunds: {{name: {existing}, partitions: 7}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    producer.wait_for_events(50).await?;
    producer.stop().await?;
    assert_eq!(broker.partitions_of(&missing).await?, Some(5));
    assert_eq!(broker.partitions_of(&existing).await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn keys_lie_where_the_java_client_puts_them() -> TestResult {
    const KEYS: usize = 1000;
    const PARTITIONS: u16 = 7;
    let broker = Broker::shared().await?;
    let topic = unique("keys");
    broker.create_topic(&topic, PARTITIONS).await?;
    // Every order has a key of its own.
    let spec = format!(
        "{{model: FoodOrder, rate: 5000, maxEvents: {KEYS}, topics: {{orderEvents: {{name: {topic}}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    wait_for_records(broker.bootstrap(), &topic, KEYS).await?;
    let _exit = producer.process.wait(SOON).await?.assert_code(0);
    let records = read_topic(broker.bootstrap(), &topic).await?;
    let ours: BTreeMap<String, i32> = records
        .iter()
        .map(|record| (record.key_text().unwrap().to_owned(), record.partition))
        .collect();
    assert_eq!(ours.len(), KEYS);
    let keys: Vec<String> = ours.keys().cloned().collect();
    let theirs = java_partitions(&keys, PARTITIONS).await?;
    let theirs: BTreeMap<String, i32> = keys.into_iter().zip(theirs).collect();
    assert_eq!(ours, theirs);
    Ok(())
}

#[tokio::test]
async fn kafkas_own_console_consumer_reads_keys_headers_and_values() -> TestResult {
    const COUNT: usize = 20;
    let broker = Broker::shared().await?;
    let topic = unique("console");
    broker.create_topic(&topic, 1).await?;
    let spec = format!(
        "{{model: WoodOrder, rate: 100, errorRate: 0, maxEvents: {COUNT}, seed: 7, \
            topics: {{orders: {{name: {topic}}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    let _exit = producer.process.wait(SOON).await?.assert_code(0);
    let isolation = Isolation::ReadCommitted;
    let records = console_consumer(broker.bootstrap(), &topic, isolation, COUNT).await?;
    for (number, record) in records.iter().enumerate() {
        let value: serde_json::Value = serde_json::from_str(record.value.as_ref().unwrap())?;
        let headers: BTreeMap<_, _> = record.headers.iter().cloned().collect();
        assert_eq!(record.key.as_deref(), value["customer_id"].as_str());
        assert_eq!(headers["ce_id"], value["order_id"].as_str().unwrap());
        assert_eq!(headers["ce_time"], value["timestamp"].as_str().unwrap());
        assert_eq!(headers["ordermill-sequence"], number.to_string());
        for (name, expected) in [
            ("content-type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_type", "dev.ordermill.wood.order"),
            ("ce_source", "/ordermill/test/producer"),
            ("ordermill-instance", "producer-0"),
            ("ordermill-suppressed", "0"),
        ] {
            assert_eq!(headers[name], expected, "{name}");
        }
        assert_eq!(headers["traceparent"].len(), 55);
    }
    Ok(())
}

/// One partition, so that everything waits for the same batches.
async fn small_topic(broker: &Broker, bytes: &str) -> TestResult<String> {
    let topic = unique("small");
    let config = [("max.message.bytes", bytes)];
    broker.create_topic_with(&topic, 1, &config).await?;
    Ok(topic)
}

#[tokio::test]
async fn a_topic_of_small_batches_gets_every_event_once() -> TestResult {
    const ENOUGH: u64 = 6000;
    let broker = Broker::shared().await?;
    let topic = small_topic(&broker, "20000").await?;
    let spec = format!(
        "{{model: WoodOrder, rate: 3000, errorRate: 0, payloadBytes: 1000, topics: {{orders: {{name: {topic}}}}}}}"
    );
    // Waiting a little fills batches far beyond what the topic takes.
    let mut setup = Setup::plain(broker.bootstrap())?;
    let linger = ("linger.ms".to_owned(), "200".to_owned());
    setup.kafka.properties.extend([linger]);
    let mut producer = Producer::start(&Configuration::saved(setup, &spec)?).await?;
    producer.wait_for_events(ENOUGH).await?;
    assert_eq!(producer.state().await?.message, None);
    producer.stop().await?;
    let totals = totals(&read_topic(broker.bootstrap(), &topic).await?);
    assert_eq!(totals.len(), 1);
    assert!(
        totals.values().all(|total| total.events >= ENOUGH),
        "{totals:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_bounded_run_to_a_topic_of_small_batches_is_exact() -> TestResult {
    const COUNT: u64 = 3000;
    let broker = Broker::shared().await?;
    let topic = small_topic(&broker, "20000").await?;
    let spec = format!(
        "{{model: WoodOrder, rate: 100000, errorRate: 0, maxEvents: {COUNT}, payloadBytes: 1000, \
            topics: {{orders: {{name: {topic}}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    let exit = producer.process.wait(SOON).await?.assert_code(0);
    // A batch that is too large is learned from, and what follows from it inside the client is never told as a trouble.
    for consequence in ["Erroneous state", "Purged"] {
        assert!(!exit.stdout.contains(consequence), "{}", exit.stdout);
    }
    let records = read_topic(broker.bootstrap(), &topic).await?;
    let totals = totals(&records);
    let events = totals.values().map(|total| total.events).sum::<u64>();
    assert_eq!(events, COUNT);
    Ok(())
}

#[tokio::test]
async fn records_that_a_topic_is_too_small_for_are_told_and_wait() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = small_topic(&broker, "2000").await?;
    let spec = format!(
        "{{model: WoodOrder, rate: 20, errorRate: 0, payloadBytes: 5000, topics: {{orders: {{name: {topic}}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producer = Producer::start(&configuration).await?;
    let state = producer.wait_for_reason("RecordTooLarge").await?;
    assert!(state.message.unwrap_or_default().contains(&topic));
    broker
        .configure_topic(&topic, &[("max.message.bytes", "20000")])
        .await?;
    producer.wait_for_events(40).await?;
    producer.stop().await?;
    let totals = totals(&read_topic(broker.bootstrap(), &topic).await?);
    assert_eq!(totals.len(), 1, "nothing lost, nothing doubled");
    Ok(())
}
