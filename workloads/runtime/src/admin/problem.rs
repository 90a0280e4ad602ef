//! What an error is answered with: RFC 9457.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ordermill_config::TuningVersion;
use serde::Serialize;

/// A longer text would only repeat what the caller sent.
const DETAIL_MAX_LENGTH: usize = 500;

/// A problem document, and the answer that carries it.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// What the workload runs with, where that is the problem.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    running: Option<TuningVersion>,
}

impl Problem {
    /// A problem of this status, told in words.
    pub(super) fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.chars().take(DETAIL_MAX_LENGTH).collect(),
            running: None,
        }
    }

    /// The same, with what the workload runs with.
    pub(super) fn with_running(mut self, running: Option<TuningVersion>) -> Self {
        self.running = running;
        self
    }

    /// What is wrong, in words.
    pub(super) fn detail(&self) -> &str {
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
        if status == StatusCode::UNAUTHORIZED {
            // HTTP asks for it with this status; the name is that of our own scheme.
            let scheme = header::HeaderValue::from_static("Ordermill-Signature");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
