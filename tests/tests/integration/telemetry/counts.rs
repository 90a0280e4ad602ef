//! Counters: what leaves by OTLP is what `/state` says and what a reader counts.

use std::collections::BTreeMap;

use ordermill_tests::TestResult;
use ordermill_tests::collector::{Collector, MetricPoint, PointValue};
use ordermill_tests::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::scene::Scene;
use crate::support::producer::{Producer, SOON, State, injected};

/// The last total of `ordermill.events` by outcome and fault; one that was never counted is absent.
fn outcomes(points: &[MetricPoint]) -> BTreeMap<(String, String), f64> {
    let text = |point: &MetricPoint, name: &str| {
        let value = point.attributes.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let mut last = BTreeMap::new();
    for point in points
        .iter()
        .filter(|point| point.name == "ordermill.events")
    {
        let counts = matches!(
            point.value,
            PointValue::Sum {
                monotonic: true,
                cumulative: true,
                ..
            }
        );
        assert!(counts, "{point:?}");
        let series = (text(point, "outcome"), text(point, "fault"));
        let before = last.insert(series, point.number());
        assert!(before <= Some(point.number()), "it went back: {point:?}");
    }
    last
}

/// What [`outcomes`] must be.
fn counted(ok: u64, injected: u64) -> TestResult<BTreeMap<(String, String), f64>> {
    // Up to here every integer is exact.
    let exact = |count: u64| u32::try_from(count).map(f64::from);
    Ok(BTreeMap::from([
        (("ok".to_owned(), String::new()), exact(ok)?),
        (
            ("injected".to_owned(), "errorRate".to_owned()),
            exact(injected)?,
        ),
    ]))
}

fn signal(collector: &Collector, signal: Signal) -> TestResult {
    let id = Pid::from_raw(i32::try_from(collector.process().id())?).ok_or("no process id")?;
    Ok(kill_process(id, signal)?)
}

/// Takes the numbers of a producer that has ended its work: a collector that is held meanwhile keeps its admin server up.
async fn final_state(
    producer: &mut Producer,
    collector: &Collector,
    phase: &str,
) -> TestResult<State> {
    let state = producer
        .wait_for(phase, |state| state.phase == phase)
        .await?;
    signal(collector, Signal::CONT)?;
    Ok(state)
}

#[tokio::test]
async fn after_sigterm_the_counter_is_what_state_says_and_a_reader_counts() -> TestResult {
    let mut scene = Scene::new("terminated").await?;
    let run = scene.run(
        "wood-order",
        [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("ERROR_RATE", "0.3"),
            ("RATE", "1000"),
        ],
    );
    let mut producer = run.start().await?;
    producer.wait_for_events(500).await?;
    signal(&scene.collector, Signal::STOP)?;
    producer.process.terminate()?;
    let state = final_state(&mut producer, &scene.collector, "Stopped").await?;
    let _ = producer.process.wait(SOON).await?.assert_code(0);

    let records = scene.finish().await?;
    assert_eq!(state.events(), records.len() as u64);
    assert_eq!(state.failed(), 0);
    assert_eq!(state.fault("errorRate"), state.injected());
    // Held back at the end were those after the last record, which a reader cannot see.
    let before_the_last = records
        .iter()
        .filter_map(|record| record.header("ordermill-suppressed")?.parse().ok())
        .max();
    assert!(before_the_last > Some(0) && before_the_last <= Some(state.injected()));
    assert_eq!(
        outcomes(&scene.collector.metric_points()?),
        counted(state.events(), state.injected())?
    );
    Ok(())
}

/// A bounded run whose counter, state and topic are compared after its end.
async fn counts_after_the_end(protocol: &str, endpoint: fn(&Collector) -> String) -> TestResult {
    let mut scene = Scene::new("ended").await?;
    let run = scene.run(
        "food-order",
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint(&scene.collector)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("ERROR_RATE", "0.3"),
            ("NUM_EVENTS", "1000"),
            ("RATE", "1000"),
            ("SEED", "17"),
        ],
    );
    // From the start on: the run may end as soon as its first event is there.
    signal(&scene.collector, Signal::STOP)?;
    let mut producer = run.start().await?;
    let state = final_state(&mut producer, &scene.collector, "Completed").await?;
    let _ = producer.process.wait(SOON).await?.assert_code(0);

    // A failed food order is sent as well: it is an event, and injected.
    let records = scene.finish().await?;
    let failed = records
        .iter()
        .filter(|record| injected(record) == Some("errorRate"));
    let failed = failed.count() as u64;
    assert!(failed > 0, "nothing was injected");
    assert_eq!(records.len(), 1000);
    assert_eq!(
        (state.events(), state.injected(), state.failed()),
        (1000, failed, 0)
    );
    assert_eq!(
        outcomes(&scene.collector.metric_points()?),
        counted(1000 - failed, failed)?
    );
    Ok(())
}

#[tokio::test]
async fn after_its_end_a_bounded_run_is_counted_exactly_over_grpc() -> TestResult {
    counts_after_the_end("grpc", Collector::endpoint).await
}

#[tokio::test]
async fn after_its_end_a_bounded_run_is_counted_exactly_over_http() -> TestResult {
    counts_after_the_end("http/protobuf", Collector::endpoint_http).await
}
