//! The order API as its callers see it, on a database in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use axum::http::StatusCode;
use jiff::Timestamp;
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
async fn an_order_keeps_the_trace_that_it_came_with() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let api = order_api().await;
    for (index, (header, kept)) in [
        (TRACE, json!(TRACE)),
        // What is no trace is ignored.
        ("00-none-none-01", json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{ID}{index:02}");
        let body = json!({
            "order_id": id, "customer_id": "CUST-0001", "wood_type": "elm", "quantity": 3,
            "timestamp": "2026-11-21T10:00:00Z",
        });
        let header = ("traceparent", header);
        let (status, order) = api.post_with_header("/orders", &body, header).await;
        assert_eq!(
            (status, &order["traceparent"]),
            (StatusCode::CREATED, &kept)
        );
        let (_, known) = api.post("/orders", &body).await;
        assert_eq!(known["traceparent"], kept);
    }
    let claim = json!({"worker": "a", "limit": 1, "lease": "1m"});
    let (_, claimed) = api.post("/orders/claim", &claim).await;
    assert_eq!(claimed["orders"][0]["traceparent"], TRACE);
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
        ("quantity", json!(2.5), "expected a whole number"),
        ("quantity", json!(1e300), "expected a whole number"),
        ("customer_id", json!("a\0b"), "none of them a zero"),
        ("timestamp", json!("yesterday"), "timestamp"),
        (
            "timestamp",
            json!("0000-01-01T00:00:00+01:00"),
            "timestamp is before the year 0",
        ),
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
        (
            "/orders?status=lost",
            "use registered, processing, processed or failed",
        ),
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
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    let api = order_api().await;
    let body = json!({
        "order_id": format!("{ID}00"), "customer_id": "CUST-0001", "wood_type": "elm", "quantity": 3.0,
        "timestamp": "2026-11-21T10:00:00Z",
    });
    let (status, order) = api.post("/orders", &body).await;
    assert_eq!(
        (status, &order["quantity"]),
        (StatusCode::CREATED, &json!(3))
    );
    let claim = json!({"worker": "a", "limit": 1.0, "lease": "1m"});
    let (_, claimed) = api.post("/orders/claim", &claim).await;
    assert_eq!(ids(&claimed).len(), 1);
    let path = format!("/orders/{ID}00/status");
    for (attempt, expected) in [
        (json!(0), StatusCode::BAD_REQUEST),
        (json!(1.5), StatusCode::BAD_REQUEST),
        (json!(2), StatusCode::CONFLICT),
        (json!(1.0), StatusCode::OK),
    ] {
        let change = json!({"status": "processed", "attempt": attempt});
        assert_eq!(api.put(&path, &change).await.0, expected, "{change}");
    }
}

#[tokio::test]
async fn a_lease_has_bounds_whatever_is_asked_for() {
    let api = order_api().await;
    let _registered = registered(&api, 3).await;
    for (asked, seconds) in [("0s", 1), ("1h30m", 5400), ("99999h", 87_600 * 3600)] {
        let claim = json!({"worker": "a", "limit": 1, "lease": asked});
        let (status, claimed) = api.post("/orders/claim", &claim).await;
        assert_eq!(status, StatusCode::OK, "{claimed}");
        let time = |field: &str| -> Timestamp {
            let text = claimed["orders"][0][field].as_str().unwrap();
            text.parse().unwrap()
        };
        let lasts = time("lease_until").duration_since(time("updated_at"));
        assert_eq!(lasts.as_secs(), seconds, "{asked}");
    }
    for wrong in ["", "5", "-1s", "1 h"] {
        let claim = json!({"worker": "a", "lease": wrong});
        let (status, problem) = api.post("/orders/claim", &claim).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {problem}");
    }
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
    let (found, answer) = api.put(&path, &json!({"status": {"lost": 1}})).await;
    assert_eq!(found, StatusCode::BAD_REQUEST);
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        detail.contains("status: invalid type: map, expected a string"),
        "{detail}"
    );
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
