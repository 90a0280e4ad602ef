//! The parts together, against exporters in memory.

mod collectors;

use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceFlags};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use ordermill_crds::LogLevel;
use tokio::sync::Semaphore;

use super::log::testing::{init_once, lines_of};
use super::*;

const PLENTY: Duration = Duration::from_secs(20);

fn fraction(value: f64) -> Fraction {
    Fraction::try_from(value).unwrap()
}

fn log(name: &str) -> WorkloadLog {
    init_once();
    WorkloadLog::new("OrderProducer", name, LogLevel::Info)
}

async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PLENTY, waiting).await.unwrap();
}

fn span(context: TraceContext, outcome: Outcome) -> FinishedSpan {
    let start = SystemTime::now();
    FinishedSpan {
        context,
        parent: None,
        name: names::send_span("orders").into(),
        kind: SpanKind::Producer,
        start,
        end: start + Duration::from_millis(3),
        attributes: vec![KeyValue::new(names::SEQUENCE, 7)],
        links: Vec::new(),
        status: Status::Unset,
        outcome,
    }
}

/// Exporters that keep what they get.
#[derive(Clone, Default)]
struct InMemory {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    logs: InMemoryLogExporter,
}

impl InMemory {
    fn telemetry(&self, name: &str, ratio: f64) -> Telemetry {
        let mut settings = TelemetrySettings::new(name);
        settings.sampling_ratio = fraction(ratio);
        let exporters = Exporters {
            spans: KeepingSpans(self.spans.clone()),
            metrics: self.metrics.clone(),
            logs: KeepingLogs(self.logs.clone()),
            network_cause: Arc::default(),
        };
        let (runtime, endpoint) = (Handle::current(), "http://in.memory:4317");
        Telemetry::with_exporters(&settings, log(name), runtime, endpoint, exporters)
    }
}

/// The SDK's own exporter forgets everything when it is shut down.
#[derive(Debug)]
struct KeepingSpans(InMemorySpanExporter);

impl SpanExporter for KeepingSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.export(batch).await
    }
}

#[derive(Debug)]
struct KeepingLogs(InMemoryLogExporter);

impl LogExporter for KeepingLogs {
    async fn export(&self, batch: opentelemetry_sdk::logs::LogBatch<'_>) -> OTelSdkResult {
        self.0.export(batch).await
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.0.set_resource(resource);
    }
}

#[test]
fn what_a_metric_and_the_outcome_both_tell_is_said_once() {
    let error_type = KeyValue::new(names::ERROR_TYPE, "timeout");
    let context = TraceContext::new_root(true);
    let mut told = span(context, Outcome::Failed("timeout"));
    told.attributes.push(error_type.clone());
    let attributes = SpanData::from(told).attributes;
    assert_eq!(attributes, [KeyValue::new(names::SEQUENCE, 7), error_type]);
}

#[tokio::test]
async fn failures_and_faults_are_exported_from_unsampled_traces() {
    let memory = InMemory::default();
    let telemetry = memory.telemetry("unsampled", 0.0);
    let (fine, late, lost) = (
        telemetry.new_trace(),
        telemetry.new_trace(),
        telemetry.new_trace(),
    );
    assert!(!fine.sampled() && !telemetry.spans().keeps(&fine, Outcome::Ok));
    telemetry.spans().record(span(fine, Outcome::Ok));
    telemetry.spans().record(FinishedSpan {
        parent: Some(ParentSpan::Remote(SpanId::from(5))),
        links: vec![fine],
        ..span(late, Outcome::Injected("late"))
    });
    telemetry
        .spans()
        .record(span(lost, Outcome::Failed("message_timed_out")));
    assert!(telemetry.shutdown(PLENTY).await.is_nothing());

    let spans = memory.spans.get_finished_spans().unwrap();
    let ids = spans
        .iter()
        .map(|span| span.span_context.trace_id())
        .collect::<Vec<_>>();
    assert_eq!(ids, [late.trace_id(), lost.trace_id()]);
    assert!(
        spans
            .iter()
            .all(|span| span.span_context.trace_flags() == TraceFlags::SAMPLED)
    );
    assert_eq!(
        spans[0].attributes,
        [
            KeyValue::new("ordermill.sequence", 7),
            KeyValue::new("ordermill.injected", true),
            KeyValue::new("ordermill.fault", "late"),
        ]
    );
    assert_eq!(
        (spans[0].parent_span_id, spans[0].parent_span_is_remote),
        (5.into(), true)
    );
    assert_eq!(
        spans[0].links.links[0].span_context.span_id(),
        fine.span_id()
    );
    assert_eq!(
        (&spans[0].status, &*spans[0].name),
        (&Status::Unset, "send orders")
    );
    assert_eq!(
        spans[1].attributes[1],
        KeyValue::new("error.type", "message_timed_out")
    );
    assert_eq!(spans[1].status, Status::error("message_timed_out"));
}

#[tokio::test]
async fn the_sampling_ratio_is_live() {
    let memory = InMemory::default();
    let telemetry = memory.telemetry("ratio", 0.0);
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    telemetry.set_sampling_ratio(fraction(1.0));
    let kept = telemetry.new_trace();
    telemetry.spans().record(span(kept, Outcome::Ok));
    telemetry.set_sampling_ratio(fraction(0.0));
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    telemetry.shutdown(PLENTY).await;
    let spans = memory.spans.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_context.span_id(), kept.span_id());
}

