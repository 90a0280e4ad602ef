//! The first minutes of a newcomer: charts, examples, events.

use ordermill_tests::TestResult;

use super::release::{broker, install, without_gap};
use crate::support::stage::has;

#[tokio::test]
async fn the_wood_examples_run_as_they_are() -> TestResult {
    let stage = install("wood").await?;
    let broker = broker().await?;
    let brokers = format!("kafka.bootstrapServers={}", broker.inside());
    stage.upgrade(&[&brokers]).await?;
    stage
        .kubectl(&["apply", "--filename", "examples/wood-orders"])
        .await?;
    for (producer, topic, rates) in [
        ("customer", "orders", 0.5..8.0),
        ("supplier", "stocks", 0.1..4.0),
    ] {
        stage.ready(producer, "Running").await;
        stage.all_ready(producer, 1).await;
        // Awaited, as both send at random times: a moment with too many or none is rare, and no mistake.
        stage
            .status(producer, "a rate as it is declared", |status| {
                let observed = status.observed.as_ref().filter(|it| it.events > Some(10));
                let rate = observed.and_then(|it| it.rate_per_second.as_deref()?.parse().ok());
                rate.is_some_and(|rate: f64| rates.contains(&rate))
            })
            .await;
        without_gap(&stage, broker, topic, producer, 6).await;
    }
    let table = stage.kubectl(&["get", "orderproducers"]).await?;
    assert!(
        table.contains("customer") && table.contains("Running"),
        "{table}"
    );
    let status = stage
        .status("customer", "ready and tuned", |status| {
            has(status, "Ready", "True", "Running")
                && has(status, "TuningApplied", "True", "Applied")
        })
        .await;
    assert_eq!(status.ready_replicas, Some(1));
    Ok(())
}
