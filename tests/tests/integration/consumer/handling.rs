//! What is handled, in which order, and what is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, Until, read_all};
use ordermill_tests::{TestResult, eventually, unique};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::scene::{Scene, id, number, order};
use crate::support::SOON;
use crate::support::local::unix_ms;
use crate::support::producer::Run;
use crate::support::recorder::{Answering, WELL};

/// Slow enough that partitions have to be handled at once.
const SLOWLY: Answering = |_| (201, Duration::from_millis(3));

#[tokio::test]
async fn messages_of_a_partition_are_handled_in_order_and_partitions_at_once() -> TestResult {
    let scene = Scene::set(3, SLOWLY).await?;
    for (partition, first) in [(0, 0), (1, 1000), (2, 2000)] {
        scene.send(partition, first..first + 200).await?;
    }
    let mut consumer = scene.consumer("errorRate: 0").await?;
    let done =
        |state: &crate::support::state::State| state.events() == 600 && state.lag() == Some(0);
    let state = consumer.wait_for("all handled", done).await?;
    assert_eq!(
        (state.injected(), state.failed(), state.retried()),
        (0, 0, 0)
    );
    assert_eq!((state.dead_lettered(), state.members()), (Some(0), Some(1)));

    let mut by_partition: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for asked in scene.api.members("order_id") {
        let number = number(&asked);
        by_partition.entry(number / 1000).or_default().push(number);
    }
    for partition in 0..3 {
        let all: Vec<_> = (partition * 1000..partition * 1000 + 200).collect();
        assert_eq!(by_partition[&partition], all, "partition {partition}");
    }
    let at_once = scene.api.most_at_once();
    assert!((2..=3).contains(&at_once), "{at_once} at once");
    let _exit = consumer.stop().await?.assert_code(0);
    assert_eq!(scene.committed(3).await?, [Some(200); 3]);
    Ok(())
}

#[tokio::test]
async fn what_is_posted_is_the_order_and_carries_the_trace_and_the_mark() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    let mut sent = order(7);
    sent["padding"] = "x".repeat(100).into();
    let sent = sent.to_string();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    scene
        .send_odd(
            0,
            super::scene::Odd {
                key: Some(b"CUST-7"),
                payload: Some(sent.as_bytes()),
                headers: &[
                    ("traceparent", traceparent.as_bytes()),
                    ("ordermill-injected", b"late"),
                ],
            },
        )
        .await?;
    let mut consumer = scene.consumer("errorRate: 0").await?;
    consumer.wait_for_events(1).await?;
    let asked = scene.api.asked().remove(0);
    assert_eq!(asked.what, "POST /orders");
    assert_eq!(asked.body, order(7));
    assert_eq!(asked.headers["ordermill-injected"], "late");
    let carried = &asked.headers["traceparent"];
    assert!(
        carried.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{carried}"
    );
    assert!(
        !carried.contains("00f067aa0ba902b7"),
        "{carried} is a span of its own"
    );
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn the_lag_is_exact_while_paused_and_nothing_behind_markers_of_transactions() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    let mut configuration = scene.configuration("errorRate: 0")?;
    let mut consumer = crate::support::producer::Producer::start(&configuration).await?;
    scene.send(0, 0..5).await?;
    consumer
        .wait_for("five handled", |state| {
            state.events() == 5 && state.lag() == Some(0)
        })
        .await?;
    let paused = scene.spec("errorRate: 0, paused: true");
    consumer.retune(&mut configuration, &paused).await?;
    scene.send(0, 5..1505).await?;
    let state = consumer
        .wait_for("a lag of 1500", |state| state.lag() == Some(1500))
        .await?;
    assert_eq!((state.phase.as_str(), state.events()), ("Paused", 5));
    let running = scene.spec("errorRate: 0");
    consumer.retune(&mut configuration, &running).await?;
    consumer
        .wait_for("no lag", |state| {
            state.events() == 1505 && state.lag() == Some(0)
        })
        .await?;

    // Each transaction leaves a marker behind its messages.
    let (topic, mut config) = (scene.topic.clone(), scene.broker.client());
    config.set("transactional.id", &scene.group);
    let send = move || -> rdkafka::error::KafkaResult<()> {
        let client: BaseProducer = config.create()?;
        client.init_transactions(SOON)?;
        for transaction in 0..4_usize {
            client.begin_transaction()?;
            for message in 0..3 {
                let payload = order(10_000 + transaction * 10 + message).to_string();
                let record = BaseRecord::<(), _>::to(&topic).payload(&payload);
                client.send(record).map_err(|(error, _)| error)?;
            }
            client.commit_transaction(SOON)?;
        }
        Ok(())
    };
    tokio::task::spawn_blocking(send).await??;
    consumer
        .wait_for("no lag behind the last marker", |state| {
            state.events() == 1517 && state.lag() == Some(0)
        })
        .await?;
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_group_begins_where_it_is_told_to() -> TestResult {
    let mut scene = Scene::set(2, WELL).await?;
    scene.send(0, 0..10).await?;
    let mut consumer = scene
        .consumer("errorRate: 0, startFrom: {position: Latest}")
        .await?;
    consumer
        .wait_for("a member", |state| {
            state.members() == Some(1) && state.lag() == Some(0)
        })
        .await?;
    // Killed before any message came: where it began is where the group goes on.
    scene.send(1, 10..11).await?;
    consumer.wait_for_events(1).await?;
    consumer.process.kill()?;
    scene.send(0, 11..13).await?;
    let mut consumer = scene
        .consumer("errorRate: 0, startFrom: {position: Latest}")
        .await?;
    consumer.wait_for_events(2).await?;
    let _exit = consumer.stop().await?.assert_code(0);
    let mut ids = scene.api.members("order_id");
    ids.sort();
    ids.dedup();
    assert_eq!(ids, [id(10), id(11), id(12)]);

    // From a time on, which lies between two messages of a partition and behind all of the other.
    scene.group = unique("group");
    let records = read_all(
        scene.broker.bootstrap(),
        &scene.topic,
        Isolation::ReadCommitted,
        Until::end(),
    )
    .await?;
    let before = records.iter().filter_map(|record| record.timestamp).max();
    // It has no fractions.
    let from = (before.ok_or("no time")? / 1000 + 1) * 1000;
    eventually(SOON, "the next second", async || {
        (unix_ms() >= from).then_some(())
    })
    .await;
    let from = jiff::Timestamp::from_millisecond(from)?;
    scene.send(0, 20..23).await?;
    let start = format!("startFrom: {{position: Timestamp, timestamp: '{from}'}}");
    let mut consumer = scene.consumer(&format!("errorRate: 0, {start}")).await?;
    let state = consumer
        .wait_for("what came since", |state| {
            state.events() >= 3 && state.lag() == Some(0)
        })
        .await?;
    assert_eq!(state.events(), 3);
    let _exit = consumer.stop().await?.assert_code(0);
    let ids = scene.api.members("order_id");
    assert_eq!(ids[ids.len() - 3..], [20, 21, 22].map(id));
    Ok(())
}

