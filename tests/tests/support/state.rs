//! What a workload tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_tests::process::Process;
use ordermill_tests::{TestResult, http};
use serde::Deserialize;

/// What `/state` tells, as far as tests look at it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// What is running.
    pub generation: i64,
    /// The phase.
    #[serde(rename = "state")]
    pub phase: String,
    /// Why it waits.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// Mean lateness of the last events.
    pub lateness_seconds: Option<f64>,
    observed: Observed,
    /// Those with a fault, by its name.
    #[serde(default)]
    pub faults: BTreeMap<String, u64>,
    #[serde(default)]
    partitions: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Observed {
    events: u64,
    injected: u64,
    failed: u64,
    #[serde(default)]
    retried: u64,
    dead_lettered: Option<u64>,
    lag: Option<i64>,
    members: Option<u64>,
}

impl State {
    /// Asks for it at `url` until it is as `accept` wants it, for as long as its process runs.
    pub async fn awaited(
        process: &mut Process,
        url: &str,
        deadline: Duration,
        what: &str,
        accept: impl Fn(&Self) -> bool,
    ) -> TestResult<Self> {
        let probe = async || {
            let response = http::get(url).await.map_err(|error| error.to_string())?;
            let state: Self = response.json().map_err(|error| error.to_string())?;
            if accept(&state) {
                Ok(state)
            } else {
                Err(response.body)
            }
        };
        Ok(process.wait_for(deadline, what, probe).await?)
    }

    /// Events delivered or requests answered, those with a fault among them.
    pub fn events(&self) -> u64 {
        self.observed.events
    }

    /// Those with a fault, also where it kept them from being delivered or answered.
    pub fn injected(&self) -> u64 {
        self.observed.injected
    }

    /// Those that failed for real.
    pub fn failed(&self) -> u64 {
        self.observed.failed
    }

    /// Repetitions of failed attempts.
    pub fn retried(&self) -> u64 {
        self.observed.retried
    }

    /// Messages put on a dead-letter topic; none of what is no consumer.
    pub fn dead_lettered(&self) -> Option<u64> {
        self.observed.dead_lettered
    }

    /// Messages still to handle.
    pub fn lag(&self) -> Option<i64> {
        self.observed.lag
    }

    /// Whether it is a member of its group.
    pub fn members(&self) -> Option<u64> {
        self.observed.members
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How often one fault was injected, alone.
    pub fn fault(&self, name: &str) -> u64 {
        self.faults.get(name).copied().unwrap_or_default()
    }

    /// Whether it waits for this reason.
    pub fn waits_for(&self, reason: &str) -> bool {
        self.phase == "Waiting" && self.reason.as_deref() == Some(reason)
    }
}
