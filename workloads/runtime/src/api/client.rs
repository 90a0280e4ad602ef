//! A client of one API: deadlines, repetition of what is safe to repeat, and a circuit breaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, HttpConnector, capture_connection};
use hyper_util::rt::TokioExecutor;
use ordermill_config::{TroubleReason, full_error};
use recloser::{AsyncRecloser, Recloser};
use serde::Serialize;

use super::answer::Answerer;
use super::telling::Told;
use super::{Answer, ApiClientError, CallError};
use crate::Workload;
use crate::faults::known_fault;
use crate::telemetry::{TraceContext, names};
use crate::tls::https_connector;

/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// More than any answer of ours has.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;
/// Attempts after the first where a connection breaks.
const REPETITIONS: usize = 2;
/// Longest time before such an attempt; the first comes after a tenth of it.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// The last calls that the circuit breaker judges by, and the share of failures that opens it.
const CALLS: usize = 20;
const FAILURES: f32 = 0.6;
/// Calls that are tried when it has been open for a while.
const PROBES: usize = 3;
/// How long it stays open; then calls are tried again.
const OPEN: Duration = Duration::from_secs(1);

type Transport = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One request. Every request of ours can be made twice with the effect of once, so that each may be repeated.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path with its query, from `/` on.
    pub path: String,
    /// The path as a template, such as `/orders/{id}`.
    pub route: &'static str,
    /// The body, which is JSON; none where empty.
    pub body: Bytes,
    /// A header besides those that every call has.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The span that the call is part of.
    pub parent: TraceContext,
    /// The fault that was injected upstream.
    pub injected: Option<String>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, route: &'static str, path: String, parent: TraceContext) -> Self {
        Self {
            method,
            path,
            route,
            body: Bytes::new(),
            header: None,
            parent,
            injected: None,
        }
    }

    /// The same, with this value as its body.
    ///
    /// # Errors
    /// Where the value has no form in JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.body = serde_json::to_vec(value)?.into();
        Ok(self)
    }
}

/// Calls one API.
#[derive(Debug, Clone)]
pub struct ApiClient {
    workload: Workload,
    /// Scheme, host and port.
    base: String,
    address: Uri,
    transport: Transport,
    breaker: AsyncRecloser,
    /// Whether this API is what the workload is in trouble with: another one that works does not end it.
    away: Arc<AtomicBool>,
}

impl ApiClient {
    /// A client of the API at a URL, for a workload that tells of the calls.
    ///
    /// # Errors
    /// Where the URL is none, or TLS cannot be set up.
    pub fn new(workload: &Workload, url: &str) -> Result<Self, ApiClientError> {
        let base = url.trim_end_matches('/').to_owned();
        let address: Uri = base.parse().map_err(|source| ApiClientError::Address {
            url: url.to_owned(),
            source: Some(source),
        })?;
        if address.host().is_none() || address.scheme().is_none() {
            return Err(ApiClientError::Address {
                url: url.to_owned(),
                source: None,
            });
        }
        let transport = Client::builder(TokioExecutor::new()).build(https_connector(None)?);
        let breaker = Recloser::custom()
            .error_rate(FAILURES)
            .closed_len(CALLS)
            .half_open_len(PROBES)
            .open_wait(OPEN)
            .build();
        Ok(Self {
            workload: workload.clone(),
            base,
            address,
            transport,
            breaker: AsyncRecloser::from(breaker),
            away: Arc::default(),
        })
    }

    /// Where the API is.
    pub(super) const fn address(&self) -> &Uri {
        &self.address
    }

    pub(super) const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        DEADLINE
    }

    /// Makes a call; one whose connection breaks is repeated at once, anything else is its caller's to repeat.
    ///
    /// # Errors
    /// Where there is no answer, or the API failed.
    pub async fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(LAST_PAUSE / 10)
            .with_max_delay(LAST_PAUSE)
            .with_max_times(REPETITIONS)
            .with_jitter();
        let attempt = || async {
            let attempt = self.breaker.call(self.attempt(call));
            attempt.await.map_err(|error| match error {
                recloser::Error::Inner(error) => error,
                recloser::Error::Rejected => CallError::CircuitOpen {
                    api: self.base.clone(),
                },
            })
        };
        let result = attempt
            .retry(backoff)
            .when(CallError::is_of_connection)
            .notify(|_, _| self.workload.state.add_retried(1))
            .await;
        match &result {
            Ok(_) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    let reason = TroubleReason::BackendUnreachable;
                    self.workload.health.works(reason);
                }
            }
            Err(error) => {
                if let Some(reason) = error.trouble() {
                    self.away.store(true, Ordering::Relaxed);
                    let message = full_error(error);
                    self.workload.health.report(reason, message);
                }
            }
        }
        result
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, CallError> {
        let told = Told::begin(self, call);
        let result = match tokio::time::timeout(DEADLINE, self.exchange(call, &told)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::TimedOut {
                api: self.base.clone(),
                deadline: DEADLINE,
            }),
        };
        told.end(&result);
        result
    }

    async fn exchange(&self, call: &Call, told: &Told<'_>) -> Result<Answer, CallError> {
        let mut request = self
            .request(call, told.trace())
            .map_err(CallError::unspeakable)?;
        let connection = capture_connection(&mut request);
        let response = self.transport.request(request).await.map_err(|source| {
            let api = self.base.clone();
            if source.is_connect() {
                CallError::Unreachable { api, source }
            } else {
                let source = source.into();
                CallError::Broken { api, source }
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        let body = body.map_err(|source| CallError::Broken {
            api: self.base.clone(),
            source,
        })?;
        let body = body.to_bytes();
        let answerer = Answerer::of(&head, &body);
        if answerer != Answerer::Api {
            // It would lead to the same one again, for as long as it lasts.
            connection
                .connection_metadata()
                .as_ref()
                .map(Connected::poison);
        }
        let status = head.status;
        match answerer {
            Answerer::Api | Answerer::Either => self.judge(Answer { status, body }, &head.headers),
            Answerer::Another {
                media_type,
                expected,
            } => Err(CallError::Another {
                api: self.base.clone(),
                status,
                media_type,
                expected,
            }),
        }
    }

    fn request(
        &self,
        call: &Call,
        trace: &TraceContext,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.base, call.path))
            .header(names::HEADER_TRACEPARENT, trace.traceparent().as_str());
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(fault) = &call.injected {
            request = request.header(names::HEADER_INJECTED, fault);
        }
        if let Some((name, value)) = &call.header {
            request = request.header(name, value);
        }
        request.body(Full::new(call.body.clone()))
    }

    fn judge(&self, answer: Answer, headers: &HeaderMap) -> Result<Answer, CallError> {
        let status = answer.status;
        if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Ok(answer);
        }
        let injected = headers.get(names::HEADER_INJECTED);
        let injected = injected.and_then(|fault| fault.to_str().ok());
        Err(CallError::Failed {
            api: self.base.clone(),
            status,
            detail: answer.detail(),
            injected: injected.map(known_fault),
        })
    }
}
