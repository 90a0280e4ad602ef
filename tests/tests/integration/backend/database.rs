//! What they do without a database, and with settings that cannot be used.

use ordermill_tests::postgres::Postgres;
use ordermill_tests::process::Program;
use ordermill_tests::{TestResult, eventually, http};

use super::{ids, order};
use crate::support::SOON;
use crate::support::backend::Backend;

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
