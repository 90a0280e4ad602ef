//! What is told of a call: a span, and how long it took.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use tokio::time::Instant;

use super::{Answer, ApiClient, Call, CallError};
use crate::telemetry::{FinishedSpan, Outcome, ParentSpan, TraceContext, names};

/// A call that is under way.
pub(super) struct Told<'a> {
    client: &'a ApiClient,
    call: &'a Call,
    trace: TraceContext,
    started: Instant,
    started_at: SystemTime,
}

impl<'a> Told<'a> {
    pub(super) fn begin(client: &'a ApiClient, call: &'a Call) -> Self {
        Self {
            client,
            call,
            trace: call.parent.child(),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// The call's own span, which the API's is a part of.
    pub(super) const fn trace(&self) -> &TraceContext {
        &self.trace
    }

    pub(super) fn end(self, result: &Result<Answer, CallError>) {
        let telemetry = &self.client.workload().telemetry;
        let mut attributes = self.attributes(result);
        telemetry
            .metrics()
            .record_call(self.started.elapsed(), &attributes);
        // The fault is somebody else's, and told there; here it only explains the failure.
        let (outcome, status) = match result {
            Ok(_) => (Outcome::Ok, Status::Unset),
            Err(error) => {
                let outcome = error
                    .injected()
                    .map_or(Outcome::Failed(error.error_type()), Outcome::Injected);
                (outcome, Status::error(error.to_string()))
            }
        };
        if !telemetry.spans().keeps(&self.trace, outcome) {
            return;
        }
        let address = self.client.address();
        attributes.push(KeyValue::new(
            names::URL_FULL,
            format!(
                "{}{}",
                address.to_string().trim_end_matches('/'),
                self.call.path
            ),
        ));
        telemetry.spans().record(FinishedSpan {
            context: self.trace,
            parent: Some(ParentSpan::Local(self.call.parent.span_id())),
            name: format!("{} {}", self.call.method, self.call.route).into(),
            kind: SpanKind::Client,
            start: self.started_at,
            end: SystemTime::now(),
            attributes,
            links: Vec::new(),
            status,
            outcome,
        });
    }

    /// What tells calls apart in metrics: few different values.
    fn attributes(&self, result: &Result<Answer, CallError>) -> Vec<KeyValue> {
        let address = self.client.address();
        let default_port = if address.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = address.port_u16().unwrap_or(default_port);
        let host = address.host().unwrap_or_default().to_owned();
        let mut attributes = vec![
            KeyValue::new(names::HTTP_REQUEST_METHOD, self.call.method.to_string()),
            KeyValue::new(names::SERVER_ADDRESS, host),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        let status = match result {
            Ok(answer) => Some(answer.status),
            Err(CallError::Failed { status, .. } | CallError::Another { status, .. }) => {
                Some(*status)
            }
            Err(_) => None,
        };
        attributes.extend(status.map(|status| {
            KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
        }));
        attributes.extend(
            result
                .as_ref()
                .err()
                .map(|error| KeyValue::new(names::ERROR_TYPE, error.error_type())),
        );
        attributes
    }
}
