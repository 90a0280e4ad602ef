//! The APIs of the wood orders against their OpenAPI documents, asked by schemathesis: with every check, in every phase.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ordermill_tests::postgres::Postgres;
use ordermill_tests::schemathesis::Schemathesis;
use ordermill_tests::{Scratch, TestResult};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::backend::{Backend, sqlite};

/// For a quarter of a minute's work on an idle machine.
const DEADLINE: Duration = Duration::from_mins(5);
/// Every phase that there is.
const PHASES: [&str; 4] = ["coverage", "examples", "fuzzing", "stateful"];

/// What schemathesis found out.
#[derive(Debug, Deserialize)]
struct Report {
    seed: u64,
    phases: BTreeMap<String, Phase>,
    test_cases: Cases,
    /// By operation and phase.
    valid_rates: BTreeMap<String, BTreeMap<String, Rate>>,
}

#[derive(Debug, Deserialize)]
struct Phase {
    status: String,
}

#[derive(Debug, Deserialize)]
struct Cases {
    generated: u64,
    errored: u64,
}

/// What became of requests that the document allows.
#[derive(Debug, Deserialize)]
struct Rate {
    accepted: u64,
}

impl Report {
    /// Sees that every phase was gone through and every operation did what it is for.
    fn assert_complete(&self, document: &Value) {
        let phases: Vec<_> = self.phases.iter().collect();
        assert_eq!(phases.len(), PHASES.len(), "{phases:?}");
        for name in PHASES {
            assert_eq!(self.phases[name].status, "success", "{name}");
        }
        assert_eq!(self.test_cases.errored, 0, "{:?}", self.test_cases);
        let declared = document["paths"].as_object().unwrap();
        let operations = declared.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        for operation in operations {
            let phases = &self.valid_rates[&operation];
            let accepted: u64 = phases.values().map(|rate| rate.accepted).sum();
            assert!(accepted > 0, "{operation} never succeeded: {phases:?}");
        }
    }
}

/// The document that is kept in the repository.
fn kept(app: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/backend/openapi");
    folder.join(format!("{app}.json"))
}

/// Delivers enough of every kind of wood for all that is asked for.
async fn fill(api: &Backend) -> TestResult {
    for (kind, wood_type) in ["oak", "maple", "birch", "elm", "pine"].iter().enumerate() {
        for delivery in 0..10 {
            let body = json!({
                "delivery_id": format!("0192f0c1-2d3e-7f00-8000-{:012}", 100 * kind + delivery),
                "supplier_id": "SUPP-001", "wood_type": wood_type, "quantity": 1_000_000,
                "timestamp": "2026-11-21T10:00:00Z",
            });
            assert_eq!(api.post("/stocks", &body).await?.0, 201);
        }
    }
    Ok(())
}

/// Sees that an API on a database of its own is what its document says.
async fn conforms(app: &str, database: &str) -> TestResult {
    let tool = Schemathesis::get().await?;
    let begin = Instant::now();
    let mut api = Backend::start(app, database, &[]).await?;
    let document: Value = serde_json::from_slice(&fs::read(kept(app))?)?;
    assert_eq!(api.get("/openapi.json").await?, (200, document.clone()));
    if app == "stock" {
        fill(&api).await?;
    }
    let folder = Scratch::new("conformance")?;
    let report = folder.path().join("report.json");
    let exit = tool
        .launch(folder.path())
        .arg("run")
        .arg(kept(app))
        .args(["--url", &api.url, "--report", "json", "--report-json-path"])
        .arg(&report)
        .start()?
        .wait(DEADLINE)
        .await?;
    // All of it: each finding is told with the request that shows it.
    assert_eq!(exit.code(), Some(0), "{}\n{}", exit.stdout, exit.stderr);
    let report: Report = serde_json::from_slice(&fs::read(report)?)?;
    println!(
        "{app} API on {database}: {} requests with seed {} in {:.1} s",
        report.test_cases.generated,
        report.seed,
        begin.elapsed().as_secs_f64()
    );
    report.assert_complete(&document);
    let state = api.state().await?;
    assert!(state.events() > 0, "{state:?}");
    assert_eq!((state.injected(), state.failed()), (0, 0), "{state:?}");
    api.stop().await
}

#[tokio::test]
async fn the_order_api_is_what_its_document_says() -> TestResult {
    let (folder, postgres) = (Scratch::new("order")?, Postgres::start().await?);
    conforms("order", &sqlite(&folder)).await?;
    conforms("order", &postgres.url()).await
}

#[tokio::test]
async fn the_stock_api_is_what_its_document_says() -> TestResult {
    let (folder, postgres) = (Scratch::new("stock")?, Postgres::start().await?);
    conforms("stock", &sqlite(&folder)).await?;
    conforms("stock", &postgres.url()).await
}
