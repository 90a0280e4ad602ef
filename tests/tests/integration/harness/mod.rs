//! The harness itself: what it starts is real, answers, and behaves as its documentation says.

mod access;
mod broker;
mod collector;
mod records;

use std::time::Duration;

use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::Program;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// For what takes a moment on an idle machine.
const SOON: Duration = Duration::from_mins(1);

async fn send(config: &ClientConfig, topic: &str, key: &str, value: &str) -> KafkaResult<Delivery> {
    let producer: FutureProducer = config.create()?;
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "ce_type",
            value: Some("test"),
        })
        .insert(Header {
            key: "at",
            value: Some("10:30"),
        });
    let record = FutureRecord::to(topic)
        .key(key)
        .payload(value)
        .headers(headers);
    producer
        .send(record, SOON)
        .await
        .map_err(|(error, _)| error)
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::key_text).collect()
}

/// Everything in a topic up to its end now.
async fn read(broker: &Broker, topic: &str, isolation: Isolation) -> TestResult<Vec<Record>> {
    Ok(read_all(broker.bootstrap(), topic, isolation, Until::end()).await?)
}

#[tokio::test]
async fn the_workspaces_programs_can_be_run() -> TestResult {
    for program in [Program::ordermill().await?, Program::workload().await?] {
        let exit = program
            .arg("--help")
            .start()?
            .wait(SOON)
            .await?
            .assert_code(0);
        assert!(exit.stdout.contains("Usage"), "{exit:?}");
    }
    let error = Program::named("ordermill-nothing")
        .await
        .expect_err("there is no such program");
    assert!(error.to_string().contains("ordermill-nothing"), "{error}");
    Ok(())
}
