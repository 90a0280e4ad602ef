//! What a producer tells a real OpenTelemetry Collector, against what its topic holds and its log says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/producer/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use ordermill_tests::collector::{Collector, MetricPoint, PointValue, Span};
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::Signal;
use ordermill_tests::reader::Record;
use ordermill_tests::{TestResult, eventually, unique};
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use support::{Run, SOON, State, injected, read_topic, sequence};

/// OTLP's number of a span that sends.
const PRODUCER: u8 = 4;
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

/// The number of a span's event.
fn number(span: &Span) -> u64 {
    span.attributes["ordermill.sequence"].as_u64().unwrap()
}

/// Spans by the number of their event, of which there must not be two.
fn by_number(spans: Vec<Span>) -> BTreeMap<u64, Span> {
    let count = spans.len();
    let spans: BTreeMap<_, _> = spans
        .into_iter()
        .map(|span| (number(&span), span))
        .collect();
    assert_eq!(spans.len(), count, "an event has two spans");
    spans
}

/// Whether a span tells of a fault, and does so in every way that it must.
fn is_injected(span: &Span) -> bool {
    let Some(marked) = span.attributes.get("ordermill.injected") else {
        assert!(!span.is_error(), "{span:?}");
        assert!(!span.attributes.contains_key("ordermill.fault"), "{span:?}");
        return false;
    };
    assert_eq!(*marked, true, "{span:?}");
    assert_eq!(span.attributes["ordermill.fault"], "errorRate", "{span:?}");
    assert!(span.is_error(), "{span:?}");
    true
}

fn assert_sends_to(span: &Span, topic: &str, service: &str) {
    let expected = [
        ("messaging.system", "kafka"),
        ("messaging.destination.name", topic),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
    ];
    for (name, value) in expected {
        assert_eq!(span.attributes[name], value, "{name} of {span:?}");
    }
    assert_eq!(span.kind, PRODUCER, "{span:?}");
    assert_eq!(span.name, format!("send {topic}"));
    assert_eq!(span.parent_span_id, "", "it begins its trace: {span:?}");
    assert_eq!(span.resource["service.name"], service);
    assert!(span.start <= span.end, "{span:?}");
}

/// Trace id, span id and flags of a record's `traceparent`.
fn trace_of(record: &Record) -> (&str, &str, &str) {
    let header = record.header("traceparent").unwrap_or_default();
    match header.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => (trace, span, flags),
        _ => panic!("the traceparent of {record:?}"),
    }
}

#[tokio::test]
async fn without_sampling_spans_are_those_of_injected_events_alone() -> TestResult {
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("unsampled");
    let run = Run::by_hand(
        "wood-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("TRACE_SAMPLING", "0"),
            ("ERROR_RATE", "0.5"),
            ("NUM_EVENTS", "200"),
            ("RATE", "400"),
            ("SEED", "17"),
        ],
    );
    let exit = run.start().await?.process.wait(SOON).await?;
    let _ = exit.assert_code(0);
    collector.stop().await?;

    let records = read_topic(broker.bootstrap(), &topic).await?;
    assert_eq!(records.len(), 200);
    for record in &records {
        assert_eq!(trace_of(record).2, "00", "it is not sampled");
    }
    // The last number of a bounded run is of an event that was sent, so each one that is missing below was held back.
    let sent: BTreeSet<u64> = records.iter().map(sequence).collect();
    let last = *sent.last().unwrap();
    let held_back: BTreeSet<u64> = (0..last).filter(|number| !sent.contains(number)).collect();
    let spans = by_number(collector.spans()?);
    assert_eq!(spans.keys().copied().collect::<BTreeSet<_>>(), held_back);
    assert!(!held_back.is_empty());
    for span in spans.values() {
        assert!(is_injected(span), "{span:?}");
        assert_sends_to(span, &topic, "customer");
    }
    Ok(())
}