#[tokio::test]
async fn a_consumer_by_hand_is_told_by_environment_variables() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    scene.send(0, 0..3).await?;
    let url = scene.api.url();
    let run = Run::by_hand(
        "ordercheck",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", scene.broker.bootstrap()),
            ("KAFKA_TOPIC", &scene.topic),
            ("KAFKA_GROUP_ID", &scene.group),
            ("API_URL_ORDERS", &url),
            ("ERROR_RATE", "0"),
        ],
    );
    let mut consumer = run.start().await?;
    let state = consumer.wait_for_events(3).await?;
    assert_eq!((state.injected(), state.failed()), (0, 0));
    assert_eq!(scene.api.members("order_id"), [0, 1, 2].map(id));
    let _exit = consumer.stop().await?.assert_code(0);
    assert_eq!(scene.committed(1).await?, [Some(3)]);
    Ok(())
}

#[tokio::test]
async fn messages_are_read_however_they_are_compressed() -> TestResult {
    let codecs = ["gzip", "snappy", "lz4", "zstd"];
    try_join_all(codecs.map(handled_from_a_topic_of)).await?;
    Ok(())
}

/// Lets a consumer handle a topic whose broker compresses all that it is sent by this codec.
async fn handled_from_a_topic_of(codec: &str) -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique(codec);
    let compressed = [("compression.type", codec)];
    broker.create_topic_with(&topic, 1, &compressed).await?;
    let scene = Scene::set_at(broker, topic, WELL).await?;
    scene.send(0, 0..20).await?;
    let mut consumer = scene.consumer("errorRate: 0").await?;
    let state = consumer.wait_for_events(20).await?;
    assert_eq!((state.failed(), state.retried()), (0, 0), "{codec}");
    assert_eq!(
        scene.api.members("order_id"),
        (0..20).map(id).collect::<Vec<_>>(),
        "{codec}"
    );
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}
