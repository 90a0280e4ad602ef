//! The task `OrderManagement`, against both APIs as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_backend::order::model::OrderStatus::{Failed, Processed, Processing, Registered};
use ordermill_config::{BackendRole, StateReport};
use ordermill_events::wood::WoodType::{Elm, Oak};
use ordermill_runtime::WorkloadEnd;
use serde_json::{Value, json};
use support::{Mood, Shop, Worker, eventually};

fn observed(state: &StateReport) -> (i64, i64, i64, i64) {
    let of = |count: Option<i64>| count.unwrap();
    let observed = &state.observed;
    (
        of(observed.events),
        of(observed.injected),
        of(observed.failed),
        of(observed.retried),
    )
}

/// An interval that is over when the test is.
fn once(mut spec: Value) -> Value {
    spec["interval"] = json!("1h");
    spec
}

#[tokio::test]
async fn one_run_moves_every_order_however_many_batches_that_takes() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 300).await;
    shop.order(Oak, 0..105).await;
    let worker = shop.worker(&once(json!({"batchSize": 10})));
    shop.until(Processed, 105).await;
    assert_eq!(shop.stock_of(Oak).await, 300 - 2 * 105);
    worker
        .until("its numbers", |state| observed(state) == (105, 0, 0, 0))
        .await;
    // One claim of each batch, the last of which is short, and one change of each order.
    assert_eq!(shop.order_requests(), 11 + 105);
    assert_eq!(worker.stop().await, WorkloadEnd::Stopped);
}

#[tokio::test]
async fn what_there_is_no_wood_for_fails_and_takes_none() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 5).await;
    shop.order(Oak, 0..4).await;
    shop.order(Elm, 4..6).await;
    let worker = shop.worker(&once(json!({})));
    shop.until(Failed, 4).await;
    assert_eq!(shop.count(Processed).await, 2);
    assert_eq!(shop.stock_of(Oak).await, 1);
    worker
        .until("its numbers", |state| observed(state) == (6, 0, 4, 0))
        .await;
}

#[tokio::test]
async fn a_repetition_is_allowed_so_often_and_waits_for_another_run() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 1).await;
    shop.order(Oak, 0..20).await;
    let worker = shop.worker(&json!({"interval": "1h", "batchSize": 5, "maxRetries": 2}));
    worker
        .until("the first run", |state| observed(state) == (0, 0, 20, 20))
        .await;
    // Each was claimed once, although full batches came after it was refused.
    for number in 0..20 {
        let order = shop.order_of(number).await;
        assert_eq!((order.status, order.attempts), (Registered, 1));
    }
    shop.deliver(Oak, 9).await;
    worker.edit(&json!({"interval": "50ms"})).await;
    shop.until(Failed, 15).await;
    assert_eq!(shop.count(Processed).await, 5);
    assert_eq!(shop.stock_of(Oak).await, 0);
    for number in 0..20 {
        let order = shop.order_of(number).await;
        let attempts = if order.status == Failed { 3 } else { 2 };
        assert_eq!(order.attempts, attempts, "{order:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_taken_is_asked_for_again_and_never_failed() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 10).await;
    shop.order(Oak, 0..5).await;
    shop.stock_api(Mood::LosesAnswers);
    let worker = shop.worker(&json!({"interval": "100ms"}));
    worker
        .until("some repetitions", |state| observed(state).3 >= 10)
        .await;
    assert_eq!(shop.stock_of(Oak).await, 0);
    assert_eq!(shop.count(Failed).await + shop.count(Processed).await, 0);
    shop.stock_api(Mood::Fine);
    shop.until(Processed, 5).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
    worker
        .until("its numbers", |state| observed(state).0 == 5)
        .await;
}

#[tokio::test]
async fn an_order_whose_status_is_not_known_is_moved_after_its_lease() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 10).await;
    shop.order(Oak, 0..5).await;
    // Also the change to failed draws, so that at this rate nothing moves.
    let spec = |error_rate: f64| json!({"interval": "100ms", "errorRate": error_rate, "orderManagement": {"lease": "1s"}});
    let worker = shop.worker(&spec(1.0));
    worker
        .until("two attempts at each", |state| observed(state).1 >= 10)
        .await;
    let state = worker.state.report();
    assert_eq!((observed(&state).0, observed(&state).2), (0, 0));
    assert_eq!(state.faults.keys().collect::<Vec<_>>(), ["errorRate"]);
    assert_eq!(shop.stock_of(Oak).await, 10);
    worker.edit(&spec(0.0)).await;
    shop.until(Processed, 5).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
}