#[tokio::test]
async fn with_sampling_each_event_has_the_span_that_its_record_names() -> TestResult {
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("sampled");
    broker.create_topic(&topic, 2).await?;
    let run = Run::by_hand(
        "wood-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_SERVICE_NAME", "shop"),
            ("TRACE_SAMPLING", "1"),
            ("ERROR_RATE", "0.2"),
            ("RATE", "200"),
            ("SEED", "17"),
        ],
    );
    let mut producer = run.start().await?;
    producer.wait_for_events(200).await?;
    producer.stop().await?;
    collector.stop().await?;

    let spans = by_number(collector.spans()?);
    assert!(
        spans.keys().copied().eq(0..spans.len() as u64),
        "every number has its span: {:?}",
        spans.keys()
    );
    let mut of_sent = BTreeSet::new();
    for span in spans.values() {
        assert_sends_to(span, &topic, "shop");
        if !is_injected(span) {
            of_sent.insert(number(span));
        }
    }
    assert!(of_sent.len() < spans.len(), "nothing was held back");
    let records = read_topic(broker.bootstrap(), &topic).await?;
    assert_eq!(
        records.iter().map(sequence).collect::<BTreeSet<_>>(),
        of_sent
    );
    for record in &records {
        let span = &spans[&sequence(record)];
        let named = (span.trace_id.as_str(), span.span_id.as_str(), "01");
        assert_eq!(trace_of(record), named);
        let partition = record.partition.to_string();
        let attributes = &span.attributes;
        assert_eq!(
            attributes["messaging.destination.partition.id"],
            json!(partition)
        );
        assert_eq!(attributes["messaging.kafka.offset"], json!(record.offset));
    }
    Ok(())
}

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
    producer: &mut support::Producer,
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
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("terminated");
    let run = Run::by_hand(
        "wood-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("ERROR_RATE", "0.3"),
            ("RATE", "1000"),
        ],
    );
    let mut producer = run.start().await?;
    producer.wait_for_events(500).await?;
    signal(&collector, Signal::STOP)?;
    producer.process.terminate()?;
    let state = final_state(&mut producer, &collector, "Stopped").await?;
    let _ = producer.process.wait(SOON).await?.assert_code(0);
    collector.stop().await?;

    let records = read_topic(broker.bootstrap(), &topic).await?;
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
        outcomes(&collector.metric_points()?),
        counted(state.events(), state.injected())?
    );
    Ok(())
}

/// A bounded run whose counter, state and topic are compared after its end.
async fn counts_after_the_end(protocol: &str, endpoint: fn(&Collector) -> String) -> TestResult {
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("ended");
    let run = Run::by_hand(
        "food-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint(&collector)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("ERROR_RATE", "0.3"),
            ("NUM_EVENTS", "1000"),
            ("RATE", "1000"),
            ("SEED", "17"),
        ],
    );
    // From the start on: the run may end as soon as its first event is there.
    signal(&collector, Signal::STOP)?;
    let mut producer = run.start().await?;
    let state = final_state(&mut producer, &collector, "Completed").await?;
    let _ = producer.process.wait(SOON).await?.assert_code(0);
    collector.stop().await?;

    // A failed food order is sent as well: it is an event, and injected.
    let records = read_topic(broker.bootstrap(), &topic).await?;
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
        outcomes(&collector.metric_points()?),
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

#[tokio::test]
async fn an_injected_event_is_logged_here_and_there_with_its_trace() -> TestResult {
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("logged");
    let run = Run::by_hand(
        "food-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            // A log is whole, whatever is sampled.
            ("TRACE_SAMPLING", "0"),
            ("ERROR_RATE", "0.3"),
            ("NUM_EVENTS", "100"),
            ("RATE", "200"),
            ("SEED", "17"),
        ],
    );
    let exit = run.start().await?.process.wait(SOON).await?.assert_code(0);
    collector.stop().await?;

    let records = read_topic(broker.bootstrap(), &topic).await?;
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
    let exported = collector.log_records()?;
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
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    // Its port stays its own, so that nobody else answers there.
    collector.kill()?;
    let topic = unique("alone");
    let run = Run::by_hand(
        "food-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("ERROR_RATE", "0"),
            ("RATE", "100"),
        ],
    );
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
    assert_eq!(outage["endpoint"], collector.endpoint());
    assert!(
        !outage["cause"].as_str().unwrap().is_empty(),
        "it says why: {outage}"
    );
    // Dropped and counted: each event has a span, which is lost.
    let account = lines.last().unwrap();
    let records = read_topic(broker.bootstrap(), &topic).await?;
    assert_eq!(account["spans"], records.len());
    assert!(account["log_records"].as_u64() > Some(0), "{account}");
    assert!(account["metric_points"].as_u64() > Some(0), "{account}");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_returns_gets_spans_again() -> TestResult {
    let (broker, mut collector) = (Broker::shared().await?, Collector::start().await?);
    let topic = unique("returned");
    let run = Run::by_hand(
        "food-order",
        [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("KAFKA_TOPIC", &topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("ERROR_RATE", "0"),
            ("RATE", "100"),
        ],
    );
    let mut producer = run.start().await?;
    eventually(SOON, "spans", async || {
        collector.spans().ok().filter(|spans| !spans.is_empty())
    })
    .await;
    collector.kill()?;
    producer.process.wait_for_line(SOON, OUTAGE).await?;
    collector.restart().await?;
    producer.process.wait_for_line(SOON, RECOVERY).await?;
    let sent = producer.state().await?.events();
    eventually(SOON, "spans of events that came later", async || {
        let spans = collector.spans().ok()?;
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
