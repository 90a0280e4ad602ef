//! What the worker relies on when it fails an order.

use ordermill_tests::TestResult;
use ordermill_tests::postgres::Postgres;
use serde_json::json;

use super::shop::{QUANTITY, post_with};
use crate::support::backend::Backend;

#[tokio::test]
async fn a_decrease_and_its_cancelling_at_once_come_one_after_the_other() -> TestResult {
    const KEYS: usize = 60;
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    let (one, other) = tokio::try_join!(
        Backend::start("stock", &url, &[]),
        Backend::start("stock", &url, &[])
    )?;
    let delivery = json!({
        "delivery_id": uuid::Uuid::new_v4(), "supplier_id": "SUPP-001", "wood_type": "oak",
        "quantity": 1000, "timestamp": "2026-11-21T10:00:00Z",
    });
    assert_eq!(one.post("/stocks", &delivery).await?.0, 201);
    let all = (0..KEYS).map(|number| {
        let key = format!("order-{number}");
        let take = json!({"wood_type": "oak", "quantity": QUANTITY, "attempt": 1});
        let cancel = json!({"attempt": 2});
        let take_at = [&one, &other].map(|api| format!("{}/stocks/decrease", api.url));
        let cancel_at = format!("{}/stocks/decrease/cancel", other.url);
        tokio::spawn(async move {
            let [first, second] = &take_at;
            let header = ("idempotency-key", key.as_str());
            let answers = tokio::try_join!(
                post_with(first, header, &take),
                post_with(&cancel_at, header, &cancel),
                post_with(second, header, &take)
            );
            answers.map_err(|error| error.to_string())
        })
    });
    let mut taken = 0;
    for answers in all.collect::<Vec<_>>() {
        match answers.await?? {
            (200, 409, 200) => taken += 1,
            (409, 204, 409) => {}
            answers => panic!("{answers:?}"),
        }
    }
    let (_, stock) = one.get("/stocks/oak").await?;
    assert_eq!(stock["quantity"], 1000 - taken * QUANTITY);
    Ok(())
}
