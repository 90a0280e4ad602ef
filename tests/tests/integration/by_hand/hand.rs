//! A workload as a process of its own, and what is read of it.

use std::sync::Arc;
use std::time::Duration;

use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Exit, Process, Program};
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{TestResult, http};
use serde_json::Value;

/// For what takes a moment on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);

/// A workload that runs on its own topics of the shared broker.
pub struct Hand {
    pub broker: Arc<Broker>,
    pub process: Process,
}

impl Hand {
    /// Starts `command` with these variables, and the one that names the broker.
    pub async fn start(command: &str, variables: &[(&str, &str)]) -> TestResult<Self> {
        let broker = Broker::shared().await?;
        // The coffee bar's services have another name for it.
        let servers = match command {
            "drink-order" => "KAFKA_BROKERS",
            _ => "KAFKA_BOOTSTRAP_SERVERS",
        };
        let launch = Program::workload()
            .await?
            .arg(command)
            .env(servers, broker.bootstrap());
        let process = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value))
            .start()?;
        Ok(Self { broker, process })
    }

    /// Where its admin server listens, from the log.
    pub async fn admin(&mut self) -> TestResult<String> {
        let line = self
            .process
            .wait_for_line(SOON, "the admin server listens")
            .await?;
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="));
        Ok(format!(
            "http://{}",
            address.ok_or("no address in the log")?
        ))
    }

    /// Waits until `/state` is as `accept` wants it.
    pub async fn state(&mut self, accept: impl Fn(&Value) -> bool) -> TestResult<Value> {
        let url = format!("{}/state", self.admin().await?);
        let accepted = |response: &http::Response| {
            let state: Value = response.json().ok()?;
            accept(&state).then_some(state)
        };
        Ok(self.process.wait_for_http(SOON, &url, accepted).await?)
    }

    pub async fn stop(&mut self) -> TestResult<Exit> {
        Ok(self.process.stop(SOON).await?.assert_code(0))
    }

    pub async fn records(&self, topic: &str) -> TestResult<Vec<Record>> {
        let (committed, end) = (Isolation::ReadCommitted, Until::end());
        Ok(read_all(self.broker.bootstrap(), topic, committed, end).await?)
    }
}

pub fn observed(state: &Value, field: &str) -> u64 {
    state["observed"][field].as_u64().unwrap()
}

/// Runs a command that ends by itself.
pub async fn run(command: &str, variables: &[(&str, &str)], code: i32) -> TestResult<Exit> {
    let mut hand = Hand::start(command, variables).await?;
    Ok(hand.process.wait(SOON).await?.assert_code(code))
}
