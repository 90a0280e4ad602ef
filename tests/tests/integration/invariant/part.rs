//! A part of the system: a process that is killed and started again, as in a pod.

use std::time::Duration;

use ordermill_tests::process::{Process, Program};
use ordermill_tests::{TestResult, http};
use serde_json::Value;

use crate::support::SOON;
use crate::support::configuration::Configuration;
use crate::support::state::State;

/// A workload with its documents.
pub struct Part {
    /// For a person.
    pub name: String,
    configuration: Configuration,
    database: Option<String>,
    process: Process,
    admin: Option<String>,
}

impl Part {
    /// Starts a part.
    pub async fn start(
        name: &str,
        configuration: Configuration,
        database: Option<&str>,
    ) -> TestResult<Self> {
        let database = database.map(str::to_owned);
        let process = process(&configuration, database.as_deref()).await?;
        Ok(Self {
            name: name.to_owned(),
            configuration,
            database,
            process,
            admin: None,
        })
    }

    /// Ends it as nobody wants to end.
    pub fn kill(&mut self) -> TestResult {
        Ok(self.process.kill()?)
    }

    /// Whether it has ended, by whatever.
    pub fn has_ended(&mut self) -> TestResult<bool> {
        Ok(self.process.status()?.is_some())
    }

    /// Starts it again.
    pub async fn restart(&mut self) -> TestResult {
        self.process = process(&self.configuration, self.database.as_deref()).await?;
        self.admin = None;
        Ok(())
    }

    /// Edits its tuning and waits until that is in force.
    pub async fn retune(&mut self, spec: &str) -> TestResult<State> {
        let generation = self.configuration.retune(spec)?;
        let accept = |state: &State| state.generation == generation;
        self.wait_for(SOON, "an edit", accept).await
    }

    /// Waits until what it tells of itself is as `accept` wants it.
    pub async fn wait_for(
        &mut self,
        deadline: Duration,
        what: &str,
        accept: impl Fn(&State) -> bool,
    ) -> TestResult<State> {
        let url = format!("{}/state", self.admin().await?);
        State::awaited(&mut self.process, &url, deadline, what, accept).await
    }

    /// What it tells of itself now.
    pub async fn state(&mut self) -> TestResult<Value> {
        let url = format!("{}/state", self.admin().await?);
        Ok(http::get(&url).await?.json()?)
    }

    async fn admin(&mut self) -> TestResult<String> {
        if let Some(admin) = &self.admin {
            return Ok(admin.clone());
        }
        let told = "the admin server listens";
        let line = self.process.wait_for_line(SOON, told).await?;
        let line: Value = serde_json::from_str(&line)?;
        let address = line["address"].as_str().ok_or("no address")?;
        Ok(self.admin.insert(format!("http://{address}")).clone())
    }

    /// Asks it to end, and waits until it has, in good order; what it has logged since it was started last.
    pub async fn stop(&mut self) -> TestResult<String> {
        // Before that it does not listen to signals yet.
        self.admin().await?;
        let exit = self.process.stop(SOON).await?.assert_code(0);
        Ok(exit.stdout)
    }
}

async fn process(configuration: &Configuration, database: Option<&str>) -> TestResult<Process> {
    let launch = Program::workload()
        .await?
        .args(["run", "--config"])
        .arg(configuration.path());
    let launch = match database {
        Some(database) => launch.env("DATABASE_URL", database),
        None => launch,
    };
    Ok(launch.start()?)
}
