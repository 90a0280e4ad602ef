//! Finished spans on their way out.
//!
//! A span is data that is put together when its work is done: the SDK's live spans cost more than the sending of an
//! event. What is kept is decided here and not by the SDK, whose processors drop what is not sampled: a span is kept when
//! its trace is sampled, and always when a fault was injected or something failed; its parent may then be missing.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};

use super::exporter::{Backlog, Dropped, Signal};
use super::names;
use super::outcome::Outcome;
use super::trace::TraceContext;

/// A span, when it is over.
#[derive(Debug, Clone)]
pub struct FinishedSpan {
    /// Its identity, and whether its trace is sampled.
    pub context: TraceContext,
    /// The span it is part of; none for the first of a trace.
    pub parent: Option<ParentSpan>,
    /// Name, of few different values: `send orders`.
    pub name: Cow<'static, str>,
    /// Role in what it is part of.
    pub kind: SpanKind,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// Attributes, except those that follow from the outcome.
    pub attributes: Vec<KeyValue>,
    /// Spans that it has to do with and is no part of.
    pub links: Vec<TraceContext>,
    /// Status; where it is unset and the outcome is a failure, it becomes an error of that type.
    pub status: Status,
    /// How it ended; adds `ordermill.injected` and `ordermill.fault`, or `error.type`.
    pub outcome: Outcome,
}

/// The span that another is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentSpan {
    /// Of this process.
    Local(SpanId),
    /// Of another, known by a header.
    Remote(SpanId),
}

/// Takes the finished spans of one workload; clones are handles to the same.
#[derive(Debug, Clone)]
pub struct SpanRecorder {
    pipeline: Option<Arc<SpanPipeline>>,
}

/// The way to the exporter.
#[derive(Debug)]
pub(super) struct SpanPipeline {
    pub(super) processor: BatchSpanProcessor,
    pub(super) backlog: Arc<Backlog>,
    pub(super) dropped: Arc<Dropped>,
}

impl SpanRecorder {
    /// A recorder without a pipeline keeps nothing.
    pub(super) const fn new(pipeline: Option<Arc<SpanPipeline>>) -> Self {
        Self { pipeline }
    }

    /// Whether a span with this context and outcome is kept: to be asked before its attributes are put together.
    #[must_use]
    pub fn keeps(&self, context: &TraceContext, outcome: Outcome) -> bool {
        self.pipeline.is_some() && (context.sampled() || outcome.always_kept())
    }

    /// Takes a span if it is one that [`keeps`](Self::keeps). It never waits: where the exporter falls behind, spans are
    /// dropped and counted, failures last.
    pub fn record(&self, span: FinishedSpan) {
        let Some(pipeline) = &self.pipeline else {
            return;
        };
        if !self.keeps(&span.context, span.outcome) {
            return;
        }
        if pipeline.backlog.admit(span.outcome.always_kept()) {
            pipeline.processor.on_end(span.into());
        } else {
            pipeline.dropped.add(Signal::Traces, 1);
        }
    }
}

impl From<FinishedSpan> for SpanData {
    fn from(span: FinishedSpan) -> Self {
        let (parent_span_id, parent_span_is_remote) = match span.parent {
            Some(ParentSpan::Local(id)) => (id, false),
            Some(ParentSpan::Remote(id)) => (id, true),
            None => (SpanId::INVALID, false),
        };
        let mut attributes = span.attributes;
        for told in span.outcome.span_attributes() {
            // It may be there already, for a metric that is told apart by it, and OTLP wants each key once.
            attributes.retain(|attribute| attribute.key != told.key);
            attributes.push(told);
        }
        let mut links = SpanLinks::default();
        links.links = span
            .links
            .iter()
            .map(|linked| Link::with_context(linked.exported(true)))
            .collect();
        let status = match (span.status, span.outcome) {
            (Status::Unset, Outcome::Failed(error_type)) => Status::error(error_type),
            (status, _) => status,
        };
        Self {
            span_context: span.context.exported(false),
            parent_span_id,
            parent_span_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: span.start,
            end_time: span.end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status,
            instrumentation_scope: InstrumentationScope::builder(names::SCOPE).build(),
        }
    }
}
