//! What every request goes through: faults, and what is counted and told of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use ordermill_runtime::Workload;
use ordermill_runtime::faults::{BackendFault, End, Fate, FaultTable};
use ordermill_runtime::problem::Problem;
use ordermill_runtime::telemetry::{FinishedSpan, Outcome, ParentSpan, TraceContext, names};
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::gate::Gate;

/// How long an answer may take, without what is made late on purpose.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the requests of a backend share.
#[derive(Debug)]
pub struct Desk {
    workload: Workload,
    live: watch::Receiver<Live>,
    gate: Gate,
    /// Connections are tasks of their own, outside of the span that the backend runs in.
    span: Span,
}

/// What an edit changes.
#[derive(Debug, Clone)]
pub struct Live {
    /// No request is answered.
    pub paused: bool,
    /// What is wrong on purpose.
    pub faults: FaultTable<BackendFault>,
}

impl Desk {
    /// For the requests of a workload; what they log belongs to the span that this is called in.
    #[must_use]
    pub fn new(workload: Workload, live: watch::Receiver<Live>, gate: Gate) -> Self {
        Self {
            workload,
            live,
            gate,
            span: Span::current(),
        }
    }

    fn fate(&self) -> Fate {
        let mut random = rand::rng();
        let faults = &self.live.borrow().faults;
        faults.fate(&BackendFault::ALL, Instant::now(), || random.random())
    }
}

/// The request, as it is told of.
struct Asked {
    method: &'static str,
    route: String,
    path: String,
    trace: TraceContext,
    parent: Option<ParentSpan>,
    /// The fault that was injected before the request came here.
    upstream: Option<String>,
    started: Instant,
    started_at: SystemTime,
}

impl Asked {
    fn new(workload: &Workload, request: &Request) -> Self {
        let header = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let caller =
            header(names::HEADER_TRACEPARENT).and_then(|text| TraceContext::parse(text).ok());
        let route = request.extensions().get::<MatchedPath>();
        Self {
            method: known_method(request.method().as_str()),
            route: route
                .map(|route| route.as_str().to_owned())
                .unwrap_or_default(),
            path: request.uri().path().to_owned(),
            trace: caller.map_or_else(|| workload.telemetry.new_trace(), |caller| caller.child()),
            parent: caller.map(|caller| ParentSpan::Remote(caller.span_id())),
            upstream: header(names::HEADER_INJECTED).map(str::to_owned),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// What tells requests apart in metrics: few different values.
    fn attributes(&self, status: Option<StatusCode>) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new(names::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(names::HTTP_ROUTE, self.route.clone()),
            KeyValue::new(names::URL_SCHEME, "http"),
        ];
        attributes.extend(
            status
                .map(|it| KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, i64::from(it.as_u16()))),
        );
        attributes
    }
}

/// The methods that the semantic conventions name; all others are one.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or(names::ERROR_TYPE_OTHER)
}

/// Answers a request, or does to it what a fault asks for.
pub async fn answer(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let span = desk.span.clone();
    answer_inside(desk, request, next).instrument(span).await
}

async fn answer_inside(desk: Arc<Desk>, request: Request, next: Next) -> Response {
    let asked = Asked::new(&desk.workload, &request);
    if desk.live.borrow().paused {
        return unavailable(
            "the backend is paused: it answers when spec.paused is false again",
            None,
        );
    }
    if desk.gate.closed_until().is_some() {
        // On a connection that was there before; new ones are refused.
        return refuse(&desk, &asked, BackendFault::Unavailable);
    }
    let Fate { delay, end } = desk.fate();
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = desk.workload.cancelled.cancelled() => {}
        }
    }
    match end {
        End::Regular => {}
        End::Fails(fault) => {
            let response =
                Problem::injected(StatusCode::INTERNAL_SERVER_ERROR, fault.name()).into_response();
            tell(
                &desk,
                &asked,
                response.status(),
                Outcome::Injected(fault.name()),
            );
            return response;
        }
        End::Hangs => {
            let fault = BackendFault::Hang;
            tell_injected(&desk, &asked, None, fault.name());
            // The caller goes away, and this with it.
            desk.workload.cancelled.cancelled().await;
            return unavailable("the backend stops", Some(fault));
        }
        End::Refused(time) => {
            desk.gate.close_until(Instant::now() + time);
            return refuse(&desk, &asked, BackendFault::Unavailable);
        }
    }
    let answered = tokio::time::timeout(DEADLINE, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| {
        let detail = format!("there is no answer within {} s", DEADLINE.as_secs());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, &detail).into_response()
    });
    let status = response.status();
    let outcome = match outcome_of(status) {
        Outcome::Ok if !delay.is_zero() => Outcome::Injected(BackendFault::Latency.name()),
        outcome => outcome,
    };
    tell(&desk, &asked, status, outcome);
    if let Outcome::Injected(fault) = outcome {
        // It was late on purpose.
        let mark = HeaderValue::from_static(fault);
        response.headers_mut().insert(names::HEADER_INJECTED, mark);
    }
    response
}

