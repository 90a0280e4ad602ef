//! Fetches and builds all that the integration tests run on, so that the first test run need not.
#![allow(missing_docs)]

use std::process::ExitCode;
use std::time::Instant;

use ordermill_tests::cache::Cache;
use ordermill_tests::schemathesis::{self, Schemathesis};
use ordermill_tests::tools::{Jdk, Maven, Python};
use ordermill_tests::{Failure, collector, helm, kafka, kubernetes, postgres};

fn main() -> ExitCode {
    match Cache::of_user() {
        Ok(cache) => println!(
            "what the tests run on is kept in {}",
            cache.root().display()
        ),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    // All of them, whatever becomes of the first: one run tells everything that is missing.
    let parts = [
        part("JDK", || {
            let jdk = Jdk::find()?;
            Ok(format!(
                "Java {} in {}",
                jdk.version(),
                jdk.home().display()
            ))
        }),
        part("Maven", || {
            Ok(Maven::find()?.program().display().to_string())
        }),
        part("Go", || {
            let go = collector::Binary::toolchain()?;
            Ok(format!("{} at {}", go.version(), go.program().display()))
        }),
        part("Python", || {
            let python = Python::find()?;
            Ok(format!(
                "{} at {}",
                python.version(),
                python.program().display()
            ))
        }),
        part("Apache Kafka", || {
            let kafka = kafka::Distribution::prepare()?;
            let done = if kafka.was_fetched() {
                "fetched"
            } else {
                "there"
            };
            Ok(format!("{} {done}", kafka::VERSION))
        }),
        part("PostgreSQL", || {
            let postgres = postgres::Distribution::prepare()?;
            let done = if postgres.was_fetched() {
                "fetched"
            } else {
                "there"
            };
            Ok(format!("{} {done}", postgres::VERSION))
        }),
        part("schemathesis", || {
            let tool = Schemathesis::prepare()?;
            let done = if tool.was_installed() {
                "installed"
            } else {
                "there"
            };
            Ok(format!("{} {done}", schemathesis::VERSION))
        }),
        part("OpenTelemetry Collector", || {
            let binary = collector::Binary::prepare()?;
            let done = if binary.was_built() { "built" } else { "there" };
            Ok(format!("{} {done}", collector::VERSION))
        }),
        part("Kubernetes", || {
            let binaries = kubernetes::Binaries::prepare()?;
            let done = if binaries.was_built() {
                "built"
            } else {
                "there"
            };
            Ok(format!(
                "{} with etcd {} {done}",
                kubernetes::VERSION,
                kubernetes::ETCD_VERSION
            ))
        }),
        part("Helm", || {
            let helm = helm::Helm::prepare()?;
            let done = if helm.was_built() { "built" } else { "there" };
            Ok(format!("{} {done}", helm::VERSION))
        }),
        part("Strimzi's definitions", || {
            let definitions = kubernetes::StrimziCrds::prepare()?;
            let done = if definitions.was_fetched() {
                "fetched"
            } else {
                "there"
            };
            Ok(format!("{} {done}", kubernetes::STRIMZI_VERSION))
        }),
    ];
    if parts.into_iter().all(|ready| ready) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says what became of a part and how long it took; true when it is ready.
fn part(name: &str, prepare: impl FnOnce() -> Result<String, Failure>) -> bool {
    let begin = Instant::now();
    let outcome = prepare();
    let seconds = begin.elapsed().as_secs_f64();
    match &outcome {
        Ok(found) => println!("{name:<24} {seconds:>6.1} s  {found}"),
        Err(failure) => println!("{name:<24} {seconds:>6.1} s  {failure}"),
    }
    outcome.is_ok()
}
