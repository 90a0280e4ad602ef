//! An API without a network, on a database of its own.

#![allow(dead_code, reason = "each API uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use ordermill_backend::database::DatabaseUrl;
use ordermill_backend::order::store::OrderStore;
use ordermill_backend::stock::store::StockStore;
use ordermill_backend::{order, stock};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Asks an API; clones ask the same.
#[derive(Debug, Clone)]
pub struct Caller {
    router: Router,
    _folder: Arc<TempDir>,
}

/// An order API of its own.
pub async fn order_api() -> Caller {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::file(folder.path(), "order.db");
    let router = order::api(OrderStore::open(&url).await.unwrap());
    Caller {
        router,
        _folder: Arc::new(folder),
    }
}

/// A stock API of its own.
pub async fn stock_api() -> Caller {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::file(folder.path(), "stock.db");
    let router = stock::api(StockStore::open(&url).await.unwrap());
    Caller {
        router,
        _folder: Arc::new(folder),
    }
}

impl Caller {
    async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let kind = response.headers().get("content-type").cloned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(
                kind.unwrap(),
                "application/problem+json",
                "{status} {body:?}"
            );
        }
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        header: Option<(&str, &str)>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        self.ask(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Status and body of the answer.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Status and body of the answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send("POST", path, body, None).await
    }

    /// Status and body of the answer.
    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> (StatusCode, Value) {
        self.post_with_header(path, body, ("idempotency-key", key))
            .await
    }

    /// Status and body of the answer.
    pub async fn post_with_header(
        &self,
        path: &str,
        body: &Value,
        header: (&str, &str),
    ) -> (StatusCode, Value) {
        self.send("POST", path, body, Some(header)).await
    }

    /// Status and body of the answer.
    pub async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send("PUT", path, body, None).await
    }
}

/// Waits for a condition.
pub async fn eventually(condition: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < end, "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sees that the document in the repository is that of the API.
pub fn is_kept(file: &str, document: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("openapi")
        .join(file);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
    assert!(
        kept == *document,
        "{file} is out of date: `make generate` writes it"
    );
}
