//! Spans: one for each event, with the marks of what was done to it on purpose.

use std::collections::{BTreeMap, BTreeSet};

use ordermill_tests::TestResult;
use ordermill_tests::collector::Span;
use serde_json::json;

use super::scene::{Scene, number, trace_of};
use crate::support::producer::{SOON, sequence};

/// OTLP's number of a span that sends.
const PRODUCER: u8 = 4;

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

#[tokio::test]
async fn without_sampling_spans_are_those_of_injected_events_alone() -> TestResult {
    let mut scene = Scene::new("unsampled").await?;
    let run = scene.run(
        "wood-order",
        [
            ("TRACE_SAMPLING", "0"),
            ("ERROR_RATE", "0.5"),
            ("NUM_EVENTS", "200"),
            ("RATE", "400"),
            ("SEED", "17"),
        ],
    );
    let exit = run.start().await?.process.wait(SOON).await?;
    let _ = exit.assert_code(0);

    let records = scene.finish().await?;
    assert_eq!(records.len(), 200);
    for record in &records {
        assert_eq!(trace_of(record).2, "00", "it is not sampled");
    }
    // The last number of a bounded run is of an event that was sent, so each one that is missing below was held back.
    let sent: BTreeSet<u64> = records.iter().map(sequence).collect();
    let last = *sent.last().unwrap();
    let held_back: BTreeSet<u64> = (0..last).filter(|number| !sent.contains(number)).collect();
    let spans = by_number(scene.collector.spans()?);
    assert_eq!(spans.keys().copied().collect::<BTreeSet<_>>(), held_back);
    assert!(!held_back.is_empty());
    for span in spans.values() {
        assert!(is_injected(span), "{span:?}");
        assert_sends_to(span, &scene.topic, "customer");
    }
    Ok(())
}

#[tokio::test]
async fn with_sampling_each_event_has_the_span_that_its_record_names() -> TestResult {
    let mut scene = Scene::new("sampled").await?;
    scene.broker.create_topic(&scene.topic, 2).await?;
    let run = scene.run(
        "wood-order",
        [
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

    let records = scene.finish().await?;
    let spans = by_number(scene.collector.spans()?);
    assert!(
        spans.keys().copied().eq(0..spans.len() as u64),
        "every number has its span: {:?}",
        spans.keys()
    );
    let mut of_sent = BTreeSet::new();
    for span in spans.values() {
        assert_sends_to(span, &scene.topic, "shop");
        if !is_injected(span) {
            of_sent.insert(number(span));
        }
    }
    assert!(of_sent.len() < spans.len(), "nothing was held back");
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
