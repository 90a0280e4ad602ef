//! Both APIs of the wood orders on PostgreSQL, and workers between them.

use std::collections::BTreeMap;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ordermill_config::BackendRole;
use ordermill_tests::postgres::Postgres;
use ordermill_tests::{TestResult, eventually};
use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::backend::Backend;
use crate::support::producer::{Producer, Run};

/// Wood of each order.
pub const QUANTITY: usize = 2;

/// Both APIs, each with a database of its own.
pub struct Shop {
    /// The order API.
    pub orders: Backend,
    /// The stock API.
    pub stock: Backend,
    _databases: [Postgres; 2],
}

/// The order of this number.
pub fn order(number: usize) -> Value {
    json!({
        "order_id": format!("0192f0c1-2d3e-7f00-8000-{number:012}"), "customer_id": "CUST-0001",
        "wood_type": "oak", "quantity": QUANTITY, "timestamp": "2026-11-21T10:00:00Z",
    })
}

impl Shop {
    /// One whose APIs have these variables.
    pub async fn open(variables: &[(&str, &str)]) -> TestResult<Self> {
        let (orders, stock) = tokio::try_join!(Postgres::start(), Postgres::start())?;
        Ok(Self {
            orders: Backend::start("order", &orders.url(), variables).await?,
            stock: Backend::start("stock", &stock.url(), variables).await?,
            _databases: [orders, stock],
        })
    }

    /// One whose stock API is told by a spec what is wrong with it.
    pub async fn with_stock(spec: &str) -> TestResult<Self> {
        let (orders, stock) = tokio::try_join!(Postgres::start(), Postgres::start())?;
        Ok(Self {
            orders: Backend::start("order", &orders.url(), &[]).await?,
            stock: Backend::configured(spec, &stock.url()).await?,
            _databases: [orders, stock],
        })
    }

    /// Registers orders.
    pub async fn order(&self, numbers: impl Iterator<Item = usize>) -> TestResult {
        for number in numbers {
            assert_eq!(self.orders.post("/orders", &order(number)).await?.0, 201);
        }
        Ok(())
    }

    /// Delivers wood.
    pub async fn deliver(&self, quantity: usize) -> TestResult {
        let delivery = json!({
            "delivery_id": uuid::Uuid::new_v4(), "supplier_id": "SUPP-001", "wood_type": "oak",
            "quantity": quantity, "timestamp": "2026-11-21T10:00:00Z",
        });
        assert_eq!(self.stock.post("/stocks", &delivery).await?.0, 201);
        Ok(())
    }

    /// The wood that is there.
    pub async fn stock(&self) -> TestResult<usize> {
        let (_, stock) = self.stock.get("/stocks/oak").await?;
        Ok(serde_json::from_value(stock["quantity"].clone())?)
    }

    /// How many orders are so.
    pub async fn count(&self, status: &str) -> TestResult<usize> {
        let path = format!("/orders?status={status}&limit=10000");
        let (_, page) = self.orders.get(&path).await?;
        Ok(page["orders"].as_array().ok_or("no orders")?.len())
    }

    /// Waits until so many orders are so.
    pub async fn until(&self, status: &str, count: usize) {
        let what = format!("{count} orders that are {status}");
        eventually(SOON, &what, async || {
            (self.count(status).await.ok()? == count).then_some(())
        })
        .await;
    }

    /// Waits until so many orders are processed or failed; how many of them are processed.
    pub async fn settled(&self, count: usize) -> usize {
        let what = format!("{count} orders that are settled");
        eventually(SOON, &what, async || {
            let processed = self.count("processed").await.ok()?;
            let failed = self.count("failed").await.ok()?;
            (processed + failed == count).then_some(processed)
        })
        .await
    }

    /// A worker by hand, with these variables besides those that name the APIs.
    pub async fn worker(&self, variables: &[(&'static str, &str)]) -> TestResult<Producer> {
        let apis = [
            ("API_URL_ORDERS", self.orders.url.as_str()),
            ("API_URL_STOCKS", self.stock.url.as_str()),
        ];
        let variables = apis.into_iter().chain(variables.iter().copied());
        Run::by_hand("order-management", variables).start().await
    }

    /// Where the APIs are.
    pub fn urls(&self) -> BTreeMap<BackendRole, String> {
        [
            (BackendRole::Order, self.orders.url.clone()),
            (BackendRole::Stock, self.stock.url.clone()),
        ]
        .into()
    }
}

/// The status of the answer to a request with a header.
pub async fn post_with(url: &str, header: (&str, &str), body: &Value) -> TestResult<u16> {
    let (name, value) = header;
    let request = Request::post(url)
        .header("content-type", "application/json")
        .header(name, value)
        .body(Full::new(Bytes::from(body.to_string())))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    Ok(client.request(request).await?.status().as_u16())
}
