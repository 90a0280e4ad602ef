//! What an error is answered with: RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ordermill_config::TuningVersion;
use serde::Serialize;

use crate::telemetry::names;

/// A longer text would only repeat what the caller sent.
const DETAIL_MAX_LENGTH: usize = 500;

/// A problem document, and the answer that carries it.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// What the workload runs with, where that is the problem.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    running: Option<TuningVersion>,
    /// The fault that it was made by on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    injected: Option<&'static str>,
}

impl Problem {
    /// A problem of this status, told in words.
    #[must_use]
    pub fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.chars().take(DETAIL_MAX_LENGTH).collect(),
            running: None,
            injected: None,
        }
    }

    /// A failure that a fault makes on purpose: it says so in its text, a member of its own, and the header that marks
    /// what is injected.
    #[must_use]
    pub fn injected(status: StatusCode, fault: &'static str) -> Self {
        Self {
            injected: Some(fault),
            ..Self::new(status, &format!("injected by {fault}"))
        }
    }

    /// The same, with what the workload runs with.
    #[must_use]
    pub fn with_running(mut self, running: Option<TuningVersion>) -> Self {
        self.running = running;
        self
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        // Texts and numbers serialize; an empty body would still have its status.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, body).into_response();
        if let Some(fault) = self.injected {
            let mark = HeaderValue::from_static(fault);
            response.headers_mut().insert(names::HEADER_INJECTED, mark);
        }
        if status == StatusCode::UNAUTHORIZED {
            // HTTP asks for it with this status; the name is that of our own scheme.
            let scheme = HeaderValue::from_static("Ordermill-Signature");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
