//! How it begins where nothing can run, and how it ends.

use std::time::{Duration, Instant};

use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Exit, Signal};
use ordermill_tests::{TestResult, unique};

use crate::support::local::{Local, Manifests, SOON, Summary, producer};

/// Half of the time that the end may take while records wait for Kafka.
const AT_ONCE: Duration = Duration::from_secs(10);

fn orders() -> String {
    producer(
        "customer",
        &["model: WoodOrder", "interval: 10ms", "errorRate: 0"],
    )
}

#[tokio::test]
async fn both_signals_end_it_in_good_order() -> TestResult {
    for signal in [Signal::INT, Signal::TERM] {
        let mut local = Local::on(&[("customer.yaml", &orders())]).await?;
        local.records("orders", 20).await?;
        local.process.signal(signal)?;
        let exit = local.process.wait(SOON).await?.assert_code(0);
        assert!(exit.stderr.contains("the producer has stopped"), "{exit:?}");
        let summary = Summary::of(&exit);
        let shown = summary.resource("customer");
        assert_eq!(shown.state, "Stopped");
        assert!(shown.observed.events >= Some(20), "{shown:?}");
        assert_eq!(shown.observed.failed, Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> TestResult {
    let mut broker = Broker::start().await?;
    let arguments = ["--kafka", broker.bootstrap(), "--output", "json"];
    let manifests = Manifests::new(&[("customer.yaml", &orders())])?;
    let mut local = Local::start(manifests, &arguments).await?;
    local.records("orders", 20).await?;
    broker.kill()?;
    let begin = Instant::now();
    local.line("KafkaUnreachable").await?;
    // What waits for Kafka now is given some time.
    local.process.signal(Signal::INT)?;
    local.line("the producer ends: sending what waits").await?;
    assert!(local.process.status()?.is_none(), "it waits for Kafka");
    local.process.signal(Signal::INT)?;
    let second = Instant::now();
    let exit = local.process.wait(SOON).await?;
    assert!(second.elapsed() < AT_ONCE, "{:?}", second.elapsed());
    assert!(exit.code().is_some_and(|code| code != 0), "{exit:?}");
    assert!(begin.elapsed() < SOON);
    Ok(())
}

/// Runs it on files that it cannot run, and gives what it said.
async fn refused(files: &[(&str, &str)], arguments: &[&str]) -> TestResult<Exit> {
    let mut local = Local::start(Manifests::new(files)?, arguments).await?;
    let exit = local.process.wait(SOON).await?.assert_code(1);
    assert_eq!(exit.stdout, "", "{exit:?}");
    Ok(exit)
}

#[tokio::test]
async fn nothing_runs_where_a_file_breaks_a_rule() -> TestResult {
    let wrong = producer("supplier", &["model: WoodStok", "rate: -1"]);
    let exit = refused(
        &[("customer.yaml", &orders()), ("supplier.yaml", &wrong)],
        &["--output", "json"],
    )
    .await?;
    for told in [
        "supplier.yaml:6:10: OrderProducer/supplier: spec.model: \"WoodStok\" is not allowed",
        "did you mean WoodStock?",
        "supplier.yaml:7:9: OrderProducer/supplier: spec.rate: -1 is not allowed",
        "error: 2 violations: nothing runs",
    ] {
        assert!(
            exit.stderr.contains(told),
            "{told} is missing: {}",
            exit.stderr
        );
    }
    assert!(
        !exit.stderr.contains("the producer starts"),
        "{}",
        exit.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_folder_without_resources_is_told() -> TestResult {
    let exit = refused(&[("notes.txt", "nothing")], &[]).await?;
    assert!(
        exit.stderr.contains("there is no resource of ours"),
        "{}",
        exit.stderr
    );
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    let exit = refused(&[("other.yaml", foreign)], &[]).await?;
    assert!(
        exit.stderr.contains("there is no resource of ours"),
        "{}",
        exit.stderr
    );
    Ok(())
}

#[tokio::test]
async fn wrong_arguments_are_told() -> TestResult {
    for (arguments, told) in [
        (["--for", "soon"], "--for"),
        (["--kafka", "nowhere"], "--kafka"),
        (["--output", "xml"], "--output"),
    ] {
        let manifests = Manifests::new(&[("customer.yaml", &orders())])?;
        let mut local = Local::start(manifests, &arguments).await?;
        let exit = local.process.wait(SOON).await?.assert_code(2);
        assert!(exit.stderr.contains(told), "{}", exit.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_kafka_that_is_not_there_is_told_and_does_not_hold_up_the_end() -> TestResult {
    // Nobody listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let address = format!("127.0.0.1:{port}");
    let topic = unique("nowhere");
    let fields = [
        "model: WoodOrder",
        &format!("topics: {{orders: {{name: {topic}}}}}"),
    ];
    let manifests = Manifests::new(&[("customer.yaml", &producer("customer", &fields))])?;
    let arguments = ["--kafka", address.as_str(), "--output", "json"];
    let mut local = Local::start(manifests, &arguments).await?;
    let line = local.line("KafkaUnreachable").await?;
    assert!(line.contains("OrderProducer/customer"), "{line}");
    let summary = local.finish().await?;
    assert_eq!(summary.resource("customer").observed.events, Some(0));
    Ok(())
}