/// A request that is refused is the caller's mistake; only what we cannot do is a failure of ours.
const fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Outcome::Failed("500"),
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Failed("503"),
        _ => Outcome::Ok,
    }
}

fn refuse(desk: &Desk, asked: &Asked, fault: BackendFault) -> Response {
    tell(
        desk,
        asked,
        StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Injected(fault.name()),
    );
    unavailable("connections are refused", Some(fault))
}

/// A 503 on a connection that ends with it.
fn unavailable(detail: &str, fault: Option<BackendFault>) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = match fault {
        Some(fault) => Problem::injected(status, fault.name()),
        None => Problem::new(status, detail),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    (headers, problem).into_response()
}

/// Counts an answer, and tells of it.
fn tell(desk: &Desk, asked: &Asked, status: StatusCode, outcome: Outcome) {
    let count = || desk.workload.state.add_events(1);
    if let Outcome::Injected(fault) = outcome {
        tell_injected(desk, asked, Some(status), fault);
        return count();
    }
    desk.workload.telemetry.counters().record(outcome);
    count();
    let level_is_error = matches!(outcome, Outcome::Failed(_));
    if level_is_error {
        tracing::error!(
            trace_id = %asked.trace.trace_id(),
            span_id = %asked.trace.span_id(),
            http.response.status_code = status.as_u16(),
            "{} {} failed", asked.method, asked.path
        );
    } else {
        tracing::debug!(
            trace_id = %asked.trace.trace_id(),
            span_id = %asked.trace.span_id(),
            http.response.status_code = status.as_u16(),
            "{} {}", asked.method, asked.path
        );
    }
    record(desk, asked, Some(status), outcome, Status::Unset);
}

/// Counts a fault, and tells of it by a line at level ERROR and a span with an error, both marked as on purpose.
fn tell_injected(desk: &Desk, asked: &Asked, status: Option<StatusCode>, fault: &'static str) {
    let outcome = Outcome::Injected(fault);
    desk.workload.telemetry.counters().record(outcome);
    let told = match status {
        Some(status) => format!(
            "{} {} answered with {}, on purpose: injected by {fault}",
            asked.method,
            asked.path,
            status.as_u16()
        ),
        None => format!(
            "{} {} not answered, on purpose: injected by {fault}",
            asked.method, asked.path
        ),
    };
    tracing::error!(
        trace_id = %asked.trace.trace_id(),
        span_id = %asked.trace.span_id(),
        http.response.status_code = status.map(|status| status.as_u16()),
        ordermill.injected = true,
        ordermill.fault = fault,
        "{told}"
    );
    record(desk, asked, status, outcome, Status::error(told));
}

fn record(
    desk: &Desk,
    asked: &Asked,
    status: Option<StatusCode>,
    outcome: Outcome,
    span_status: Status,
) {
    let telemetry = &desk.workload.telemetry;
    let mut attributes = asked.attributes(status);
    if let Outcome::Failed(error_type) = outcome {
        attributes.push(KeyValue::new(names::ERROR_TYPE, error_type));
    }
    telemetry
        .metrics()
        .record_request(asked.started.elapsed(), &attributes);
    if !telemetry.spans().keeps(&asked.trace, outcome) {
        return;
    }
    attributes.push(KeyValue::new(names::URL_PATH, asked.path.clone()));
    if let Some(upstream) = asked.upstream.clone().filter(|_| outcome == Outcome::Ok) {
        attributes.push(KeyValue::new(names::INJECTED, true));
        attributes.push(KeyValue::new(names::INJECTED_FAULT, upstream));
    }
    telemetry.spans().record(FinishedSpan {
        context: asked.trace,
        parent: asked.parent,
        name: Cow::Owned(format!("{} {}", asked.method, asked.route)),
        kind: SpanKind::Server,
        start: asked.started_at,
        end: SystemTime::now(),
        attributes,
        links: Vec::new(),
        status: span_status,
        outcome,
    });
}
