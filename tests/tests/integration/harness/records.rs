//! Records: written by one client, read by others.

use std::time::Duration;

use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{
    ConsoleRecord, Isolation, Until, console_consumer, java_partitions, read_all,
};
use ordermill_tests::{TestResult, unique};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use serde_json::json;

use super::{SOON, keys, read, send};

#[tokio::test]
async fn a_record_comes_back_as_it_was_sent() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("round-trip");
    broker.create_topic(&topic, 2).await?;
    assert_eq!(broker.partitions_of(&topic).await?, Some(2));
    assert_eq!(broker.partitions_of(&unique("absent")).await?, None);
    let delivery = send(&broker.client(), &topic, "key", "{\"a\":1}").await?;

    let records = read(&broker, &topic, Isolation::ReadCommitted).await?;
    let [record] = &records[..] else {
        panic!("one record was sent: {records:?}")
    };
    assert_eq!(
        (record.partition, record.offset),
        (delivery.partition, delivery.offset)
    );
    assert_eq!(record.key_text(), Some("key"));
    assert_eq!(record.json()?, json!({"a": 1}));
    assert_eq!(record.header("ce_type"), Some("test"));
    assert!(record.timestamp.is_some());
    Ok(())
}

#[tokio::test]
async fn reading_in_vain_ends_and_says_how_far_it_came() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("short");
    broker.create_topic(&topic, 1).await?;
    send(&broker.client(), &topic, "key", "value").await?;
    let until = Until::count(2).within(Duration::from_secs(3));
    let error = read_all(broker.bootstrap(), &topic, Isolation::ReadCommitted, until)
        .await
        .expect_err("one record is not two");
    assert!(error.to_string().contains("1 records read"), "{error}");
    Ok(())
}

#[tokio::test]
async fn open_and_aborted_transactions_are_seen_by_the_uncommitted_alone() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("transactions");
    broker.create_topic(&topic, 1).await?;
    let mut config = broker.client();
    config.set("transactional.id", unique("transactional"));
    let producer: FutureProducer = config.create()?;
    producer.init_transactions(SOON)?;
    for (key, commit) in [("committed", true), ("aborted", false)] {
        producer.begin_transaction()?;
        let sent = producer
            .send(FutureRecord::to(&topic).key(key).payload("value"), SOON)
            .await;
        sent.map_err(|(error, _)| error)?;
        if commit {
            producer.commit_transaction(SOON)?;
        } else {
            producer.abort_transaction(SOON)?;
        }
    }
    producer.begin_transaction()?;
    let sent = producer
        .send(FutureRecord::to(&topic).key("open").payload("value"), SOON)
        .await;
    sent.map_err(|(error, _)| error)?;

    let committed = read(&broker, &topic, Isolation::ReadCommitted).await?;
    assert_eq!(keys(&committed), ["committed"]);
    let all = read(&broker, &topic, Isolation::ReadUncommitted).await?;
    assert_eq!(keys(&all), ["committed", "aborted", "open"]);
    producer.abort_transaction(SOON)?;
    Ok(())
}

#[tokio::test]
async fn the_java_client_reads_the_same_record() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("java");
    broker.create_topic(&topic, 1).await?;
    send(&broker.client(), &topic, "schlüssel", "{\"a\":1}").await?;
    let records = console_consumer(broker.bootstrap(), &topic, Isolation::ReadCommitted, 1).await?;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = ConsoleRecord {
        partition: 0,
        headers: vec![pair("ce_type", "test"), pair("at", "10:30")],
        key: Some("schlüssel".to_owned()),
        value: Some("{\"a\":1}".to_owned()),
    };
    assert_eq!(records, [expected]);
    Ok(())
}

#[tokio::test]
async fn keys_go_where_the_java_client_puts_them() -> TestResult {
    const PARTITIONS: u16 = 7;
    let broker = Broker::shared().await?;
    let topic = unique("partitions");
    broker.create_topic(&topic, PARTITIONS).await?;
    let keys: Vec<String> = (0..1_000)
        .map(|number| format!("{number:x}-ключ-{number}"))
        .collect();
    let producer: FutureProducer = broker
        .client()
        .set("partitioner", "murmur2_random")
        .create()?;
    let mut deliveries = Vec::with_capacity(keys.len());
    for key in &keys {
        let record = FutureRecord::to(&topic).key(key).payload("value");
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    let mut partitions = Vec::with_capacity(keys.len());
    for delivery in deliveries {
        partitions.push(delivery.await?.map_err(|(error, _)| error)?.partition);
    }
    assert_eq!(java_partitions(&keys, PARTITIONS).await?, partitions);
    Ok(())
}
