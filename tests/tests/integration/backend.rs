//! The APIs of the wood orders as processes, several of them on one PostgreSQL.

use std::collections::BTreeSet;
use std::time::Duration;

use ordermill_tests::postgres::Postgres;
use ordermill_tests::process::{Process, Program};
use ordermill_tests::{TestResult, eventually, http};
use serde_json::{Value, json};

/// For what takes a moment on an idle machine.
const SOON: Duration = Duration::from_mins(1);

/// An API that runs.
struct Backend {
    process: Process,
    url: String,
    admin: String,
}

impl Backend {
    async fn start(app: &str, database: &str, variables: &[(&str, &str)]) -> TestResult<Self> {
        let launch = Program::workload()
            .await?
            .arg(app)
            .env("DATABASE_URL", database)
            .env("PORT", "0")
            .env("LOG_FORMAT", "Json");
        let launch = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        let mut process = launch.start()?;
        let admin = address(&mut process, "the admin server listens").await?;
        let api = address(&mut process, "the backend serves").await?;
        let url = format!("http://{}", api.replace("0.0.0.0", "127.0.0.1"));
        Ok(Self {
            process,
            url,
            admin: format!("http://{admin}"),
        })
    }

    async fn post(&self, path: &str, body: &Value) -> TestResult<(u16, Value)> {
        let response = http::post_json(&format!("{}{path}", self.url), body).await?;
        Ok((response.status, response.json()?))
    }

    async fn get(&self, path: &str) -> TestResult<(u16, Value)> {
        let response = http::get(&format!("{}{path}", self.url)).await?;
        Ok((response.status, response.json()?))
    }

    async fn state(&self) -> TestResult<Value> {
        Ok(http::get(&format!("{}/state", self.admin)).await?.json()?)
    }

    async fn stop(&mut self) -> TestResult {
        let _exit = self.process.stop(SOON).await?.assert_code(0);
        Ok(())
    }
}

/// The address in the first line of the log with these words.
async fn address(process: &mut Process, words: &str) -> TestResult<String> {
    let line = process.wait_for_line(SOON, words).await?;
    let line: Value = serde_json::from_str(&line)?;
    Ok(line["address"].as_str().ok_or("no address")?.to_owned())
}

fn order(number: usize) -> Value {
    json!({
        "order_id": format!("0192f0c1-2d3e-7f00-8000-{number:012}"), "customer_id": "CUST-0001",
        "wood_type": "oak", "quantity": 1, "timestamp": "2026-11-21T10:00:00Z",
    })
}

fn ids(answer: &Value) -> Vec<String> {
    let orders = answer["orders"].as_array().unwrap();
    let id = |order: &Value| order["order_id"].as_str().unwrap().to_owned();
    orders.iter().map(id).collect()
}

/// Claims through one API until nothing is left.
async fn claim_all(url: String, worker: String, lease: &'static str) -> Vec<String> {
    let mut mine = Vec::new();
    loop {
        let body = json!({"worker": worker, "limit": 3, "lease": lease});
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
            tokio::spawn(claim_all(url.clone(), format!("worker-{worker}"), "1h"))
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
    let dead = claim_all(one.url.clone(), "dead".to_owned(), "1s").await;
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

#[tokio::test]
async fn what_fails_on_purpose_says_so_and_is_counted_apart() -> TestResult {
    let folder = ordermill_tests::Scratch::new("backend")?;
    let database = format!("sqlite://{}/stock.db", folder.path().display());
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
    let observed = api.state().await?["observed"].clone();
    let of = |field: &str| observed[field].as_i64();
    assert_eq!(
        (of("events"), of("injected"), of("failed")),
        (Some(5), Some(5), Some(0))
    );
    api.stop().await?;

    // What was stored is there at the next start, and an honest one fails nothing.
    let mut api = Backend::start("stock", &database, &[]).await?;
    assert_eq!(api.get("/stocks").await?, (200, json!({"stocks": []})));
    api.stop().await
}

#[tokio::test]
async fn without_its_database_it_waits_and_goes_on() -> TestResult {
    let mut postgres = Postgres::start().await?;
    let mut api = Backend::start("order", &postgres.url(), &[]).await?;
    assert_eq!(api.post("/orders", &order(1)).await?.0, 201);
    let ready = format!("{}/readyz", api.admin);
    let is_ready = async |status: u16, words: &str| {
        eventually(SOON, "a change of readiness", async || {
            let answer = http::get(&ready).await.ok()?;
            (answer.status == status && answer.body.contains(words)).then_some(())
        })
        .await;
    };
    is_ready(200, "ok").await;
    postgres.kill()?;
    is_ready(503, "DatabaseUnreachable").await;
    let (status, problem) = api.get("/orders").await?;
    assert!(status == 503 || status == 500, "{status}: {problem}");
    postgres.restart().await?;
    is_ready(200, "ok").await;
    assert_eq!(ids(&api.get("/orders").await?.1).len(), 1);
    api.stop().await
}

#[tokio::test]
async fn what_it_cannot_use_is_named() -> TestResult {
    for (variables, words) in [
        (
            vec![("DATABASE_URL", "mysql://a:secret@b/c")],
            "DATABASE_URL must begin with",
        ),
        (vec![("PORT", "70000")], "PORT"),
        (vec![("ERROR_RATE", "2")], "ERROR_RATE"),
    ] {
        let launch = Program::workload().await?.arg("order").env("PORT", "0");
        let launch = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        let exit = launch.start()?.wait(SOON).await?.assert_code(1);
        assert!(exit.stderr.contains(words), "{exit:?}");
        assert!(!exit.stderr.contains("secret"), "{exit:?}");
    }
    Ok(())
}
