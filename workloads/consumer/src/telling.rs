//! What is counted and told of messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use ordermill_config::full_error;
use ordermill_runtime::Workload;
use ordermill_runtime::api::CallError;
use ordermill_runtime::faults::ConsumerFault;
use ordermill_runtime::telemetry::{ConsumeMetrics, FinishedSpan, Outcome, names};
use rdkafka::message::Message as _;
use tokio::time::Instant;

use crate::handler::HandleError;
use crate::incoming::Incoming;

/// A message on its way to its end.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) incoming: Incoming,
    /// Attempts that failed.
    pub(crate) attempts: u32,
    /// The first fault of ours that touched it.
    fault: Option<&'static str>,
    started: Instant,
    started_at: SystemTime,
}

impl Told {
    pub(crate) fn begin(incoming: Incoming) -> Self {
        Self {
            incoming,
            attempts: 0,
            fault: None,
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Says that a fault touched it.
    pub(crate) fn touch(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }
}

/// Counts and tells of the messages of one topic.
pub(crate) struct Teller {
    workload: Workload,
    topic: Arc<str>,
    group: String,
    metrics: ConsumeMetrics,
}

impl Teller {
    pub(crate) fn new(workload: &Workload, topic: &Arc<str>, group: &str) -> Self {
        Self {
            workload: workload.clone(),
            topic: Arc::clone(topic),
            group: group.to_owned(),
            metrics: workload.telemetry.metrics().consuming_from(topic, group),
        }
    }

    /// A message came.
    pub(crate) fn received(&self) {
        self.metrics.received();
    }

    /// An attempt failed, and another follows.
    pub(crate) fn retried(&self, told: &Told, error: &HandleError, pause: Duration) {
        self.workload.state.add_retried(1);
        let pause = pause.as_millis();
        self.failed_line(
            told,
            error,
            &format!("not handled, tried again in {pause} ms"),
        );
    }

    /// The API is away, and the message waits for it. The reason is shown and logged once; this is a detail.
    pub(crate) fn waits(&self, told: &Told, error: &CallError, pause: Duration) {
        self.workload.state.add_retried(1);
        tracing::debug!(
            trace_id = %told.incoming.trace.trace_id(),
            topic = &*self.topic,
            partition = told.incoming.message.partition(),
            offset = told.incoming.message.offset(),
            "waits {} ms: {}",
            pause.as_millis(),
            full_error(error)
        );
    }

    /// It is left out.
    pub(crate) fn skipped(&self, told: &Told, error: &HandleError) {
        self.failed_line(told, error, "given up and left out");
    }

    /// It is left out, as its dead letter is larger than what the topic takes.
    pub(crate) fn too_large(&self, told: &Told, error: &HandleError, refusal: &str) {
        let what = format!("given up and left out, as no dead letter can be as large ({refusal})");
        self.failed_line(told, error, &what);
    }

    /// It went to a dead-letter topic.
    pub(crate) fn dead_lettered(&self, told: &Told, error: &HandleError, topic: &str) {
        self.workload.telemetry.counters().add_dead_lettered(1);
        self.failed_line(told, error, &format!("given up and put on {topic}"));
    }

    /// A line at level ERROR, marked where the failure is on purpose.
    fn failed_line(&self, told: &Told, error: &HandleError, what: &str) {
        let Incoming { message, trace, .. } = &told.incoming;
        let fault = error.injected(&told.incoming);
        tracing::error!(
            trace_id = %trace.trace_id(),
            span_id = %trace.span_id(),
            topic = &*self.topic,
            partition = message.partition(),
            offset = message.offset(),
            key = told.incoming.key(),
            attempts = told.attempts,
            error.type = error.error_type(),
            ordermill.injected = fault.map(|_| true),
            ordermill.fault = fault,
            "{what}: {}",
            full_error(error)
        );
    }

    /// A line at level ERROR of a fault that comes between effect and commit.
    pub(crate) fn told_after(&self, told: &Told, fault: ConsumerFault) {
        let Incoming { message, trace, .. } = &told.incoming;
        let what = match fault {
            ConsumerFault::CommitFailure => "not committed",
            ConsumerFault::Rebalance => "the member leaves its group and joins it again",
            _ => "the process aborts before the commit",
        };
        tracing::error!(
            trace_id = %trace.trace_id(),
            span_id = %trace.span_id(),
            topic = &*self.topic,
            partition = message.partition(),
            offset = message.offset(),
            key = told.incoming.key(),
            ordermill.injected = true,
            ordermill.fault = fault.name(),
            "{what}, on purpose: injected by {}",
            fault.name()
        );
    }

    /// The message is at its end: handled, or given up for an error.
    pub(crate) fn end(&self, told: &Told, failure: Option<&HandleError>) {
        let error_type = failure.map(HandleError::error_type);
        self.metrics.processed(told.started.elapsed(), error_type);
        let outcome = outcome(told, failure);
        let telemetry = &self.workload.telemetry;
        telemetry.counters().record(outcome);
        self.workload.state.add_events(1);
        if failure.is_none() {
            tracing::debug!(
                trace_id = %told.incoming.trace.trace_id(),
                span_id = %told.incoming.trace.span_id(),
                topic = &*self.topic,
                partition = told.incoming.message.partition(),
                offset = told.incoming.message.offset(),
                key = told.incoming.key(),
                "handled"
            );
        }
        if telemetry.spans().keeps(&told.incoming.trace, outcome) {
            telemetry.spans().record(self.span(told, failure, outcome));
        }
    }

    fn span(&self, told: &Told, failure: Option<&HandleError>, outcome: Outcome) -> FinishedSpan {
        let incoming = &told.incoming;
        let message = &incoming.message;
        let length = i64::try_from(incoming.payload().len()).unwrap_or(i64::MAX);
        let mut attributes = vec![
            KeyValue::new(names::MESSAGING_SYSTEM, names::MESSAGING_SYSTEM_KAFKA),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, names::OPERATION_PROCESS),
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::OPERATION_PROCESS),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, self.topic.to_string()),
            KeyValue::new(
                names::MESSAGING_DESTINATION_PARTITION_ID,
                message.partition().to_string(),
            ),
            KeyValue::new(names::MESSAGING_KAFKA_OFFSET, message.offset()),
            KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, self.group.clone()),
            KeyValue::new(names::MESSAGING_MESSAGE_BODY_SIZE, length),
            KeyValue::new(names::MESSAGING_KAFKA_MESSAGE_KEY, incoming.key()),
            KeyValue::new(names::FAILED_ATTEMPTS, i64::from(told.attempts)),
        ];
        // What came with a fault and went well says where that is from.
        if let Some(upstream) = incoming.upstream.clone().filter(|_| outcome == Outcome::Ok) {
            attributes.push(KeyValue::new(names::INJECTED, true));
            attributes.push(KeyValue::new(names::INJECTED_FAULT, upstream));
        }
        let status = failure.map_or(Status::Unset, |error| Status::error(full_error(error)));
        FinishedSpan {
            context: incoming.trace,
            parent: incoming.parent,
            name: names::process_span(&self.topic).into(),
            kind: SpanKind::Consumer,
            start: told.started_at,
            end: SystemTime::now(),
            attributes,
            links: incoming.link.into_iter().collect(),
            status,
            outcome,
        }
    }
}

/// How a message ended. What it was given up for decides, whatever touched it before: one that fails for real at last is not
/// told as failed on purpose.
fn outcome(told: &Told, failure: Option<&HandleError>) -> Outcome {
    match failure {
        Some(error) => error
            .injected(&told.incoming)
            .map_or_else(|| Outcome::Failed(error.error_type()), Outcome::Injected),
        None => told.fault.map_or(Outcome::Ok, Outcome::Injected),
    }
}
