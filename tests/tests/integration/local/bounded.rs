//! Resources with an end.

use std::collections::BTreeMap;

use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{TestResult, unique};
use serde_json::Value;

use crate::support::events::{Event, assert_contiguous, instances, repeatable};
use crate::support::local::{Local, Manifests, SOON, Summary, producer};

/// Runs these files on a Kafka until they end by themselves.
async fn run(broker: &Broker, files: &[(&str, &str)], further: &[&str]) -> TestResult<Summary> {
    let arguments = [
        &["--kafka", broker.bootstrap(), "--output", "json"],
        further,
    ]
    .concat();
    let mut local = Local::start(Manifests::new(files)?, &arguments).await?;
    let exit = local.process.wait(SOON).await?.assert_code(0);
    Ok(Summary::of(&exit))
}

async fn read(broker: &Broker, topic: &str) -> TestResult<Vec<Record>> {
    let (committed, end) = (Isolation::ReadCommitted, Until::end());
    Ok(read_all(broker.bootstrap(), topic, committed, end).await?)
}

#[track_caller]
fn assert_completed(summary: &Summary, name: &str, events: usize) {
    let shown = summary.resource(name);
    assert_eq!(
        (shown.state.as_str(), shown.observed.events),
        ("Completed", Some(events)),
        "{shown:?}"
    );
}

fn food(topic: &str, further: &[&str]) -> String {
    let topics = format!("topics: {{orderEvents: {{name: {topic}, partitions: 3}}}}");
    let fields = [
        &["model: FoodOrder", "rate: 2000", topics.as_str()],
        further,
    ]
    .concat();
    producer("food", &fields)
}

#[tokio::test]
async fn it_ends_by_itself_when_all_is_sent_exactly() -> TestResult {
    let broker = Broker::shared().await?;
    let (orders, sold) = (unique("orders"), unique("sold"));
    let customer = producer(
        "customer",
        &[
            "model: WoodOrder",
            "rate: 2000",
            "errorRate: 0.2",
            "maxEvents: 1000",
            &format!("topics: {{orders: {{name: {orders}}}}}"),
        ],
    );
    let food = food(&sold, &["maxEvents: 1000"]);
    let files = [("customer.yaml", customer.as_str()), ("food.yaml", &food)];
    let summary = run(&broker, &files, &[]).await?;
    for (topic, name) in [(&orders, "customer"), (&sold, "food")] {
        assert_completed(&summary, name, 1000);
        let events = Event::all(&read(&broker, topic).await?, name);
        assert_eq!(events.len(), 1000);
        assert_contiguous(&events);
    }
    let injected = summary.resource("customer").observed.injected;
    let events = Event::all(&read(&broker, &orders).await?, "customer");
    // What is held back on purpose does not count toward the end.
    assert!(
        injected
            >= events
                .last()
                .map(|last| usize::try_from(last.suppressed).unwrap())
    );
    assert!(injected > Some(100), "{injected:?}");
    Ok(())
}

#[tokio::test]
async fn it_ends_by_itself_on_the_embedded_kafka_too() -> TestResult {
    let fields = ["model: FoodOrder", "rate: 2000", "maxEvents: 1000"];
    let (food, wood) = (
        producer("food", &fields),
        [&["model: WoodOrder"], &fields[1..]].concat(),
    );
    let files = [
        ("food.yaml", food.as_str()),
        ("wood.yaml", &producer("wood", &wood)),
    ];
    let mut local = Local::on(&files).await?;
    let exit = local.process.wait(SOON).await?.assert_code(0);
    let summary = Summary::of(&exit);
    assert_completed(&summary, "food", 1000);
    assert_completed(&summary, "wood", 1000);
    Ok(())
}

