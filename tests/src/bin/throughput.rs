//! Events per second of one producer against Kafka's own `ProducerPerformance`, in turns on the same broker.
//!
//! `make bench` runs it on release builds. Both send 200 bytes of payload to three partitions with idempotence and
//! `acks=all`; ours adds a key and ten headers of about 400 bytes to each record, which the other does not send.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use ordermill_tests::Failure;
use ordermill_tests::kafka::{Broker, Distribution};
use ordermill_tests::process::Program;
use ordermill_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

const ROUNDS: usize = 3;
const PARTITIONS: u16 = 3;
const PAYLOAD_BYTES: &str = "200";
/// What the other tool sends in a round: about ten seconds of work.
const RECORDS: &str = "3000000";
const DEADLINE: Duration = Duration::from_mins(3);
/// Our producer counts over this window, from its first acknowledged record on.
const WINDOW: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let broker = Broker::start().await?;
    let mut ratios = Vec::new();
    println!("round  ours/s  ProducerPerformance/s  ratio");
    for round in 1..=ROUNDS {
        let ours = ours(&broker, &format!("ours-{round}")).await?;
        let theirs = theirs(&broker, &format!("theirs-{round}")).await?;
        println!(
            "{round:>5}  {ours:>6.0}  {theirs:>21.0}  {:.2}",
            ours / theirs
        );
        ratios.push(ours / theirs);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ROUNDS / 2]);
    Ok(())
}

/// Events per second that our producer gets acknowledged at a rate above what it can do.
async fn ours(broker: &Broker, topic: &str) -> Result<f64, Failure> {
    broker.create_topic(topic, PARTITIONS).await?;
    let mut producer = Program::workload()
        .await?
        .arg("wood-order")
        .env("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap())
        .env("KAFKA_TOPIC", topic)
        .env("RATE", "1000000")
        .env("ERROR_RATE", "0")
        .env("TRACE_SAMPLING", "0")
        .env("PAYLOAD_BYTES", PAYLOAD_BYTES)
        .start()?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .create()?;
    let count = || count(&consumer, topic);
    wait::eventually(DEADLINE, "a first record", async || {
        count().ok().filter(|records| *records > 0)
    })
    .await;
    let (begin, first) = (Instant::now(), count()?);
    tokio::time::sleep(WINDOW).await;
    let (seconds, last) = (begin.elapsed().as_secs_f64(), count()?);
    let _exit = producer.stop(DEADLINE).await?.assert_code(0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than 53 bits"
    )]
    Ok((last - first) as f64 / seconds)
}

/// Records in all partitions.
fn count(consumer: &BaseConsumer, topic: &str) -> Result<i64, Failure> {
    let mut records = 0;
    for partition in 0..i32::from(PARTITIONS) {
        records += consumer.fetch_watermarks(topic, partition, DEADLINE)?.1;
    }
    Ok(records)
}

/// Records per second that the other tool says it had acknowledged.
async fn theirs(broker: &Broker, topic: &str) -> Result<f64, Failure> {
    broker.create_topic(topic, PARTITIONS).await?;
    let bootstrap = format!("bootstrap.servers={}", broker.bootstrap());
    let arguments = [
        "--topic",
        topic,
        "--num-records",
        RECORDS,
        "--record-size",
        PAYLOAD_BYTES,
        "--throughput",
        "-1",
        "--producer-props",
        &bootstrap,
        "acks=all",
        "enable.idempotence=true",
    ];
    let exit = Distribution::get()
        .await?
        .run(
            "org.apache.kafka.tools.ProducerPerformance",
            arguments,
            DEADLINE,
        )
        .await?;
    let summary = exit
        .stdout
        .lines()
        .rev()
        .find(|line| line.contains("99.9th"));
    let rate = summary
        .and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok())
        .ok_or_else(|| format!("no summary in {}", exit.stdout))?;
    Ok(rate)
}
