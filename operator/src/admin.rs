//! The operator's own server: `/livez`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Whether the operator can do its part, and what it waits for.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Readiness {
    /// One that waits for something.
    #[must_use]
    pub fn waiting(what: &str) -> Self {
        let readiness = Self::default();
        readiness.wait_for(what);
        readiness
    }

    /// It waits for something.
    pub fn wait_for(&self, what: &str) {
        *self.lock() = Some(what.to_owned());
    }

    /// It waits for nothing.
    pub fn ready(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl AdminServer {
    /// Listens on an address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Serves until cancelled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        readiness: Readiness,
        metrics: Metrics,
        cancelled: CancellationToken,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(show_metrics))
            .with_state((readiness, metrics));
        axum::serve(self.listener, router)
            .with_graceful_shutdown(cancelled.cancelled_owned())
            .await
    }
}

async fn ready(State((readiness, _)): State<(Readiness, Metrics)>) -> Response {
    let waits_for = readiness.lock().clone();
    match waits_for {
        None => "ok\n".into_response(),
        Some(what) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for {what}\n"),
        )
            .into_response(),
    }
}

async fn show_metrics(State((_, metrics)): State<(Readiness, Metrics)>) -> Response {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], metrics.text()).into_response()
}
