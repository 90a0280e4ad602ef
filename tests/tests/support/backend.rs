//! The APIs of the wood orders as processes.

use ordermill_tests::ports::{self, Port};
use ordermill_tests::process::{Launch, Process, Program};
use ordermill_tests::{Scratch, TestResult, http};
use serde_json::Value;

use super::SOON;
use super::configuration::Configuration;
use super::state::State;

/// An API that runs.
#[derive(Debug)]
pub struct Backend {
    /// Its process.
    pub process: Process,
    /// Where the API is.
    pub url: String,
    /// Where its admin server is.
    pub admin: String,
    configured: Option<Configured>,
}

/// What one that runs as in a pod is configured by.
#[derive(Debug)]
struct Configured {
    configuration: Configuration,
    // Each has a port of its own: the spec's default is the same for all.
    port: Port,
}

impl Backend {
    /// By hand: `order` or `stock`, on a database, with environment variables besides.
    pub async fn start(app: &str, database: &str, variables: &[(&str, &str)]) -> TestResult<Self> {
        let launch = Program::workload()
            .await?
            .arg(app)
            .env("PORT", "0")
            .env("LOG_FORMAT", "Json");
        let launch = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        Self::launched(launch, database, None).await
    }

    /// As in a pod: by the documents of a spec, on a database.
    pub async fn configured(spec: &str, database: &str) -> TestResult<Self> {
        let [port] = ports::pick()?;
        let configuration = Configuration::of_backend(&with_port(spec, &port)?)?;
        let launch = Program::workload()
            .await?
            .args(["run", "--config"])
            .arg(configuration.path());
        let configured = Configured {
            configuration,
            port,
        };
        Self::launched(launch, database, Some(configured)).await
    }

    async fn launched(
        launch: Launch,
        database: &str,
        configured: Option<Configured>,
    ) -> TestResult<Self> {
        let mut process = launch.env("DATABASE_URL", database).start()?;
        let admin = address(&mut process, "the admin server listens").await?;
        let api = address(&mut process, "the backend serves").await?;
        let url = format!("http://{}", api.replace("0.0.0.0", "127.0.0.1"));
        Ok(Self {
            process,
            url,
            admin: format!("http://{admin}"),
            configured,
        })
    }

    /// Status and body of the answer.
    pub async fn post(&self, path: &str, body: &Value) -> TestResult<(u16, Value)> {
        let response = http::post_json(&format!("{}{path}", self.url), body).await?;
        Ok((response.status, response.json()?))
    }

    /// Status and body of the answer.
    pub async fn get(&self, path: &str) -> TestResult<(u16, Value)> {
        let response = http::get(&format!("{}{path}", self.url)).await?;
        Ok((response.status, response.json()?))
    }

    /// What it tells of itself now.
    pub async fn state(&self) -> TestResult<State> {
        Ok(http::get(&format!("{}/state", self.admin)).await?.json()?)
    }

    /// Waits until what it tells of itself is as `accept` wants it.
    pub async fn wait_for(
        &mut self,
        what: &str,
        accept: impl Fn(&State) -> bool,
    ) -> TestResult<State> {
        let url = format!("{}/state", self.admin);
        State::awaited(&mut self.process, &url, SOON, what, accept).await
    }

    /// Edits the tuning and waits until it is in force.
    pub async fn retune(&mut self, spec: &str) -> TestResult {
        let configured = self.configured.as_mut().ok_or("run by hand")?;
        let spec = with_port(spec, &configured.port)?;
        let generation = configured.configuration.retune(&spec)?;
        let what = format!("generation {generation}");
        self.wait_for(&what, |state| state.generation == generation)
            .await?;
        Ok(())
    }

    /// Asks it to end and waits until it has, in good order.
    pub async fn stop(&mut self) -> TestResult {
        let _exit = self.process.stop(SOON).await?.assert_code(0);
        Ok(())
    }
}

/// A spec with this port.
fn with_port(spec: &str, port: &Port) -> TestResult<String> {
    let mut spec: serde_yaml::Mapping = serde_yaml::from_str(spec)?;
    spec.insert("port".into(), port.number().into());
    Ok(serde_yaml::to_string(&spec)?)
}

/// The URL of a database in a file of a folder.
pub fn sqlite(folder: &Scratch) -> String {
    format!("sqlite://{}/backend.db", folder.path().display())
}

/// The address in the first line of the log with these words.
async fn address(process: &mut Process, words: &str) -> TestResult<String> {
    let line = process.wait_for_line(SOON, words).await?;
    let line: Value = serde_json::from_str(&line)?;
    Ok(line["address"].as_str().ok_or("no address")?.to_owned())
}
