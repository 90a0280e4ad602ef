//! The order API as its callers see it, on a database in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use axum::http::StatusCode;
use serde_json::{Value, json};
use support::{Caller, order_api};

const ID: &str = "0192f0c1-2d3e-7f00-8000-0000000000";

/// Orders with ids that end in these two digits.
async fn registered(api: &Caller, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for index in 0..count {
        let id = format!("{ID}{index:02}");
        let body = json!({
            "order_id": id, "customer_id": "CUST-0001", "wood_type": "oak", "quantity": 3,
            "timestamp": "2026-11-21T10:00:00.123Z", "padding": "xxx",
        });
        let (status, answer) = api.post("/orders", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        ids.push(id);
    }
    ids
}

fn ids(answer: &Value) -> Vec<&str> {
    let orders = answer["orders"].as_array().unwrap();
    orders
        .iter()
        .map(|order| order["order_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_order_is_registered_once() {
    let api = order_api().await;
    let body = json!({
        "order_id": format!("{ID}00"), "customer_id": "CUST-0001", "wood_type": "elm", "quantity": 3,
        "timestamp": "2026-11-21T10:00:00.123Z",
    });
    let (status, first) = api.post("/orders", &body).await;
    assert_eq!(
        (status, &first["status"]),
        (StatusCode::CREATED, &json!("registered"))
    );
    assert_eq!(
        (&first["wood_type"], &first["attempts"]),
        (&json!("elm"), &json!(0))
    );
    let (status, second) = api.post("/orders", &body).await;
    assert_eq!((status, second), (StatusCode::OK, first.clone()));
    let mut other = body.clone();
    other["quantity"] = json!(4);
    let (status, problem) = api.post("/orders", &other).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("another order")
    );
    let (status, got) = api.get(&format!("/orders/{ID}00")).await;
    assert_eq!((status, got), (StatusCode::OK, first));
    assert_eq!(
        api.get(&format!("/orders/{ID}99")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field() {
    let api = order_api().await;
    let good = json!({
        "order_id": format!("{ID}00"), "customer_id": "CUST-0001", "wood_type": "elm", "quantity": 3,
        "timestamp": "2026-11-21T10:00:00Z",
    });
    for (field, value, says) in [
        ("order_id", json!("one"), "order_id"),
        (
            "customer_id",
            json!(""),
            "customer_id has 0 characters; it may have 1 to 253",
        ),
        ("wood_type", json!("teak"), "wood_type"),
        (
            "quantity",
            json!(0),
            "quantity is 0; it may be 1 to 1000000",
        ),
        ("quantity", json!("3"), "quantity"),
        ("timestamp", json!("yesterday"), "timestamp"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let (status, problem) = api.post("/orders", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
    }
    for (path, says) in [
        ("/orders?limit=0", "limit is 0; it may be 1 to 10000"),
        ("/orders?status=lost", "lost"),
        ("/orders?colour=red", "colour"),
        ("/orders?after=one", "UUID"),
        ("/orders/one", "UUID"),
    ] {
        let (status, problem) = api.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{path}: {problem}"
        );
    }
    assert_eq!(api.get("/order").await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        api.put("/orders", &good).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn pages_show_every_order_of_a_status_once() {
    let api = order_api().await;
    let all = registered(&api, 5).await;
    let (_, page) = api.get("/orders?status=registered&limit=2").await;
    assert_eq!(ids(&page), all[..2]);
    let mut seen: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
    let mut next = page["next"].as_str().map(str::to_owned);
    while let Some(after) = next {
        let (_, page) = api
            .get(&format!("/orders?status=registered&limit=2&after={after}"))
            .await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, all);
    let (_, none) = api.get("/orders?status=failed").await;
    assert_eq!(none, json!({"orders": []}));
}

#[tokio::test]
async fn a_claim_is_of_one_worker_and_ends_with_its_lease() {
    let api = order_api().await;
    let all = registered(&api, 3).await;
    let claim = |worker: &str, limit: i64, lease: &str| json!({"worker": worker, "limit": limit, "lease": lease});
    let (status, first) = api.post("/orders/claim", &claim("a", 2, "1s")).await;
    assert_eq!(
        (status, ids(&first)),
        (StatusCode::OK, vec![all[0].as_str(), &all[1]])
    );
    assert_eq!(first["orders"][0]["status"], "processing");
    assert_eq!(
        (
            &first["orders"][0]["worker"],
            &first["orders"][0]["attempts"]
        ),
        (&json!("a"), &json!(1))
    );
    let (_, second) = api.post("/orders/claim", &claim("b", 9, "1m")).await;
    assert_eq!(ids(&second), [&all[2]]);

    // The lease of the first is over.
    let path = format!("/orders/{}", all[0]);
    support::eventually(async || api.get(&path).await.1["status"] == "registered").await;
    let (_, third) = api.post("/orders/claim", &claim("b", 9, "1m")).await;
    assert_eq!(ids(&third), [&all[0], &all[1]]);
    assert_eq!(third["orders"][0]["attempts"], 2);

    // What the first worker knows is old.
    let (status, problem) = api
        .put(
            &format!("{path}/status"),
            &json!({"status": "failed", "attempt": 1}),
        )
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("claimed 2 times"),
        "{problem}"
    );
    let done = json!({"status": "processed", "attempt": 2});
    for _ in 0..2 {
        let (status, order) = api.put(&format!("{path}/status"), &done).await;
        assert_eq!(
            (status, &order["status"]),
            (StatusCode::OK, &json!("processed"))
        );
        assert_eq!(order.get("worker"), None);
    }
}

#[tokio::test]
async fn a_status_follows_the_state_machine() {
    let api = order_api().await;
    let all = registered(&api, 1).await;
    let path = format!("/orders/{}/status", all[0]);
    for (status, expected) in [
        ("processed", StatusCode::CONFLICT),
        ("failed", StatusCode::CONFLICT),
        ("registered", StatusCode::OK),
        ("processing", StatusCode::OK),
        ("registered", StatusCode::OK),
        ("processing", StatusCode::OK),
        ("failed", StatusCode::OK),
        ("processed", StatusCode::CONFLICT),
        ("registered", StatusCode::OK),
        ("processing", StatusCode::OK),
        ("processed", StatusCode::OK),
        ("registered", StatusCode::CONFLICT),
        ("lost", StatusCode::BAD_REQUEST),
    ] {
        let (found, answer) = api.put(&path, &json!({"status": status})).await;
        assert_eq!(found, expected, "{status}: {answer}");
    }
    let unknown = format!("/orders/{ID}99/status");
    assert_eq!(
        api.put(&unknown, &json!({"status": "processing"})).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn workers_that_claim_at_once_share_the_orders() {
    let api = order_api().await;
    let all = registered(&api, 40).await;
    let claims = (0..8).map(|worker| {
        let api = api.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let body = json!({"worker": format!("worker-{worker}"), "limit": 3, "lease": "1m"});
                let (_, claimed) = api.post("/orders/claim", &body).await;
                if ids(&claimed).is_empty() {
                    return mine;
                }
                mine.extend(ids(&claimed).into_iter().map(str::to_owned));
            }
        })
    });
    let mut claimed = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        claimed.extend(claim.await.unwrap());
    }
    claimed.sort_unstable();
    assert_eq!(claimed, all);
}

#[tokio::test]
async fn the_document_and_the_health_are_there() {
    let api = order_api().await;
    let (status, document) = api.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        document["paths"].as_object().unwrap().len(),
        4,
        "{document}"
    );
    assert_eq!(api.get("/healthz").await.0, StatusCode::OK);
    support::is_kept("order.json", &document);
}
