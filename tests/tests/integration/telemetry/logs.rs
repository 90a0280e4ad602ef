//! The log: the same lines here and at a collector, and what it says of a collector that is away.

use std::collections::BTreeMap;

use ordermill_tests::reader::Record;
use ordermill_tests::{TestResult, eventually};
use serde_json::{Value, json};

use super::scene::{Scene, number, trace_of};
use crate::support::producer::{SOON, injected, sequence};

/// OTLP's number of the severity ERROR.
const ERROR: u8 = 17;

const OUTAGE: &str = "telemetry cannot be exported";
const RECOVERY: &str = "telemetry is exported again";
const ACCOUNT: &str = "telemetry that was not delivered";

/// The complete lines of a log in JSON.
fn lines(stdout: &str) -> TestResult<Vec<Value>> {
    let complete = stdout
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    complete
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// Level and message of all lines at level WARN or above, and of those at any level that tell of telemetry.
fn notable(lines: &[Value]) -> Vec<(&str, &str)> {
    let told = lines.iter().map(|line| {
        (
            line["level"].as_str().unwrap(),
            line["message"].as_str().unwrap(),
        )
    });
    told.filter(|(level, message)| *level != "INFO" || message.starts_with("telemetry"))
        .collect()
}

#[tokio::test]
async fn an_injected_event_is_logged_here_and_there_with_its_trace() -> TestResult {
    let mut scene = Scene::new("logged").await?;
    let run = scene.run(
        "food-order",
        [
            // A log is whole, whatever is sampled.
            ("TRACE_SAMPLING", "0"),
            ("ERROR_RATE", "0.3"),
            ("NUM_EVENTS", "100"),
            ("RATE", "200"),
            ("SEED", "17"),
        ],
    );
    let exit = run.start().await?.process.wait(SOON).await?.assert_code(0);

    let records = scene.finish().await?;
    let failed: BTreeMap<u64, &Record> = records
        .iter()
        .filter(|record| injected(record).is_some())
        .map(|record| (sequence(record), record))
        .collect();
    assert!(!failed.is_empty(), "nothing was injected");

    let written = lines(&exit.stdout)?;
    let written: Vec<_> = written
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    let exported = scene.collector.log_records()?;
    let exported: Vec<_> = exported
        .iter()
        .filter(|record| record.severity_text == "ERROR" || record.severity_number >= ERROR)
        .collect();
    assert_eq!(
        (written.len(), exported.len()),
        (failed.len(), failed.len())
    );
    let number = |value: &Value| value.as_u64().unwrap();
    let written: BTreeMap<u64, _> = written
        .into_iter()
        .map(|line| (number(&line["ordermill.sequence"]), line))
        .collect();
    let exported: BTreeMap<u64, _> = exported
        .into_iter()
        .map(|record| (number(&record.attributes["ordermill.sequence"]), record))
        .collect();
    for (number, record) in failed {
        let (trace, span, _) = trace_of(record);
        let (line, exported) = (written[&number], exported[&number]);
        assert_eq!(
            (&line["trace_id"], &line["span_id"]),
            (&json!(trace), &json!(span))
        );
        assert_eq!(
            (exported.trace_id.as_str(), exported.span_id.as_str()),
            (trace, span)
        );
        assert_eq!(exported.severity_number, ERROR);
        assert_eq!(exported.severity_text, "ERROR");
        assert_eq!(exported.body, line["message"]);
        assert_eq!(exported.resource["service.name"], "food-producer");
        for (name, value) in [
            ("ordermill.injected", json!(true)),
            ("ordermill.fault", json!("errorRate")),
        ] {
            assert_eq!((&line[name], &exported.attributes[name]), (&value, &value));
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_a_collector_it_sends_on_and_says_so_once() -> TestResult {
    let mut scene = Scene::new("alone").await?;
    // Its port stays its own, so that nobody else answers there.
    scene.collector.kill()?;
    let run = scene.run("food-order", [("ERROR_RATE", "0"), ("RATE", "100")]);
    let mut producer = run.start().await?;
    producer.process.wait_for_line(SOON, OUTAGE).await?;
    // At this rate two seconds more, in which spans are to be exported at least once.
    let before = producer.state().await?.events();
    producer.wait_for_events(before + 200).await?;
    let exit = producer.stop().await?;

    let lines = lines(&exit.stdout)?;
    let notable = notable(&lines);
    let [("WARN", outage), ("WARN", account)] = notable[..] else {
        panic!("one line tells of the outage and one, at the end, of what it cost: {notable:?}");
    };
    assert!(outage.starts_with(OUTAGE), "{outage}");
    assert_eq!(account, ACCOUNT);
    let outage = lines.iter().find(|line| line["message"] == outage).unwrap();
    assert_eq!(outage["endpoint"], scene.collector.endpoint());
    assert!(
        !outage["cause"].as_str().unwrap().is_empty(),
        "it says why: {outage}"
    );
    // Dropped and counted: each event has a span, which is lost.
    let account = lines.last().unwrap();
    let records = scene.records().await?;
    assert_eq!(account["spans"], records.len());
    assert!(account["log_records"].as_u64() > Some(0), "{account}");
    assert!(account["metric_points"].as_u64() > Some(0), "{account}");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_returns_gets_spans_again() -> TestResult {
    let mut scene = Scene::new("returned").await?;
    let run = scene.run("food-order", [("ERROR_RATE", "0"), ("RATE", "100")]);
    let mut producer = run.start().await?;
    eventually(SOON, "spans", async || {
        let spans = scene.collector.spans().ok()?;
        (!spans.is_empty()).then_some(())
    })
    .await;
    scene.collector.kill()?;
    producer.process.wait_for_line(SOON, OUTAGE).await?;
    scene.collector.restart().await?;
    producer.process.wait_for_line(SOON, RECOVERY).await?;
    let sent = producer.state().await?.events();
    eventually(SOON, "spans of events that came later", async || {
        let spans = scene.collector.spans().ok()?;
        spans.iter().any(|span| number(span) > sent).then_some(())
    })
    .await;
    let exit = producer.stop().await?;

    let lines = lines(&exit.stdout)?;
    let mut notable = notable(&lines);
    // What the outage cost is told at the end.
    notable.retain(|told| *told != ("WARN", ACCOUNT));
    let [("WARN", outage), ("INFO", RECOVERY)] = notable[..] else {
        panic!("one line tells of the outage and one of its end: {notable:?}");
    };
    assert!(outage.starts_with(OUTAGE), "{outage}");
    Ok(())
}
