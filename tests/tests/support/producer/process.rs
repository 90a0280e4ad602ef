//! A producer's process: its state, its log, its end.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ordermill_tests::process::{Exit, Process, Program};
use ordermill_tests::{Scratch, TestResult, http};
use serde_json::Value;

use super::SOON;
use crate::support::configuration::Configuration;
use crate::support::state::State;

/// How long a producer that was asked to end may take: 20 s for what is in flight, 5 s for telemetry, and some air.
const GRACE: Duration = Duration::from_secs(30);

/// What can be started again and again.
#[derive(Debug)]
pub enum Run {
    /// By hand: a command with environment variables.
    ByHand {
        /// The model's command.
        command: &'static str,
        /// Names and values.
        variables: Vec<(&'static str, String)>,
    },
    /// As in a pod, as the instance of ordinal 0.
    Configured(Box<Configuration>),
}

impl Run {
    /// By hand: a command with environment variables.
    pub fn by_hand<'a>(
        command: &'static str,
        variables: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        Self::ByHand { command, variables }
    }

    /// Starts it.
    pub async fn start(&self) -> TestResult<Producer> {
        let (command, variables) = match self {
            Self::ByHand { command, variables } => (command, variables),
            Self::Configured(configuration) => return Producer::start(configuration).await,
        };
        let launch = Program::workload()
            .await?
            .arg(command)
            .env("LOG_FORMAT", "Json");
        let launch = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        Ok(Producer {
            process: launch.start()?,
            address: None,
            _configuration: None,
        })
    }
}

/// A producer that runs.
#[derive(Debug)]
pub struct Producer {
    /// Its process.
    pub process: Process,
    address: Option<String>,
    _configuration: Option<Arc<Scratch>>,
}

/// What a process had of the processors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processor {
    /// On one.
    pub used: Duration,
    /// Ready to run while others had them: a process that is starved is told by it from one that has nothing to do.
    pub waited: Duration,
}

/// A line of the log: a JSON object.
#[derive(Debug, Clone)]
pub struct LogLine(Value);

impl LogLine {
    /// A field as text; empty where there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A field as a number, where it is one.
    pub fn number(&self, field: &str) -> Option<i64> {
        self.0[field].as_i64()
    }

    /// What it says.
    pub fn message(&self) -> &str {
        self.text("message")
    }
}

impl Producer {
    /// Starts the instance of ordinal 0 as in a pod.
    pub async fn start(configuration: &Configuration) -> TestResult<Self> {
        Self::start_as(configuration, 0).await
    }

    /// Starts the instance of an ordinal as in a pod.
    pub async fn start_as(configuration: &Configuration, ordinal: u32) -> TestResult<Self> {
        let launch = Program::workload()
            .await?
            .args(["run", "--config"])
            .arg(configuration.path())
            .args(["--ordinal", &ordinal.to_string()]);
        Ok(Self {
            process: launch.start()?,
            address: None,
            _configuration: Some(configuration.hold()),
        })
    }

    /// What it tells of itself now.
    pub async fn state(&mut self) -> TestResult<State> {
        let url = self.url("state").await?;
        Ok(http::get(&url).await?.json()?)
    }

    /// The status of its readiness.
    pub async fn readiness(&mut self) -> TestResult<u16> {
        let url = self.url("readyz").await?;
        Ok(http::get(&url).await?.status)
    }

    async fn url(&mut self, path: &str) -> TestResult<String> {
        if self.address.is_none() {
            let line = self
                .process
                .wait_for_line(SOON, "the admin server listens")
                .await?;
            let line = LogLine(serde_json::from_str(&line)?);
            self.address = Some(line.text("address").to_owned());
        }
        let address = self.address.as_deref().unwrap_or_default();
        Ok(format!("http://{address}/{path}"))
    }

    /// Waits until what it tells of itself is as `accept` wants it.
    pub async fn wait_for(
        &mut self,
        what: &str,
        accept: impl Fn(&State) -> bool,
    ) -> TestResult<State> {
        self.wait_within(SOON, what, accept).await
    }

    /// Like [`wait_for`](Self::wait_for), with a deadline of choice.
    pub async fn wait_within(
        &mut self,
        deadline: Duration,
        what: &str,
        accept: impl Fn(&State) -> bool,
    ) -> TestResult<State> {
        let url = self.url("state").await?;
        State::awaited(&mut self.process, &url, deadline, what, accept).await
    }

    /// Waits until something keeps it from working, for this reason.
    pub async fn wait_for_reason(&mut self, reason: &str) -> TestResult<State> {
        self.wait_for(reason, |state| state.waits_for(reason)).await
    }

    /// Waits until so many events are delivered.
    pub async fn wait_for_events(&mut self, count: u64) -> TestResult<State> {
        let what = format!("{count} delivered events");
        self.wait_for(&what, |state| state.events() >= count).await
    }

    /// Edits the tuning and waits until it is in force.
    pub async fn retune(
        &mut self,
        configuration: &mut Configuration,
        spec: &str,
    ) -> TestResult<State> {
        let generation = configuration.retune(spec)?;
        let what = format!("generation {generation}");
        self.wait_for(&what, |state| state.generation == generation)
            .await
    }

    /// The log so far. What is no JSON object is not of the log, and fails the test.
    pub fn log(&self) -> TestResult<Vec<LogLine>> {
        let text = self.process.stdout()?;
        let complete = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        complete
            .map(|line| Ok(LogLine(serde_json::from_str(line)?)))
            .collect()
    }

    /// The lines of the log whose message has `part` in it.
    pub fn told(&self, part: &str) -> TestResult<Vec<LogLine>> {
        let mut lines = self.log()?;
        lines.retain(|line| line.message().contains(part));
        Ok(lines)
    }

    /// How often the log told of a trouble with Kafka for this reason.
    pub fn troubles(&self, reason: &str) -> TestResult<usize> {
        let mut lines = self.log()?;
        lines.retain(|line| line.text("level") == "WARN" && line.text("reason") == reason);
        Ok(lines.len())
    }

    /// Asks it to end (SIGTERM) and waits until it has, within its grace and in good order.
    pub async fn stop(&mut self) -> TestResult<Exit> {
        Ok(self.process.stop(GRACE).await?.assert_code(0))
    }

    /// Processor time that its threads have used, and for how long they waited for a processor besides.
    pub fn processor(&self) -> TestResult<Processor> {
        let mut all = Processor::default();
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            // Nanoseconds on a processor, nanoseconds on a run queue, and time slices.
            let mut fields = text.split_whitespace().map(str::parse);
            let mut next = || fields.next().ok_or("a short schedstat");
            all.used += Duration::from_nanos(next()??);
            all.waited += Duration::from_nanos(next()??);
        }
        Ok(all)
    }

    /// Memory that it holds, in mebibytes.
    pub fn resident_mebibytes(&self) -> TestResult<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kilobytes: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
            .ok_or("no VmRSS in /proc/PID/status")?
            .parse()?;
        Ok(kilobytes / 1024.0)
    }
}
