//! The Lease against an API server that fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fixtures::api_server::{Answer, ApiServer};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/mill/leases/ordermill-operator";

fn keeper(server: &ApiServer, me: &str) -> (Keeper, Leadership) {
    let leadership = Leadership::default();
    let client = server.client.clone();
    let name = "ordermill-operator";
    let keeper = Keeper::new(client, "mill", name, me.to_owned(), leadership.clone());
    (keeper, leadership)
}

fn holder(server: &ApiServer) -> Value {
    server.object(LEASE).unwrap()["spec"]["holderIdentity"].clone()
}

/// A server that fails while `broken`, in ways that take turns.
fn failing(broken: &Arc<AtomicBool>) -> ApiServer {
    let broken = Arc::clone(broken);
    let mut turn = 0;
    ApiServer::start(move |_| {
        turn += 1;
        let details = json!({});
        broken.load(Ordering::SeqCst).then(|| match turn % 4 {
            0 => Answer::failure(500, "InternalError", &details),
            1 => Answer::failure(429, "TooManyRequests", &details),
            2 => Answer::Hang,
            _ => Answer::failure(503, "ServiceUnavailable", &details),
        })
    })
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_stops_before_another_may_begin() {
    let broken = Arc::new(AtomicBool::new(false));
    let server = failing(&broken);
    let (mut keeper, leadership) = keeper(&server, "first");
    assert!(keeper.acquire(&CancellationToken::new()).await);
    assert_eq!(holder(&server), "first");
    broken.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let cut = keeper.keep(&CancellationToken::new()).await.unwrap_err();
    assert!(matches!(cut, LeadershipError::Cut { .. }), "{cut:?}");
    assert!(!leadership.holds_for(Duration::ZERO));
    assert!(begun.elapsed() < LEASE_DURATION, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_costs_nothing() {
    let broken = Arc::new(AtomicBool::new(false));
    let server = failing(&broken);
    let (mut keeper, leadership) = keeper(&server, "first");
    assert!(keeper.acquire(&CancellationToken::new()).await);
    let cancelled = CancellationToken::new();
    let weather = async {
        for _ in 0..5 {
            broken.store(true, Ordering::SeqCst);
            tokio::time::sleep(RENEW_EVERY).await;
            broken.store(false, Ordering::SeqCst);
            tokio::time::sleep(RENEW_EVERY * 3).await;
            assert!(leadership.holds_for(Duration::from_secs(1)));
        }
        cancelled.cancel();
    };
    let (kept, ()) = tokio::join!(keeper.keep(&cancelled), weather);
    assert!(kept.is_ok(), "{kept:?}");
    assert_eq!(holder(&server), Value::Null, "it was given back");
    assert!(!leadership.holds_for(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_write_at_once_the_one_that_is_refused_stands_by() {
    let conflicts = Mutex::new(1);
    let server = ApiServer::start(move |seen| {
        let mut left = conflicts.lock().unwrap();
        (seen.is_write() && *left > 0).then(|| {
            *left -= 1;
            Answer::failure(409, "AlreadyExists", &json!({}))
        })
    });
    let (mut keeper, leadership) = keeper(&server, "second");
    let begun = Instant::now();
    assert!(keeper.acquire(&CancellationToken::new()).await);
    assert!(begun.elapsed() >= LOOK_EVERY, "not at once");
    assert!(leadership.holds_for(Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leaders_lease_is_taken_when_it_has_run_out_and_not_before() {
    let server = ApiServer::start(|_| None);
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "ordermill-operator", "namespace": "mill", "resourceVersion": "7"},
        // Its time says that it ran out long ago, by the clock of another machine.
        "spec": {"holderIdentity": "dead", "leaseDurationSeconds": LEASE_DURATION.as_secs(), "renewTime": "2020-01-01T00:00:00.000000Z"},
    }))
    .unwrap();
    server.put(LEASE, serde_json::to_value(lease).unwrap());
    let (mut keeper, _) = keeper(&server, "next");
    let begun = Instant::now();
    assert!(keeper.acquire(&CancellationToken::new()).await);
    let took = begun.elapsed();
    assert!(took >= LEASE_DURATION, "{took:?}");
    assert!(took <= LEASE_DURATION + RENEW_EVERY * 2, "{took:?}");
    assert_eq!(holder(&server), "next");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_took_ends_the_lead() {
    let server = ApiServer::start(|_| None);
    let (mut keeper, leadership) = keeper(&server, "first");
    assert!(keeper.acquire(&CancellationToken::new()).await);
    let mut lease = server.object(LEASE).unwrap();
    lease["spec"]["holderIdentity"] = json!("usurper");
    server.put(LEASE, lease);
    let lost = keeper.keep(&CancellationToken::new()).await.unwrap_err();
    assert!(lost.to_string().contains("usurper"), "{lost}");
    assert!(!leadership.holds_for(Duration::ZERO));
}
