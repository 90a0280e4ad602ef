//! Several of them on one PostgreSQL.

use std::collections::BTreeSet;

use ordermill_tests::postgres::Postgres;
use ordermill_tests::{TestResult, eventually, http};
use serde_json::json;

use super::{ids, order};
use crate::support::SOON;
use crate::support::backend::Backend;

/// Claims through one API until nothing is left.
async fn claim_all(url: String, worker: String) -> Vec<String> {
    let mut mine = Vec::new();
    loop {
        let body = json!({"worker": worker, "limit": 3, "lease": "1h"});
        let answer = http::post_json(&format!("{url}/orders/claim"), &body)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let claimed = ids(&answer.json().unwrap());
        if claimed.is_empty() {
            return mine;
        }
        mine.extend(claimed);
    }
}

#[tokio::test]
async fn replicas_share_the_orders_and_a_dead_workers_come_back() -> TestResult {
    const ORDERS: usize = 60;
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    // At once, so that both want to make the tables.
    let (one, other) = tokio::join!(
        Backend::start("order", &url, &[]),
        Backend::start("order", &url, &[])
    );
    let (mut one, mut other) = (one?, other?);
    for number in 0..ORDERS {
        let (api, again) = if number % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        assert_eq!(api.post("/orders", &order(number)).await?.0, 201);
        assert_eq!(again.post("/orders", &order(number)).await?.0, 200);
    }
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let url = if worker % 2 == 0 {
                &one.url
            } else {
                &other.url
            };
            tokio::spawn(claim_all(url.clone(), format!("worker-{worker}")))
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await?);
    }
    assert_eq!(claimed.len(), ORDERS);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), ORDERS);

    // Those of a worker that is heard of no more are there again after its lease.
    for number in ORDERS..ORDERS + 5 {
        assert_eq!(one.post("/orders", &order(number)).await?.0, 201);
    }
    let claim = json!({"worker": "dead", "limit": 5, "lease": "1s"});
    let (_, page) = one.post("/orders/claim", &claim).await?;
    let dead = ids(&page);
    assert_eq!(dead.len(), 5);
    one.process.kill()?;
    let came_back = eventually(SOON, "orders that come back", async || {
        let (_, page) = other.get("/orders?status=registered").await.ok()?;
        (ids(&page).len() == 5).then(|| ids(&page))
    })
    .await;
    let mut dead = dead;
    dead.sort_unstable();
    assert_eq!(came_back, dead);
    other.stop().await
}

#[tokio::test]
async fn stock_never_goes_below_nothing_whoever_asks() -> TestResult {
    let postgres = Postgres::start().await?;
    let mut one = Backend::start("stock", &postgres.url(), &[]).await?;
    let mut other = Backend::start("stock", &postgres.url(), &[]).await?;
    let delivery = json!({
        "delivery_id": "0192f0c1-2d3e-7f00-8000-000000000001", "supplier_id": "SUPP-001",
        "wood_type": "pine", "quantity": 50, "timestamp": "2026-11-21T10:00:00Z",
    });
    assert_eq!(one.post("/stocks", &delivery).await?.0, 201);
    assert_eq!(other.post("/stocks", &delivery).await?.0, 200);
    let takers: Vec<_> = (0..40)
        .map(|taker| {
            let url = if taker % 2 == 0 { &one.url } else { &other.url };
            let url = format!("{url}/stocks/decrease");
            let body = json!({"wood_type": "pine", "quantity": 2});
            tokio::spawn(async move { http::post_json(&url, &body).await.unwrap().status })
        })
        .collect();
    let mut taken = 0;
    for taker in takers {
        match taker.await? {
            200 => taken += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!(taken, 25);
    assert_eq!(one.get("/stocks/pine").await?.1["quantity"], 0);
    one.stop().await?;
    other.stop().await
}