#[tokio::test]
async fn each_workload_reports_under_its_own_resource() {
    let (wood, stock) = (InMemory::default(), InMemory::default());
    let both = [
        wood.telemetry("own-wood", 1.0),
        stock.telemetry("own-stock", 1.0),
    ];
    for telemetry in &both {
        telemetry.counters().record(Outcome::Ok);
        telemetry
            .log()
            .in_scope(|| tracing::info!("of {}", telemetry.log().name()));
    }
    both[0].counters().record(Outcome::Ok);
    for telemetry in &both {
        assert!(telemetry.shutdown(PLENTY).await.is_nothing());
    }
    for (memory, name) in [(&wood, "own-wood"), (&stock, "own-stock")] {
        let logs = memory.logs.get_emitted_logs().unwrap();
        assert_eq!(logs.len(), 1);
        let service = logs[0].resource.get(&names::SERVICE_NAME.into()).unwrap();
        assert_eq!(service.to_string(), name);
        let metrics = memory.metrics.get_finished_metrics().unwrap();
        let service = metrics[0]
            .resource()
            .get(&names::SERVICE_NAME.into())
            .unwrap();
        assert_eq!(service.to_string(), name);
    }
    assert_eq!(both[0].counters().snapshot().ok, 2);
    assert_eq!(both[1].counters().snapshot().ok, 1);
}

/// Exports nothing before it is allowed to.
#[derive(Debug, Clone)]
struct Stuck {
    gate: Arc<Semaphore>,
    exported: Arc<Mutex<Vec<SpanData>>>,
}

impl SpanExporter for Stuck {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        _ = self.gate.acquire().await;
        self.exported.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn stuck_telemetry(name: &str) -> (Telemetry, Stuck) {
    let stuck = Stuck {
        gate: Arc::new(Semaphore::new(0)),
        exported: Arc::default(),
    };
    let memory = InMemory::default();
    let exporters = Exporters {
        spans: stuck.clone(),
        metrics: memory.metrics.clone(),
        logs: KeepingLogs(memory.logs),
        network_cause: Arc::default(),
    };
    let settings = TelemetrySettings::new(name);
    let (runtime, endpoint) = (Handle::current(), "http://stuck:4317");
    (
        Telemetry::with_exporters(&settings, log(name), runtime, endpoint, exporters),
        stuck,
    )
}

#[tokio::test]
async fn a_full_queue_drops_by_count_and_failures_last() {
    let (telemetry, stuck) = stuck_telemetry("full");
    let record = |outcome, times| {
        let context = TraceContext::new_root(true);
        (0..times).for_each(|_| telemetry.spans().record(span(context, outcome)));
    };
    record(Outcome::Ok, 20_000);
    assert_eq!(telemetry.not_delivered().spans, 20_000);
    record(Outcome::Failed("timeout"), 1000);
    stuck.gate.add_permits(1);
    let lost = telemetry.shutdown(PLENTY).await.spans;

    let exported = stuck.exported.lock().unwrap();
    assert_eq!(exported.len() as u64 + lost, 21_000);
    assert!(lost > 0);
    let failures = exported
        .iter()
        .filter(|span| span.status == Status::error("timeout"));
    assert_eq!(failures.count(), 1000);
}

#[tokio::test]
async fn shutting_down_keeps_to_its_deadline_and_counts_what_it_leaves() {
    let (telemetry, stuck) = stuck_telemetry("deadline");
    for _ in 0..3000 {
        telemetry
            .spans()
            .record(span(telemetry.new_trace(), Outcome::Ok));
    }
    let begun = Instant::now();
    let lost = telemetry.shutdown(Duration::from_millis(100)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (lost.spans, lost.log_records, lost.metric_points),
        (3000, 0, 0)
    );
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Failed("late")));
    assert_eq!(telemetry.not_delivered().spans, 3001);
    assert!(stuck.exported.lock().unwrap().is_empty());
    // What was under way is abandoned, long before its three batches would time out: its thread ends, and with it
    // the other handle.
    eventually(|| Arc::strong_count(&stuck.gate) == 1).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn dropping_it_without_shutting_down_does_not_hang() {
    let (telemetry, _stuck) = stuck_telemetry("dropped");
    telemetry
        .spans()
        .record(span(telemetry.new_trace(), Outcome::Ok));
    let begun = Instant::now();
    drop(telemetry);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn without_a_target_nothing_is_exported_and_nothing_dropped() {
    let settings = TelemetrySettings::new("no-target");
    let telemetry = Telemetry::start(&settings, log("no-target")).unwrap();
    let context = telemetry.new_trace();
    assert!(context.sampled());
    assert!(
        !telemetry
            .spans()
            .keeps(&context, Outcome::Failed("timeout"))
    );
    telemetry
        .spans()
        .record(span(context, Outcome::Failed("timeout")));
    telemetry.counters().record(Outcome::Failed("timeout"));
    telemetry
        .metrics()
        .record_lateness(Duration::from_millis(1));
    assert_eq!(telemetry.counters().snapshot().failed_total(), 1);
    assert!(telemetry.not_delivered().is_nothing());
    assert_eq!(lines_of("no-target").len(), 0);
}
