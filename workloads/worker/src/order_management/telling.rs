//! What is told of the work: a span for each piece of it, and a line for all that goes wrong.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use ordermill_config::full_error;
use ordermill_runtime::telemetry::{
    FinishedSpan, Outcome, ParentSpan, Telemetry, TraceContext, names,
};

use super::apis::Order;
use super::problem::Problem;

/// A piece of work, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Piece {
    name: &'static str,
    trace: TraceContext,
    parent: Option<ParentSpan>,
    links: Vec<TraceContext>,
    attributes: Vec<KeyValue>,
    order: Option<String>,
    started: SystemTime,
    /// What went wrong first; what only took longer is the last resort.
    wrong: Option<Wrong>,
    unreachable: bool,
}

#[derive(Debug)]
struct Wrong {
    outcome: Outcome,
    told: String,
    only_late: bool,
}

impl Piece {
    fn new(name: &'static str, trace: TraceContext) -> Self {
        Self {
            name,
            trace,
            parent: None,
            links: Vec::new(),
            attributes: Vec::new(),
            order: None,
            started: SystemTime::now(),
            wrong: None,
            unreachable: false,
        }
    }

    /// A claim, which is a trace of its own: it is of many orders.
    pub(super) fn claim(telemetry: &Telemetry) -> Self {
        Self::new("claim orders", telemetry.new_trace())
    }

    /// An attempt at an order, in the order's own trace.
    pub(super) fn order(telemetry: &Telemetry, order: &Order, claim: TraceContext) -> Self {
        let came_with = order.trace();
        let trace = came_with.map_or_else(|| telemetry.new_trace(), |trace| trace.child());
        Self {
            parent: came_with.map(|trace| ParentSpan::Remote(trace.span_id())),
            links: vec![claim],
            ..Self::new("process order", trace).of(order)
        }
    }

    /// Giving an order back, after an attempt at it or instead of one.
    pub(super) fn give_back(order: &Order, part_of: TraceContext) -> Self {
        Self {
            parent: Some(ParentSpan::Local(part_of.span_id())),
            ..Self::new("give order back", part_of.child()).of(order)
        }
    }

    fn of(mut self, order: &Order) -> Self {
        let id = order.id.to_string();
        self.attributes
            .push(KeyValue::new(names::ORDER_ID, id.clone()));
        let attempt = KeyValue::new(names::ORDER_ATTEMPT, i64::from(order.attempts));
        self.attributes.push(attempt);
        self.order = Some(id);
        self
    }

    /// Its span, which its calls are part of.
    pub(super) const fn trace(&self) -> TraceContext {
        self.trace
    }

    /// Whether an API did not answer at all.
    pub(super) const fn met_unreachable(&self) -> bool {
        self.unreachable
    }

    pub(super) fn claimed(&mut self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.attributes
            .push(KeyValue::new(names::ORDER_COUNT, count));
    }

    /// Takes down what went wrong, and logs it at once.
    pub(super) fn note(&mut self, problem: &Problem) {
        let (outcome, told) = (problem.outcome(), full_error(problem));
        let (trace_id, span_id) = (self.trace.trace_id(), self.trace.span_id());
        let order = self.order.as_deref();
        if let Outcome::Injected(fault) = outcome {
            tracing::error!(
                %trace_id,
                %span_id,
                ordermill.order.id = order,
                ordermill.injected = true,
                ordermill.fault = fault,
                "{told}"
            );
        } else if problem.is_told_as_trouble() {
            tracing::debug!(%trace_id, %span_id, ordermill.order.id = order, "{told}");
        } else {
            tracing::error!(%trace_id, %span_id, ordermill.order.id = order, "{told}");
        }
        self.unreachable |= problem.is_unreachable();
        let only_late = matches!(problem, Problem::LateCall(_));
        if self
            .wrong
            .as_ref()
            .is_none_or(|before| before.only_late && !only_late)
        {
            self.wrong = Some(Wrong {
                outcome,
                told,
                only_late,
            });
        }
    }

    /// How it went.
    pub(super) fn outcome(&self) -> Outcome {
        self.wrong
            .as_ref()
            .map_or(Outcome::Ok, |wrong| wrong.outcome)
    }

    /// Its span is over; `became`: what became of the order.
    pub(super) fn end(mut self, telemetry: &Telemetry, became: Option<&'static str>) {
        let outcome = self.outcome();
        if !telemetry.spans().keeps(&self.trace, outcome) {
            return;
        }
        let became = became.map(|status| KeyValue::new(names::ORDER_STATUS, status));
        self.attributes.extend(became);
        let status = self
            .wrong
            .map_or(SpanStatus::Unset, |wrong| SpanStatus::error(wrong.told));
        telemetry.spans().record(FinishedSpan {
            context: self.trace,
            parent: self.parent,
            name: self.name.into(),
            kind: SpanKind::Internal,
            start: self.started,
            end: SystemTime::now(),
            attributes: self.attributes,
            links: self.links,
            status,
            outcome,
        });
    }
}
