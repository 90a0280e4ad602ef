//! `ordermill local`: an order system on one machine, by the same workload code as in a cluster.

mod embedded;
mod instance;
mod manifests;
mod plain;
mod ports;
mod report;
mod resource;
mod supervisor;
mod table;
mod tail;
mod wanted;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ordermill_config::{
    EnvironmentErrors, KafkaConnection, kafka_from_environment, process_variables,
};
use ordermill_crds::validate::{Schemas, SchemasError};
use ordermill_crds::values::{BootstrapServers, TelemetryEndpoint};
use ordermill_crds::{LogFormat, LogLevel};
use ordermill_runtime::shutdown;
use ordermill_runtime::telemetry::log::{self, ChannelSink, Stderr};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::embedded::EmbeddedKafka;
use self::supervisor::{Settings, Supervisor};

/// Options of `ordermill local`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Files and folders with manifests, followed while they are edited.
    #[arg(short, long = "filename", default_value = "examples", num_args = 1.., value_name = "PATH")]
    filenames: Vec<PathBuf>,
    /// Addresses of a Kafka to use instead of the embedded one; `KAFKA_TLS`_* and `KAFKA_SASL`_* variables give its security.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<BootstrapServers>,
    /// End after this time, such as 20s or 5m. Default: when everything is done, or at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION")]
    lasts: Option<ordermill_crds::values::Duration>,
    /// How to show what happens. Default: table on a terminal, else plain.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// Send telemetry to this OTLP endpoint, such as <http://localhost:4317>. The manifests' own endpoints are a cluster's.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<TelemetryEndpoint>,
    /// Names this run: bounded producers of a later run of the same name go on where they were.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table that refreshes, with the log above it.
    Table,
    /// One JSON document at the end; the log goes to standard error.
    Json,
    /// A line for each resource every few seconds; the log goes to standard error.
    Plain,
}

/// Why the order system cannot run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the rules of the resources cannot be read")]
    Schemas(#[from] SchemasError),
    #[error("the environment variables cannot be used: {0}")]
    Environment(EnvironmentErrors),
    #[error("{0} violations: nothing runs")]
    Violations(usize),
    #[error("there is no resource of ours in the manifests")]
    Nothing,
    #[error(transparent)]
    Log(#[from] log::InitError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error("the embedded Kafka cannot be started")]
    Embedded(#[source] rdkafka::error::KafkaError),
    #[error("the terminal cannot be used")]
    Terminal(#[source] std::io::Error),
    #[error("no runtime can be started")]
    Runtime(#[source] std::io::Error),
    #[error("no folder can be made for the backends' data")]
    Data(#[source] std::io::Error),
    #[error("the result cannot be written")]
    Result(#[source] serde_json::Error),
    #[error("{0} records were not delivered in time")]
    Undelivered(usize),
}

/// Runs the order system; exit code 0 where it ended as asked.
pub(crate) fn run(options: Options) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => shutdown::end_with(runtime.block_on(run_async(options))),
        Err(error) => shutdown::end_with(Err(Failure::Runtime(error))),
    }
}

/// A table where there is a terminal that can show one.
fn default_output() -> Output {
    if !std::io::stdout().is_terminal() {
        return Output::Plain;
    }
    if let Err(error) = table::probe() {
        eprintln!("this terminal shows no table ({error}): a line for each resource instead");
        return Output::Plain;
    }
    Output::Table
}

async fn run_async(options: Options) -> Result<(), Failure> {
    let output = options.output.unwrap_or_else(default_output);
    let schemas = Schemas::of_this_build()?;
    let manifests = manifests::load(&options.filenames, &schemas);
    if !manifests.violations.is_empty() {
        for violation in &manifests.violations {
            eprintln!("{violation}");
        }
        return Err(Failure::Violations(manifests.violations.len()));
    }
    if manifests.objects.is_empty() {
        return Err(Failure::Nothing);
    }
    let mut lines = None;
    if output == Output::Table {
        let (sink, reader) = ChannelSink::new(1000);
        log::init(LogFormat::Text, LogLevel::Info, sink)?;
        lines = Some(reader);
    } else {
        log::init(LogFormat::Text, LogLevel::Info, Stderr)?;
    }
    let cancelled = CancellationToken::new();
    shutdown::cancel_on_signal(cancelled.clone()).map_err(Failure::Signals)?;
    let (embedded, connection) = kafka(options.kafka)?;
    let kafka_address = connection.bootstrap_servers.to_string();
    let settings = Settings {
        paths: options.filenames,
        schemas,
        connection,
        otlp_endpoint: options.otlp_endpoint,
        run: options
            .run
            .unwrap_or_else(ordermill_runtime::Instance::unique),
    };
    let mut supervisor = Supervisor::new(settings, embedded).map_err(Failure::Data)?;
    supervisor.apply(manifests);
    let end = options.lasts.map(|lasts| Instant::now() + lasts.get());
    let ending = cancelled.clone();
    match output {
        Output::Table => {
            let reader = lines.take();
            table::show(&mut supervisor, reader, &kafka_address, &ending, end).await?;
        }
        Output::Plain => plain::show(&mut supervisor, &kafka_address, &ending, end).await,
        Output::Json => supervisor.run_until(&ending, end).await,
    }
    let undelivered = supervisor.stop().await;
    let summary = supervisor.summary(&kafka_address);
    match output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&summary).map_err(Failure::Result)?;
            println!("{text}");
        }
        Output::Table | Output::Plain => plain::print_summary(&summary),
    }
    if undelivered > 0 {
        Err(Failure::Undelivered(undelivered))
    } else {
        Ok(())
    }
}

/// The Kafka to use: the given one, or one inside this process.
fn kafka(
    given: Option<BootstrapServers>,
) -> Result<(Option<EmbeddedKafka>, KafkaConnection), Failure> {
    let Some(servers) = given else {
        let embedded = EmbeddedKafka::start().map_err(Failure::Embedded)?;
        let connection = KafkaConnection::plain(embedded.bootstrap_servers().clone());
        return Ok((Some(embedded), connection));
    };
    let connection =
        kafka_from_environment(servers, &process_variables()).map_err(Failure::Environment)?;
    Ok((None, connection))
}

/// How often what is shown is renewed.
const REFRESH: Duration = Duration::from_millis(250);
