//! How each record fared: counted, and told by span and log.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use ordermill_events::Event;
use ordermill_runtime::kafka::{Delivered, DeliverySink};
use ordermill_runtime::state::WorkloadState;
use ordermill_runtime::telemetry::{FinishedSpan, Outcome, Telemetry, TraceContext, names};
use tokio::time::Instant;

use crate::decision::FaultSet;

/// What is remembered of a record until it is acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    topic: Arc<str>,
    key: String,
    sequence: u64,
    trace: TraceContext,
    faults: FaultSet,
    /// It is the second copy of a doubled event, which is not an event of its own.
    copy: bool,
    started: Instant,
    started_at: SystemTime,
}

impl Tag {
    pub(crate) fn new(
        event: &Event,
        topic: Arc<str>,
        trace: TraceContext,
        faults: FaultSet,
    ) -> Self {
        Self {
            topic,
            key: event.key.clone(),
            sequence: event.sequence,
            trace,
            faults,
            copy: false,
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// The tag of the second copy of the same event.
    pub(crate) fn copy(&self) -> Self {
        Self {
            copy: true,
            trace: self.trace.child(),
            ..self.clone()
        }
    }

    fn outcome(&self) -> Outcome {
        if self.faults.is_empty() {
            Outcome::Ok
        } else {
            Outcome::Injected(self.faults.label())
        }
    }

    fn span(&self, outcome: Outcome, status: Status, at: Option<Delivered>) -> FinishedSpan {
        let mut attributes = vec![
            KeyValue::new(names::MESSAGING_SYSTEM, names::MESSAGING_SYSTEM_KAFKA),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, names::OPERATION_SEND),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::OPERATION_SEND),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, self.topic.to_string()),
            KeyValue::new(names::MESSAGING_KAFKA_MESSAGE_KEY, self.key.clone()),
            KeyValue::new(
                names::SEQUENCE,
                i64::try_from(self.sequence).unwrap_or(i64::MAX),
            ),
        ];
        if let Some(Delivered { partition, offset }) = at {
            let partition = partition.to_string();
            attributes.push(KeyValue::new(
                names::MESSAGING_DESTINATION_PARTITION_ID,
                partition,
            ));
            attributes.push(KeyValue::new(names::MESSAGING_KAFKA_OFFSET, offset));
        }
        FinishedSpan {
            context: self.trace,
            parent: None,
            name: names::send_span(&self.topic).into(),
            kind: SpanKind::Producer,
            start: self.started_at,
            end: SystemTime::now(),
            attributes,
            links: Vec::new(),
            status,
            outcome,
        }
    }
}

/// Counts and tells of an event that was held back on purpose.
pub(crate) fn report_suppressed(telemetry: &Telemetry, tag: &Tag) {
    telemetry.counters().record(tag.outcome());
    let told = format!("not sent, on purpose: injected by {}", tag.faults.label());
    tell_injected(telemetry, tag, told, None);
}

/// Tells of an event that has a fault: by a line at level ERROR and a span with an error, both marked as on purpose.
fn tell_injected(telemetry: &Telemetry, tag: &Tag, told: String, at: Option<Delivered>) {
    tracing::error!(
        trace_id = %tag.trace.trace_id(),
        span_id = %tag.trace.span_id(),
        topic = &*tag.topic,
        key = tag.key,
        ordermill.sequence = tag.sequence,
        ordermill.injected = true,
        ordermill.fault = tag.faults.label(),
        "{told}"
    );
    let (spans, outcome) = (telemetry.spans(), tag.outcome());
    if spans.keeps(&tag.trace, outcome) {
        spans.record(tag.span(outcome, Status::error(told), at));
    }
}

/// Counts and tells of what was delivered.
pub(crate) struct DeliveryReporter {
    telemetry: Arc<Telemetry>,
    state: Arc<WorkloadState>,
    metrics: Vec<(Arc<str>, ordermill_runtime::telemetry::SendMetrics)>,
}

impl DeliveryReporter {
    pub(crate) fn new<'a>(
        telemetry: &Arc<Telemetry>,
        state: &Arc<WorkloadState>,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let metrics = topics
            .into_iter()
            .map(|topic| (Arc::from(topic), telemetry.metrics().sending_to(topic)))
            .collect();
        Self {
            telemetry: Arc::clone(telemetry),
            state: Arc::clone(state),
            metrics,
        }
    }

    /// A record is there for good: acknowledged, and committed where it is part of a transaction.
    pub(crate) fn acknowledged(&self, tag: &Tag, at: Option<Delivered>) {
        let outcome = tag.outcome();
        if let Some((_, metrics)) = self.metrics.iter().find(|(topic, _)| *topic == tag.topic) {
            metrics.acknowledged(tag.started.elapsed());
        }
        // The second copy of a doubled event is neither another event nor another fault.
        if !tag.copy {
            self.telemetry.counters().record(outcome);
            self.state.add_events(1);
        }
        if !tag.faults.is_empty() {
            let told = format!(
                "sent with a fault, on purpose: injected by {}",
                tag.faults.label()
            );
            return tell_injected(&self.telemetry, tag, told, at);
        }
        tracing::debug!(
            trace_id = %tag.trace.trace_id(),
            span_id = %tag.trace.span_id(),
            topic = &*tag.topic,
            key = tag.key,
            ordermill.sequence = tag.sequence,
            "sent"
        );
        let spans = self.telemetry.spans();
        if spans.keeps(&tag.trace, outcome) {
            spans.record(tag.span(outcome, Status::Unset, at));
        }
    }
}

impl DeliverySink for DeliveryReporter {
    type Tag = Tag;

    fn in_scope(&self, body: impl FnOnce()) {
        self.telemetry.log().in_scope(body);
    }

    fn delivered(&self, tag: Tag, at: Delivered) {
        self.acknowledged(&tag, Some(at));
    }

    fn sent_again(&self) {
        self.state.add_retried(1);
    }

    fn refused(&self, tag: Tag, refusal: Option<String>) {
        self.telemetry.counters().record(tag.outcome());
        let told = match refusal {
            Some(refusal) => {
                format!("refused by the broker, on purpose: injected by oversized: {refusal}")
            }
            None => "taken by the broker although it was made too large on purpose".to_owned(),
        };
        tell_injected(&self.telemetry, &tag, told, None);
    }

    fn order(tag: &Tag) -> u64 {
        tag.sequence
    }
}
