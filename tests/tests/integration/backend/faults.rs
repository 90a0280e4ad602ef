//! What is wrong with them on purpose: marked, counted apart, and live.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ordermill_tests::{Scratch, TestResult, eventually, http};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::SOON;
use crate::support::backend::{Backend, sqlite};
use crate::support::state::State;

const CALM: &str = "{app: Stock, port: 0}";

/// What is wrong with a stock API.
fn with(faults: &str) -> String {
    format!("{{app: Stock, port: 0, faults: {{{faults}}}}}")
}

/// Sees that so many requests met a fault, and none met another or failed for real.
fn assert_counted(state: &State, fault: &str, count: u64) {
    let counted: Vec<_> = state
        .faults
        .iter()
        .filter(|(_, count)| **count > 0)
        .collect();
    assert_eq!(counted, [(&fault.to_owned(), &count)], "{state:?}");
    assert_eq!((state.injected(), state.failed()), (count, 0), "{state:?}");
}

#[tokio::test]
async fn what_fails_on_purpose_says_so_and_is_counted_apart() -> TestResult {
    let folder = Scratch::new("backend")?;
    let database = sqlite(&folder);
    let mut api = Backend::start("stock", &database, &[("ERROR_RATE", "1")]).await?;
    for _ in 0..5 {
        let (status, problem) = api.get("/stocks").await?;
        assert_eq!((status, &problem["injected"]), (500, &json!("errorRate")));
        assert_eq!(problem["detail"], "injected by errorRate");
    }
    assert_eq!(
        http::get(&format!("{}/healthz", api.url)).await?.status,
        200
    );
    let state = api.state().await?;
    assert_eq!(
        (state.events(), state.injected(), state.failed()),
        (5, 5, 0),
        "{state:?}"
    );
    api.stop().await?;

    // What was stored is there at the next start, and an honest one fails nothing.
    let mut api = Backend::start("stock", &database, &[]).await?;
    assert_eq!(api.get("/stocks").await?, (200, json!({"stocks": []})));
    api.stop().await
}

#[tokio::test]
async fn an_error_is_turned_on_and_off_while_it_runs() -> TestResult {
    const ON: &str = "httpError: {rate: 1}";
    let folder = Scratch::new("backend")?;
    let mut api = Backend::configured(CALM, &sqlite(&folder)).await?;
    let empty = (200, json!({"stocks": []}));
    for round in 1..=2 {
        assert_eq!(api.get("/stocks").await?, empty);
        api.retune(&with(ON)).await?;
        for _ in 0..3 {
            let (status, problem) = api.get("/stocks").await?;
            assert_eq!((status, &problem["injected"]), (500, &json!("httpError")));
        }
        assert_counted(&api.state().await?, "httpError", 3 * round);
        api.retune(CALM).await?;
    }
    assert_eq!(api.get("/stocks").await?, empty);
    let state = api.state().await?;
    assert_counted(&state, "httpError", 6);
    assert_eq!(state.events(), 9);
    api.stop().await
}

#[tokio::test]
async fn a_late_answer_is_right_and_marked() -> TestResult {
    let folder = Scratch::new("backend")?;
    let mut api = Backend::configured(CALM, &sqlite(&folder)).await?;
    let delivery = json!({
        "delivery_id": "0192f0c1-2d3e-7f00-8000-000000000001", "supplier_id": "SUPP-001",
        "wood_type": "pine", "quantity": 50, "timestamp": "2026-11-21T10:00:00Z",
    });
    assert_eq!(api.post("/stocks", &delivery).await?.0, 201);
    api.retune(&with("latency: {rate: 1, duration: 1500ms}"))
        .await?;
    let begin = Instant::now();
    let pine = (200, json!({"wood_type": "pine", "quantity": 50}));
    let late = http::get(&format!("{}/stocks/pine", api.url)).await?;
    assert_eq!((late.status, late.json()?), pine);
    assert_eq!(late.headers["ordermill-injected"], "latency");
    assert!(begin.elapsed() >= Duration::from_millis(1500));
    let told = "GET /stocks/pine answered with 200, on purpose: injected by latency";
    api.process.wait_for_line(SOON, told).await?;
    let state = api.state().await?;
    assert_counted(&state, "latency", 1);
    assert_eq!(state.events(), 2);
    api.retune(CALM).await?;
    assert_eq!(api.get("/stocks/pine").await?, pine);
    assert_counted(&api.state().await?, "latency", 1);
    api.stop().await
}

#[tokio::test]
async fn a_request_that_hangs_holds_nobody_else_up() -> TestResult {
    let folder = Scratch::new("backend")?;
    let mut api = Backend::configured(&with("hang: {rate: 1}"), &sqlite(&folder)).await?;
    let stocks = format!("{}/stocks", api.url);
    let hasty = timeout(Duration::from_secs(1), http::get(&stocks)).await;
    assert!(hasty.is_err(), "{hasty:?}");
    let patient = tokio::spawn(async move { http::get(&stocks).await });
    let state = api
        .wait_for("two that hang", |state| state.fault("hang") == 2)
        .await?;
    assert_counted(&state, "hang", 2);

    // What tells how it is never hangs, and all else is answered once the fault is gone.
    let health = http::get(&format!("{}/healthz", api.url)).await?;
    assert_eq!(health.status, 200);
    api.retune(CALM).await?;
    assert_eq!(api.get("/stocks").await?, (200, json!({"stocks": []})));
    assert!(!patient.is_finished());

    // It ends in good order though somebody still waits, and tells them why.
    api.stop().await?;
    let answer = patient.await??;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json::<serde_json::Value>()?["injected"], "hang");
    Ok(())
}

#[tokio::test]
async fn connections_are_refused_for_a_while_and_taken_again() -> TestResult {
    let folder = Scratch::new("backend")?;
    let mut api = Backend::configured(CALM, &sqlite(&folder)).await?;
    let address = api.url.trim_start_matches("http://").to_owned();
    assert_eq!(api.get("/stocks").await?.0, 200);
    let refused = json!("unavailable");
    let refusal = async || {
        eventually(SOON, "a connection that is refused", async || {
            let error = TcpStream::connect(&address).await.err()?;
            (error.kind() == ErrorKind::ConnectionRefused).then_some(())
        })
        .await;
    };

    api.retune(&with("unavailable: {rate: 1, duration: 3s}"))
        .await?;
    let begin = Instant::now();
    let (status, problem) = api.get("/stocks").await?;
    assert_eq!((status, &problem["injected"]), (503, &refused));
    refusal().await;
    eventually(SOON, "a connection", async || {
        TcpStream::connect(&address).await.ok()
    })
    .await;
    assert!(begin.elapsed() >= Duration::from_secs(3));

    api.retune(&with("unavailable: {rate: 1, duration: 10m}"))
        .await?;
    let (status, problem) = api.get("/stocks").await?;
    assert_eq!((status, &problem["injected"]), (503, &refused));
    refusal().await;
    api.retune(&with("unavailable: {rate: 1, duration: 2s}"))
        .await?;
    // What has begun ends with the edit that takes the fault away, and with no other.
    assert!(TcpStream::connect(&address).await.is_err());
    api.retune(CALM).await?;
    let answer = eventually(SOON, "an answer", async || api.get("/stocks").await.ok()).await;
    assert_eq!(answer, (200, json!({"stocks": []})));
    let state = api.state().await?;
    assert_counted(&state, "unavailable", 2);
    assert_eq!(state.events(), 4);
    api.stop().await
}
