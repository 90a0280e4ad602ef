//! The stock API as its callers see it, on a database in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use axum::http::StatusCode;
use serde_json::json;
use support::{Caller, stock_api};

async fn delivered(
    api: &Caller,
    number: usize,
    wood_type: &str,
    quantity: i64,
) -> (StatusCode, serde_json::Value) {
    let body = json!({
        "delivery_id": format!("0192f0c1-2d3e-7f00-8000-{number:012}"), "supplier_id": "SUPP-001",
        "wood_type": wood_type, "quantity": quantity, "timestamp": "2026-11-21T10:00:00Z",
    });
    api.post("/stocks", &body).await
}

#[tokio::test]
async fn a_delivery_is_added_once() {
    let api = stock_api().await;
    assert_eq!(api.get("/stocks/oak").await.0, StatusCode::NOT_FOUND);
    let ten = json!({"wood_type": "oak", "quantity": 10});
    assert_eq!(
        delivered(&api, 1, "oak", 10).await,
        (StatusCode::CREATED, ten.clone())
    );
    assert_eq!(delivered(&api, 1, "oak", 10).await, (StatusCode::OK, ten));
    assert_eq!(delivered(&api, 1, "oak", 11).await.0, StatusCode::CONFLICT);
    assert_eq!(delivered(&api, 1, "elm", 10).await.0, StatusCode::CONFLICT);
    let more = json!({"wood_type": "oak", "quantity": 15});
    assert_eq!(
        delivered(&api, 2, "oak", 5).await,
        (StatusCode::CREATED, more.clone())
    );
    assert_eq!(delivered(&api, 3, "birch", 1).await.0, StatusCode::CREATED);
    assert_eq!(api.get("/stocks/oak").await, (StatusCode::OK, more.clone()));
    let all = json!({"stocks": [{"wood_type": "birch", "quantity": 1}, more]});
    assert_eq!(api.get("/stocks").await, (StatusCode::OK, all));
}

