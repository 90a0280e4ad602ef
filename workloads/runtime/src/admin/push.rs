//! `POST /tuning`: a signed tuning for the running workload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ordermill_config::{SignedTuning, TuningVersion, VerifyError};
use serde::Serialize;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Shared;
use crate::problem::Problem;
use crate::tuning::{KeysFile, Refused, TuningHandle};
use ordermill_config::full_error;

/// The largest body that is read, in bytes.
pub(super) const BODY_LIMIT: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer waits for the workload to run with what it was pushed.
const IN_FORCE: Duration = Duration::from_secs(1);
/// Least time between two lines about refused pushes.
const REFUSALS_EVERY: Duration = Duration::from_secs(5);

/// What a workload that takes pushes needs for them.
#[derive(Debug)]
pub struct Pushes {
    /// Where the tuning goes.
    pub tuning: TuningHandle,
    /// Whose tuning is taken.
    pub keys: KeysFile,
}

/// The answer to a push that was taken.
#[derive(Debug, Serialize)]
struct Taken<'a> {
    /// What the workload runs with.
    #[serde(flatten)]
    running: TuningVersion,
    /// Which instance that is.
    instance: &'a str,
}

/// Why a push is not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("this workload takes no pushed tuning: it has no file with the operator's keys")]
    NoKeys,
    #[error("a tuning is pushed as application/json, not as {0:?}")]
    ContentType(String),
    #[error("the body has {0} bytes, {BODY_LIMIT} are the most")]
    TooLarge(u64),
    #[error("the body did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    #[error("the body cannot be read")]
    Body(#[source] BytesRejection),
    #[error("the body is not a signed tuning")]
    Unreadable(#[source] serde_json::Error),
    #[error("the tuning is not believed")]
    Unbelieved(#[source] VerifyError),
    #[error("the tuning is not taken")]
    NotTaken(#[source] Refused),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoKeys => StatusCode::NOT_FOUND,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Body(rejection) => rejection.status(),
            Self::Unreadable(_) | Self::Unbelieved(VerifyError::Malformed(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unbelieved(VerifyError::UnknownKey { .. } | VerifyError::BadSignature { .. }) => {
                StatusCode::UNAUTHORIZED
            }
            Self::NotTaken(Refused::OtherResource) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotTaken(Refused::NotNewer { .. }) => StatusCode::CONFLICT,
        }
    }

    const fn running(&self) -> Option<TuningVersion> {
        match self {
            Self::NotTaken(Refused::NotNewer { running, .. }) => Some(*running),
            _ => None,
        }
    }
}

/// Answers a push: 200 when the workload runs with it (or did already), 202 when it has it and is still busy.
pub(super) async fn push(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let span = shared.span.clone();
    answer(&shared, request).instrument(span).await
}

async fn answer(shared: &Shared, request: Request) -> Response {
    match take(shared, request).await {
        Ok(version) => {
            let running = shared.state.running_with(version, IN_FORCE).await;
            let status = if running >= version {
                StatusCode::OK
            } else {
                StatusCode::ACCEPTED
            };
            let instance = shared.state.instance();
            (status, Json(Taken { running, instance })).into_response()
        }
        Err(refusal) => {
            let problem = Problem::new(refusal.status(), &full_error(&refusal))
                .with_running(refusal.running());
            if let Some(untold) = shared.refusals.tell(Instant::now()) {
                let detail = problem.detail();
                tracing::warn!(untold, "a pushed tuning is refused: {detail}");
            }
            problem.into_response()
        }
    }
}

/// Hands a push to the workload; returns the version that it is to run with.
async fn take(shared: &Shared, request: Request) -> Result<TuningVersion, Refusal> {
    let pushes = shared.pushes.as_ref();
    let Some((pushes, keys)) = pushes.and_then(|it| Some((it, it.keys.keys()?))) else {
        return Err(Refusal::NoKeys);
    };
    expect_json(&request)?;
    // What says its size is not waited for; what does not is read up to the limit.
    let size = request.body().size_hint().lower();
    if size > BODY_LIMIT as u64 {
        return Err(Refusal::TooLarge(size));
    }
    let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &()))
        .await
        .map_err(|_| Refusal::Slow)?
        .map_err(Refusal::Body)?;
    let signed: SignedTuning = serde_json::from_slice(&body).map_err(Refusal::Unreadable)?;
    let document = keys.verify(&signed).map_err(Refusal::Unbelieved)?;
    let version = document.version();
    match pushes.tuning.offer(document) {
        Ok(()) => tracing::info!(
            generation = version.generation,
            revision = version.revision,
            key = signed.key_id,
            "a pushed tuning is taken"
        ),
        // A repeated push is as good as the first.
        Err(Refused::NotNewer { offered, running }) if offered == running => {}
        Err(refused) => return Err(Refusal::NotTaken(refused)),
    }
    Ok(version)
}

fn expect_json(request: &Request) -> Result<(), Refusal> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = String::from_utf8_lossy(given.map_or(b"", |value| value.as_bytes()));
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Refusal::ContentType(given.into_owned()))
    }
}

/// Keeps refused pushes from flooding the log.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When one was last told, and how many were not since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Refusals {
    /// Whether to tell of a refusal, with the number of those that nobody was told of before it.
    fn tell(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, untold) = &mut *last;
        if at.is_some_and(|at| now.duration_since(at) < REFUSALS_EVERY) {
            *untold += 1;
            return None;
        }
        *at = Some(now);
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_now_and_then_with_the_number_of_the_others() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert_eq!(refusals.tell(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.tell(start), None);
        }
        assert_eq!(refusals.tell(start + REFUSALS_EVERY), Some(1000));
        assert_eq!(refusals.tell(start + 2 * REFUSALS_EVERY), Some(0));
    }
}
