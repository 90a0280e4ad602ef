//! The admin server of a pod: `/livez`, `/readyz` and `/state` tell, `/tuning` takes. Metrics leave by OTLP only.

mod push;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Span;

pub use self::push::Pushes;
use self::push::{BODY_LIMIT, Refusals, push};
use crate::state::WorkloadState;

/// Why the admin server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for the admin server")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A server that listens and is ready to serve.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminServer {
    /// Listens on an address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound
            .await
            .map_err(|source| AdminError::Listen { address, source })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until cancelled; what is logged meanwhile belongs to the span that this is called in. Without `pushes`, no
    /// pushed tuning is taken.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        state: Arc<WorkloadState>,
        pushes: Option<Pushes>,
        cancelled: CancellationToken,
    ) -> std::io::Result<()> {
        let shared = Arc::new(Shared {
            state,
            pushes,
            refusals: Refusals::default(),
            span: Span::current(),
        });
        axum::serve(self.listener, router(shared))
            .with_graceful_shutdown(cancelled.cancelled_owned())
            .await
    }
}

/// What every answer is made from.
#[derive(Debug)]
struct Shared {
    state: Arc<WorkloadState>,
    pushes: Option<Pushes>,
    refusals: Refusals,
    /// Connections are tasks of their own, outside of the span that the server runs in.
    span: Span,
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/state", get(report))
        .route("/tuning", post(push))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let state = &shared.state;
    let phase = state.phase();
    if phase.is_ready() {
        return "ok\n".into_response();
    }
    let report = state.report();
    let reason = report.reason.unwrap_or_else(|| phase.as_str().to_owned());
    let message = report.message.unwrap_or_default();
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{reason}: {message}\n"),
    )
        .into_response()
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    // The file is read here, and what it says of itself belongs to the workload.
    let keys = shared.span.in_scope(|| shared.pushes.as_ref()?.keys.keys());
    let mut report = shared.state.report();
    if let Some(keys) = keys {
        report.tuning_keys = keys.ids().map(str::to_owned).collect();
    }
    Json(report).into_response()
}

#[cfg(test)]
mod tests;