#[tokio::test]
async fn wood_is_taken_once_for_a_key_and_never_more_than_there_is() {
    let api = stock_api().await;
    let take = |quantity: i64| json!({"wood_type": "oak", "quantity": quantity});
    let path = "/stocks/decrease";
    assert_eq!(api.post(path, &take(1)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(delivered(&api, 1, "oak", 10).await.0, StatusCode::CREATED);
    let seven = json!({"wood_type": "oak", "quantity": 7});
    assert_eq!(api.post(path, &take(3)).await, (StatusCode::OK, seven));
    let two = json!({"wood_type": "oak", "quantity": 2});
    for _ in 0..3 {
        assert_eq!(
            api.post_with_key(path, &take(5), "order-1").await,
            (StatusCode::OK, two.clone())
        );
    }
    assert_eq!(api.get("/stocks/oak").await.1, two);
    assert_eq!(
        api.post_with_key(path, &take(1), "order-1").await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    // What was refused is no use of the key.
    let (status, problem) = api.post_with_key(path, &take(3), "order-2").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["detail"], "3 of oak are wanted and 2 are there");
    assert_eq!(delivered(&api, 2, "oak", 4).await.0, StatusCode::CREATED);
    let three = json!({"wood_type": "oak", "quantity": 3});
    assert_eq!(
        api.post_with_key(path, &take(3), "order-2").await,
        (StatusCode::OK, three)
    );
}

#[tokio::test]
async fn what_a_claim_has_cancelled_only_a_later_one_takes() {
    let api = stock_api().await;
    assert_eq!(delivered(&api, 1, "oak", 10).await.0, StatusCode::CREATED);
    let take = async |attempt: Option<i64>| {
        let mut body = json!({"wood_type": "oak", "quantity": 4});
        if let Some(attempt) = attempt {
            body["attempt"] = json!(attempt);
        }
        api.post_with_key("/stocks/decrease", &body, "order-1")
            .await
            .0
    };
    let cancel = async |attempt: i64| {
        let body = json!({"attempt": attempt});
        api.post_with_key("/stocks/decrease/cancel", &body, "order-1")
            .await
            .0
    };
    assert_eq!(cancel(2).await, StatusCode::NO_CONTENT);
    // An earlier claim that cancels late takes nothing back.
    assert_eq!(cancel(1).await, StatusCode::NO_CONTENT);
    for late in [Some(1), Some(2), None] {
        assert_eq!(take(late).await, StatusCode::CONFLICT, "{late:?}");
    }
    assert_eq!(api.get("/stocks/oak").await.1["quantity"], 10);
    for _ in 0..2 {
        assert_eq!(take(Some(3)).await, StatusCode::OK);
    }
    assert_eq!(api.get("/stocks/oak").await.1["quantity"], 6);
    // What is taken is taken, whoever cancels or asks again.
    assert_eq!(cancel(4).await, StatusCode::CONFLICT);
    assert_eq!(take(Some(1)).await, StatusCode::OK);
    assert_eq!(api.get("/stocks/oak").await.1["quantity"], 6);

    let (path, body) = ("/stocks/decrease/cancel", json!({"attempt": 1}));
    let (status, problem) = api.post(path, &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["detail"], "the header Idempotency-Key is missing");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field() {
    let api = stock_api().await;
    for (body, says) in [
        (
            json!({"wood_type": "oak", "quantity": 0}),
            "quantity is 0; it may be 1 to 1000000",
        ),
        (json!({"wood_type": "oak"}), "quantity"),
        (
            json!({"wood_type": "teak", "quantity": 1}),
            "wood_type: \"teak\" is no kind of wood: use oak, maple, birch, elm or pine",
        ),
        (
            json!({"wood_type": {}, "quantity": 1}),
            "wood_type: invalid type: map, expected a string",
        ),
        (
            json!({"wood_type": "oak", "quantity": 1, "colour": "red"}),
            "colour",
        ),
    ] {
        let (status, problem) = api.post("/stocks/decrease", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
    }
    assert_eq!(
        delivered(&api, 1, "teak", 1).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        delivered(&api, 1, "oak", -1).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(api.get("/stocks/teak").await.0, StatusCode::NOT_FOUND);
    let five = json!({"wood_type": "oak", "quantity": 5});
    for key in ["", "order 1", "\u{fc}"] {
        let (status, problem) = api.post_with_key("/stocks/decrease", &five, key).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Idempotency-Key"), "{problem}");
    }
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    let api = stock_api().await;
    let delivery = json!({
        "delivery_id": "0192f0c1-2d3e-7f00-8000-000000000001", "supplier_id": "SUPP-001",
        "wood_type": "oak", "quantity": 10.0, "timestamp": "2026-11-21T10:00:00Z",
    });
    assert_eq!(api.post("/stocks", &delivery).await.0, StatusCode::CREATED);
    let take = json!({"wood_type": "oak", "quantity": 4.0, "attempt": 1.0});
    let six = json!({"wood_type": "oak", "quantity": 6});
    assert_eq!(
        api.post("/stocks/decrease", &take).await,
        (StatusCode::OK, six)
    );
}

#[tokio::test]
async fn many_at_once_take_what_is_there_and_no_more() {
    let api = stock_api().await;
    assert_eq!(delivered(&api, 1, "pine", 50).await.0, StatusCode::CREATED);
    let takers = (0..40).map(|order| {
        let api = api.clone();
        tokio::spawn(async move {
            let body = json!({"wood_type": "pine", "quantity": 2});
            // Each is asked for twice, as by a caller that did not hear the first answer.
            let key = format!("order-{order}");
            let first = api.post_with_key("/stocks/decrease", &body, &key).await.0;
            let second = api.post_with_key("/stocks/decrease", &body, &key).await.0;
            assert_eq!(first, second);
            first == StatusCode::OK
        })
    });
    let mut taken = 0;
    for taker in takers.collect::<Vec<_>>() {
        taken += i64::from(taker.await.unwrap());
    }
    assert_eq!(taken, 25);
    assert_eq!(api.get("/stocks/pine").await.1["quantity"], 0);
}

#[tokio::test]
async fn the_document_and_the_health_are_there() {
    let api = stock_api().await;
    let (status, document) = api.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(api.get("/healthz").await.0, StatusCode::OK);
    support::is_kept("stock.json", &document);
}
