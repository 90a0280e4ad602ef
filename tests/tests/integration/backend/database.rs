//! What they do without a database, and with settings that cannot be used.

use std::io::ErrorKind;

use ordermill_tests::collector::{Collector, Span};
use ordermill_tests::ports::pick;
use ordermill_tests::postgres::Postgres;
use ordermill_tests::process::Program;
use ordermill_tests::{Scratch, TestResult, eventually, http};
use tokio::net::TcpStream;

use super::{ids, order};
use crate::support::SOON;
use crate::support::backend::{Backend, sqlite};

#[tokio::test]
async fn without_its_database_it_waits_and_goes_on() -> TestResult {
    let mut postgres = Postgres::start().await?;
    let mut collector = Collector::start().await?;
    let endpoint = collector.endpoint();
    let telemetry = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut api = Backend::start("order", &postgres.url(), &telemetry).await?;
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
    api.stop().await?;
    collector.stop().await?;
    // It failed for real, which its span says and those of the others do not.
    let failed = |span: &Span| span.attributes.contains_key("error.type");
    let spans = collector.spans()?.into_iter().filter(failed);
    let spans: Vec<_> = spans.collect();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert!(spans[0].is_error(), "{spans:?}");
    let told = |name: &str| spans[0].attributes.get(name).cloned();
    assert_eq!(told("error.type"), Some(status.to_string().into()));
    let code = told("http.response.status_code");
    assert_eq!(code, Some(status.into()));
    assert_eq!(told("ordermill.injected"), None);
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_an_answer_before_the_database_is_there() -> TestResult {
    let mut postgres = Postgres::start().await?;
    postgres.kill()?;
    let [api, admin] = pick()?;
    let port = api.number().to_string();
    let launch = Program::workload().await?.arg("order").env("PORT", &port);
    let launch = launch
        .env("ADMIN_ADDRESS", format!("127.0.0.1:{}", admin.number()))
        .env("DATABASE_URL", postgres.url());
    let mut process = launch.start()?;
    let ready = format!("http://127.0.0.1:{}/readyz", admin.number());
    let waits = |answer: &http::Response| answer.body.contains("DatabaseUnreachable").then_some(());
    process.wait_for_http(SOON, &ready, waits).await?;
    let refused = TcpStream::connect(("127.0.0.1", api.number())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    postgres.restart().await?;
    let orders = format!("http://127.0.0.1:{port}/orders");
    let serves = |answer: &http::Response| answer.is_success().then_some(());
    process.wait_for_http(SOON, &orders, serves).await?;
    let _exit = process.stop(SOON).await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn both_apis_may_have_their_tables_in_one_database() -> TestResult {
    let postgres = Postgres::start().await?;
    let folder = Scratch::new("database")?;
    for url in [postgres.url(), sqlite(&folder)] {
        let mut orders = Backend::start("order", &url, &[]).await?;
        let mut stock = Backend::start("stock", &url, &[]).await?;
        assert_eq!(orders.post("/orders", &order(1)).await?.0, 201);
        assert_eq!(stock.get("/stocks").await?.0, 200);
        // And find them again.
        orders.stop().await?;
        let mut orders = Backend::start("order", &url, &[]).await?;
        assert_eq!(ids(&orders.get("/orders").await?.1).len(), 1);
        orders.stop().await?;
        stock.stop().await?;
    }
    Ok(())
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
