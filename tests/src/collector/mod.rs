//! An OpenTelemetry Collector that writes what it gets to files, and readers of these.

mod build;
mod exported;
mod metrics;
mod values;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use build::{Binary, VERSION};
pub use exported::{LogRecord, Span, SpanEvent, SpanLink, SpanStatus};
pub use metrics::{MetricPoint, PointValue};
pub use values::Attributes;

use crate::ports::{self, Port};
use crate::process::{self, Launch, Process};
use crate::tools::MissingTool;
use crate::{Scratch, cache};

const CONFIGURATION: &str = include_str!("../../platform/collector/config.yaml");

const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How often a start that finds a port taken is tried anew.
const ATTEMPTS: usize = 5;

/// A collector that runs, or that was killed and can return. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Collector {
    binary: Binary,
    address: String,
    // Dropped before its folder.
    process: Process,
    // Each start writes to a folder of its own: the collector would empty the files of the start before.
    runs: Vec<PathBuf>,
    folder: Scratch,
    grpc: Port,
    http: Port,
    health: Port,
}

/// What can go wrong with a collector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Go is not there.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// The binary is not there.
    #[error("the OpenTelemetry Collector cannot be built")]
    Build(#[from] cache::Error),
    /// The build was cancelled.
    #[error("the build of the OpenTelemetry Collector was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
    /// A file cannot be read or written.
    #[error("the collector's folder cannot be used")]
    Files(#[source] io::Error),
    /// No free port.
    #[error("no free port for the collector")]
    Ports(#[source] io::Error),
    /// It did not do what it should.
    #[error("the OpenTelemetry Collector does not do as it should")]
    Process(#[from] process::Error),
    /// A line that it wrote is not what this harness knows.
    #[error("the collector wrote a line that cannot be read: {line}")]
    Line {
        /// The line.
        line: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl Collector {
    /// Starts a collector and waits until it is healthy.
    ///
    /// # Errors
    /// [`Error`], with what it wrote when it does not come up.
    pub async fn start() -> Result<Self, Error> {
        Self::start_on("127.0.0.1").await
    }

    /// The same at another address of this machine, for those who do not reach its loopback interface.
    ///
    /// # Errors
    /// [`Error`], with what it wrote when it does not come up.
    pub async fn start_on(address: &str) -> Result<Self, Error> {
        let binary = Binary::get().await?;
        let mut attempt = 1;
        loop {
            match Self::try_start(binary, address).await {
                Err(error) if port_is_taken(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_start(binary: &Binary, address: &str) -> Result<Self, Error> {
        let folder = Scratch::new("collector").map_err(Error::Files)?;
        let [grpc, http, health] = ports::pick().map_err(Error::Ports)?;
        let run = folder.path().join("run-0");
        let mut collector = Self {
            binary: binary.clone(),
            address: address.to_owned(),
            process: launch(binary, &run, address, [&grpc, &http, &health])?,
            runs: vec![run],
            folder,
            grpc,
            http,
            health,
        };
        collector.answer().await?;
        Ok(collector)
    }

    /// Where it takes OTLP over gRPC, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.url(&self.grpc)
    }

    /// Where it takes OTLP over HTTP, without `/v1/traces`.
    #[must_use]
    pub fn endpoint_http(&self) -> String {
        self.url(&self.http)
    }

    /// The process, for its log and its id.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it (SIGKILL). Ports and what it has written stay its own.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn kill(&mut self) -> Result<(), Error> {
        Ok(self.process.kill()?)
    }

    /// Asks it to end in good order and waits until it has written everything.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.process.stop(STOP_DEADLINE).await?;
        Ok(())
    }

    /// Starts it again on the same ports, and waits until it is healthy. If it still runs it is stopped first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        let run = self.folder.path().join(format!("run-{}", self.runs.len()));
        let ports = [&self.grpc, &self.http, &self.health];
        self.process = launch(&self.binary, &run, &self.address, ports)?;
        self.runs.push(run);
        self.answer().await
    }

    /// Every span received so far and written out, which takes about 50 ms.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Line`].
    pub fn spans(&self) -> Result<Vec<Span>, Error> {
        self.read("traces.jsonl", exported::spans)
    }

    /// Every data point received so far, in the order of arrival: a counter that is exported each second has many.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Line`].
    pub fn metric_points(&self) -> Result<Vec<MetricPoint>, Error> {
        self.read("metrics.jsonl", metrics::metric_points)
    }

    /// Every log record received so far.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Line`].
    pub fn log_records(&self) -> Result<Vec<LogRecord>, Error> {
        self.read("logs.jsonl", exported::log_records)
    }

    fn read<T>(
        &self,
        file: &str,
        parse: impl Fn(&str) -> Result<Vec<T>, serde_json::Error>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for run in &self.runs {
            let text = match fs::read_to_string(run.join(file)) {
                Ok(text) => text,
                // The collector makes it when it starts, unless it was killed before that.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::Files(error)),
            };
            // A line without its end is still being written.
            for line in text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
            {
                let failed = |source| Error::Line {
                    line: line.trim_end().to_owned(),
                    source,
                };
                all.extend(parse(line).map_err(failed)?);
            }
        }
        Ok(all)
    }

    async fn answer(&mut self) -> Result<(), Error> {
        let healthy = |response: &crate::http::Response| response.is_success().then_some(());
        let url = self.url(&self.health);
        Ok(self
            .process
            .wait_for_http(START_DEADLINE, &url, healthy)
            .await?)
    }

    fn url(&self, port: &Port) -> String {
        format!("http://{}:{}", self.address, port.number())
    }
}

fn launch(
    binary: &Binary,
    run: &PathBuf,
    address: &str,
    ports: [&Port; 3],
) -> Result<Process, Error> {
    fs::create_dir(run).map_err(Error::Files)?;
    let [grpc, http, health] = ports.map(|port| port.number().to_string());
    let configuration = CONFIGURATION
        .replace("ADDRESS", address)
        .replace("GRPC_PORT", &grpc)
        .replace("HTTP_PORT", &http)
        .replace("HEALTH_PORT", &health)
        .replace("FOLDER", &run.to_string_lossy());
    let path = run.join("config.yaml");
    fs::write(&path, configuration).map_err(Error::Files)?;
    let launch = Launch::new("collector", binary.path())
        .arg("--config")
        .arg(path)
        .output_in(run);
    Ok(launch.start()?)
}

fn port_is_taken(error: &Error) -> bool {
    matches!(error, Error::Process(process::Error::Ended { output, .. }) if output.contains("address already in use"))
}