#[tokio::test]
async fn replicas_share_the_events() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("shared");
    let text = food(&topic, &["maxEvents: 1001", "replicas: 2"]);
    let summary = run(&broker, &[("food.yaml", &text)], &[]).await?;
    assert_completed(&summary, "food", 1001);
    let events = Event::all(&read(&broker, &topic).await?, "food");
    assert_contiguous(&events);
    let mut shares: Vec<_> = instances(&events)
        .into_iter()
        .map(|instance| events.iter().filter(|it| it.instance == instance).count())
        .collect();
    shares.sort_unstable();
    assert_eq!(shares, [500, 501]);
    let mut ids: Vec<_> = events
        .iter()
        .map(|it| it.payload["order_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let expected: Vec<_> = (1..=1001)
        .map(|index| format!("order_{index:06}"))
        .collect();
    assert_eq!(ids, expected);
    Ok(())
}

#[tokio::test]
async fn a_later_run_of_the_same_name_sends_nothing_more() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("once");
    let text = food(&topic, &["maxEvents: 500"]);
    let name = unique("run");
    for run_name in [name.as_str(), &name] {
        let summary = run(&broker, &[("food.yaml", &text)], &["--run", run_name]).await?;
        assert_eq!(summary.resource("food").state, "Completed");
        assert_eq!(read(&broker, &topic).await?.len(), 500);
    }
    // Without a name each run is one of its own.
    run(&broker, &[("food.yaml", &text)], &[]).await?;
    assert_eq!(read(&broker, &topic).await?.len(), 1000);
    Ok(())
}

/// What a run of a seeded producer leaves in its topics, by instance and number. The fields of its spec get a suffix for the
/// names of its topics.
async fn sent(
    broker: &Broker,
    topics: &[&str],
    fields: impl Fn(&str) -> Vec<String>,
) -> TestResult<BTreeMap<(String, u64), Value>> {
    let suffix = unique("");
    let fields = fields(&suffix);
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    run(
        broker,
        &[("seeded.yaml", &producer("seeded", &fields))],
        &[],
    )
    .await?;
    let mut sent = BTreeMap::new();
    for topic in topics {
        for record in read(broker, &format!("{topic}{suffix}")).await? {
            let event = Event::of(&record, "seeded");
            let before = sent.insert((event.instance, event.sequence), repeatable(&record));
            assert!(before.is_none(), "{before:?} is there twice");
        }
    }
    Ok(sent)
}

#[tokio::test]
async fn the_same_seed_repeats_everything_but_times() -> TestResult {
    let broker = Broker::shared().await?;
    let seeded = |seed: u32| {
        move |suffix: &str| {
            let topics = [("transactions", "sold"), ("refunds", "back")]
                .map(|(field, topic)| format!("{field}: {{name: {topic}{suffix}, partitions: 3}}"));
            vec![
                "model: RetailSale".to_owned(),
                "rate: 1000".to_owned(),
                format!("seed: {seed}"),
                "maxEvents: 400".to_owned(),
                "errorRate: 0.1".to_owned(),
                "keySkew: 1".to_owned(),
                format!("topics: {{{}}}", topics.join(", ")),
            ]
        }
    };
    let topics = ["sold", "back"];
    let first = sent(&broker, &topics, seeded(42)).await?;
    assert_eq!(first.len(), 400);
    assert_eq!(first, sent(&broker, &topics, seeded(42)).await?);
    assert_ne!(first, sent(&broker, &topics, seeded(43)).await?);
    Ok(())
}

#[tokio::test]
async fn the_same_seed_repeats_drinks_whatever_the_pace() -> TestResult {
    const TOPICS: [&str; 4] = [
        "orderPlaced",
        "orderCompleted",
        "orderCancelled",
        "paymentProcessed",
    ];
    let broker = Broker::shared().await?;
    let seeded = |rate: u32| {
        move |suffix: &str| {
            let topics = TOPICS.map(|field| format!("{field}: {{name: {field}{suffix}}}"));
            vec![
                "model: DrinkOrder".to_owned(),
                format!("rate: {rate}"),
                "seed: 7".to_owned(),
                "maxEvents: 300".to_owned(),
                "drinkOrder: {customers: 20, preparation: 300ms, cancelProbability: 0.2}"
                    .to_owned(),
                format!("topics: {{{}}}", topics.join(", ")),
            ]
        }
    };
    let slow = sent(&broker, &TOPICS, seeded(40)).await?;
    assert_eq!(slow.len(), 300);
    assert_eq!(slow, sent(&broker, &TOPICS, seeded(1000)).await?);
    Ok(())
}