#[tokio::test]
async fn a_failed_decrease_fails_the_order_and_takes_nothing_later() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 1000).await;
    shop.order(Oak, 0..100).await;
    let worker = shop.worker(
        &json!({"interval": "100ms", "errorRate": 0.5, "orderManagement": {"lease": "1s"}}),
    );
    eventually("every order settled", async || {
        shop.count(Processed).await + shop.count(Failed).await == 100
    })
    .await;
    let processed = i64::try_from(shop.count(Processed).await).unwrap();
    assert!(processed > 0 && processed < 100, "{processed}");
    assert_eq!(shop.stock_of(Oak).await, 1000 - 2 * processed);
    worker
        .until("its numbers", |state| observed(state).0 == 100)
        .await;
}

#[tokio::test]
async fn a_paused_worker_claims_nothing() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 10).await;
    let worker = shop.worker(&json!({"interval": "10ms", "paused": true}));
    shop.order(Oak, 0..5).await;
    worker
        .until("paused", |state| state.state == "Paused")
        .await;
    assert_eq!(shop.order_requests(), 0);
    worker.edit(&json!({"interval": "10ms"})).await;
    shop.until(Processed, 5).await;
    worker
        .edit(&json!({"interval": "10ms", "paused": true}))
        .await;
    // What was under way when the edit came is over.
    eventually("no more requests", async || {
        let before = shop.order_requests();
        tokio::time::sleep(Duration::from_millis(200)).await;
        shop.order_requests() == before
    })
    .await;
    shop.order(Oak, 5..6).await;
    assert_eq!(shop.order_of(5).await.status, Registered);
}

#[tokio::test]
async fn at_its_end_it_finishes_what_is_begun_and_gives_the_rest_back() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 100).await;
    shop.order(Oak, 0..30).await;
    shop.stock_api(Mood::Waits);
    let worker = shop.worker(&once(json!({"batchSize": 30})));
    eventually("eight orders in work", async || shop.stock_requests() == 8).await;
    assert_eq!(shop.count(Processing).await, 30);
    worker.cancelled.cancel();
    shop.stock_api(Mood::Fine);
    let state = worker.state.clone();
    assert_eq!(worker.stop().await, WorkloadEnd::Stopped);
    assert_eq!(shop.count(Processed).await, 8);
    assert_eq!(shop.count(Registered).await, 22);
    assert_eq!(shop.stock_of(Oak).await, 100 - 16);
    let report = state.report();
    assert_eq!(observed(&report), (8, 0, 0, 0));
    assert_eq!(report.state, "Stopped");
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_told_and_waited_for() {
    // Nobody listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let backends: BTreeMap<_, _> = [BackendRole::Order, BackendRole::Stock]
        .map(|role| (role, url.clone()))
        .into();
    let worker = Worker::start(backends, &json!({"interval": "100ms"}));
    worker
        .until("the trouble", |state| {
            state.state == "Waiting" && state.reason.as_deref() == Some("BackendUnreachable")
        })
        .await;
    assert_eq!(worker.stop().await, WorkloadEnd::Stopped);
}

#[tokio::test]
async fn what_answers_in_an_apis_place_is_told_and_left_again() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 20).await;
    shop.order(Oak, 0..10).await;
    shop.order_api(Mood::IsAnother);
    shop.stock_api(Mood::IsAnother);
    let worker = shop.worker(&json!({"interval": "100ms", "orderManagement": {"lease": "1s"}}));
    let told = |state: &StateReport| {
        let message = state.message.as_deref().unwrap_or_default();
        state.reason.as_deref() == Some("BackendUnreachable")
            && message.contains("something other than the API answers")
            && message.contains("404 Not Found, no media type instead of application/problem+json")
    };
    worker.until("the trouble", told).await;
    // The claim is answered by the API, and the decrease is not: no order fails as if its wood were unknown.
    shop.order_api(Mood::Fine);
    worker
        .until("claims that come to nothing", |state| {
            observed(state).2 >= 20
        })
        .await;
    assert_eq!(shop.count(Failed).await, 0);
    shop.stock_api(Mood::Fine);
    shop.until(Processed, 10).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
    worker
        .until("the end of the trouble", |state| state.reason.is_none())
        .await;
}

