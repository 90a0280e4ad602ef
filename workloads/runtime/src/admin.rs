//! The admin server of a pod: `/livez`, `/readyz` and `/state`. Metrics leave by OTLP only.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

    /// Serves until cancelled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        state: Arc<WorkloadState>,
        cancelled: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(self.listener, router(state))
            .with_graceful_shutdown(cancelled.cancelled_owned())
            .await
    }
}

fn router(state: Arc<WorkloadState>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/state", get(report))
        .with_state(state)
}

async fn ready(State(state): State<Arc<WorkloadState>>) -> Response {
    let phase = state.phase();
    if phase.is_ready() {
        return "ok\n".into_response();
    }
    let report = state.report();
    let reason = report.reason.unwrap_or_else(|| format!("{phase:?}"));
    let message = report.message.unwrap_or_default();
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{reason}: {message}\n"),
    )
        .into_response()
}

async fn report(State(state): State<Arc<WorkloadState>>) -> Response {
    Json(state.report()).into_response()
}