#[tokio::test]
async fn an_order_api_that_loses_answers_loses_no_order() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 20).await;
    shop.order(Oak, 0..10).await;
    shop.order_api(Mood::LosesAnswers);
    let worker = shop.worker(&json!({"interval": "100ms", "orderManagement": {"lease": "1s"}}));
    // They were claimed, and nobody knows.
    shop.until(Processing, 10).await;
    shop.order_api(Mood::Fine);
    shop.until(Processed, 10).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
    worker
        .until("its numbers", |state| observed(state).0 == 10)
        .await;
}

#[tokio::test]
async fn a_lease_that_is_over_leaves_the_order_to_the_next() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 2).await;
    shop.order(Oak, 0..1).await;
    shop.stock_api(Mood::Waits);
    let spec = json!({"interval": "1h", "orderManagement": {"lease": "1s"}});
    let slow = shop.worker(&spec);
    eventually("the order in work", async || shop.stock_requests() == 1).await;
    shop.until(Registered, 1).await;
    let next = shop.worker(&spec);
    eventually("the order in work again", async || {
        shop.stock_requests() == 2
    })
    .await;
    shop.stock_api(Mood::Fine);
    shop.until(Processed, 1).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
    assert_eq!(shop.order_of(0).await.attempts, 2);
    next.until("its numbers", |state| observed(state) == (1, 0, 0, 0))
        .await;
    slow.until("its numbers", |state| observed(state) == (0, 0, 1, 0))
        .await;
}

#[tokio::test]
async fn each_fault_hits_calls_and_is_marked_with_its_name() {
    for (fault, declared) in [
        ("httpError", json!({"rate": 1})),
        ("unavailable", json!({"rate": 1, "duration": "1h"})),
    ] {
        let shop = Shop::open().await;
        shop.deliver(Oak, 2).await;
        shop.order(Oak, 0..1).await;
        let faults = json!({fault: declared});
        let worker = shop.worker(&json!({"interval": "50ms", "faults": faults}));
        worker
            .until("some faults", |state| state.faults.get(fault) >= Some(&3))
            .await;
        let state = worker.state.report();
        assert_eq!(state.faults.len(), 1, "{state:?}");
        assert_eq!((observed(&state).0, observed(&state).2), (0, 0));
        assert_eq!((shop.order_requests(), shop.stock_requests()), (0, 0));
        worker.edit(&json!({"interval": "50ms"})).await;
        shop.until(Processed, 1).await;
    }
}

#[tokio::test]
async fn a_late_call_is_made_and_marked() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 6).await;
    shop.order(Oak, 0..3).await;
    let latency = json!({"latency": {"rate": 1, "duration": "300ms"}});
    let started = std::time::Instant::now();
    let worker = shop.worker(&once(json!({"faults": latency})));
    shop.until(Processed, 3).await;
    // The claim, the decrease and the change, one after the other.
    assert!(started.elapsed() >= Duration::from_millis(900));
    worker
        .until("its numbers", |state| {
            observed(state).0 == 3 && state.faults.get("latency") == Some(&4)
        })
        .await;
}

#[tokio::test]
async fn a_claim_that_comes_late_begins_its_lease_then() {
    let shop = Shop::open().await;
    shop.deliver(Oak, 2).await;
    shop.order(Oak, 0..1).await;
    let lease = json!({"lease": "1s"});
    let latency = json!({"latency": {"rate": 1, "duration": "1200ms"}});
    let worker =
        shop.worker(&json!({"interval": "100ms", "orderManagement": &lease, "faults": latency}));
    // The order is begun, and too slow to be moved.
    eventually("its wood is taken", async || shop.stock_of(Oak).await == 0).await;
    worker
        .until("its lease is over", |state| observed(state).1 >= 3)
        .await;
    assert_eq!(shop.count(Processed).await, 0);
    worker
        .edit(&json!({"interval": "100ms", "orderManagement": &lease}))
        .await;
    shop.until(Processed, 1).await;
    assert_eq!(shop.stock_of(Oak).await, 0);
}

#[tokio::test]
async fn a_call_that_hangs_fails_at_its_deadline() {
    let shop = Shop::open().await;
    let started = std::time::Instant::now();
    let worker = shop.worker(&once(json!({"faults": {"hang": {"rate": 1}}})));
    worker
        .until("the fault", |state| state.faults.get("hang") == Some(&1))
        .await;
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}");
    assert_eq!(shop.order_requests(), 0);
    // It is no reason to end late.
    worker
        .edit(&json!({"interval": "1ms", "faults": {"hang": {"rate": 1}}}))
        .await;
    let stopping = std::time::Instant::now();
    assert_eq!(worker.stop().await, WorkloadEnd::Stopped);
    assert!(stopping.elapsed() < Duration::from_secs(4));
}
