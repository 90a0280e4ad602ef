//! What runs in a workload's pod, and by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ordermill_backend::{BackendError, Surroundings, run_backend};
use ordermill_config::{
    CONFIGURATION_FOLDER, DATABASE_URL, Documents, EnvironmentErrors, KEYS_FILE, TUNING_FILE,
    VARIABLES, WorkloadSettings, backend_from_environment, consumer_from_environment,
    process_variables, producer_from_environment, read_tuning, read_workload,
    worker_from_environment,
};
use ordermill_consumer::{ConsumerError, run_consumer};
use ordermill_crds::{BackendApp, ConsumerHandler, ProducerModel};
use ordermill_producer::{ProducerError, run_producer};
use ordermill_runtime::admin::{AdminError, AdminServer, Pushes};
use ordermill_runtime::telemetry::TelemetryError;
use ordermill_runtime::telemetry::log::{self, Stdout};
use ordermill_runtime::tuning::{KeysFile, TuningHandle, watch_file};
use ordermill_runtime::{Instance, Workload, WorkloadEnd, shutdown};
use ordermill_worker::{WorkerError, run_worker, unsupported_task};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

// An event is made on one thread and freed on another, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs one Ordermill workload.
#[derive(Debug, Parser)]
#[command(version, after_help = environment_help())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Where the admin server (/livez, /readyz, /state, /tuning) listens; port 0 takes any free one.
    #[arg(
        long,
        global = true,
        env = "ADMIN_ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    admin: SocketAddr,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs what the operator's documents in a folder say, following edits of the tuning and signed pushes of it.
    Run {
        /// Folder with workload.json, tuning.json and, for pushes, tuning-keys.json.
        #[arg(long, default_value = CONFIGURATION_FOLDER)]
        config: PathBuf,
        /// Number of this instance in a bounded run.
        #[arg(long, env = "JOB_COMPLETION_INDEX", default_value_t = 0)]
        ordinal: u32,
    },
    /// Sends wood orders (the customer), by environment variables.
    #[command(visible_alias = "customer")]
    WoodOrder,
    /// Sends wood deliveries (the supplier), by environment variables.
    #[command(visible_alias = "supplier")]
    WoodStock,
    /// Sends retail sales and refunds, by environment variables.
    RetailSale,
    /// Sends food orders, by environment variables.
    FoodOrder,
    /// Sends life cycles of drink orders, by environment variables.
    DrinkOrder,
    /// Serves the API of wood orders, by environment variables.
    Order,
    /// Serves the API of wood in stock, by environment variables.
    Stock,
    /// Checks wood orders and posts them to the order API, by environment variables.
    #[command(visible_alias = "ordercheck")]
    OrderCheck,
    /// Checks wood deliveries and posts them to the stock API, by environment variables.
    #[command(visible_alias = "stockcheck")]
    StockCheck,
    /// Moves registered wood orders on, by environment variables.
    #[command(visible_alias = "ordermanagement")]
    OrderManagement,
}

fn environment_help() -> String {
    let lines = VARIABLES
        .iter()
        .map(|(name, meaning)| format!("  {name:<28} {meaning}\n"));
    format!(
        "Environment variables of the commands but run:\n{}",
        lines.collect::<String>()
    )
}

/// Why the workload ended badly.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the environment variables cannot be used:\n{0}")]
    Environment(EnvironmentErrors),
    #[error("the configuration cannot be used")]
    Document(#[from] ordermill_config::DocumentError),
    #[error("this version runs no {0} yet")]
    Unsupported(&'static str),
    #[error(transparent)]
    Log(#[from] log::InitError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Producer(#[from] ProducerError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("a part of the workload broke down")]
    Broken(#[source] tokio::task::JoinError),
    #[error("the admin server broke down")]
    Serving(#[source] std::io::Error),
    #[error("{0} records were not delivered in time")]
    Undelivered(usize),
    // A Job takes exit code 0 of a pod that is evicted for work that is done.
    #[error("asked to end before all events were sent; the next start goes on where this one was")]
    Unfinished,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    shutdown::end_with(runtime.block_on(run(arguments)))
}

/// What to run, and the folder that it came from and is tuned by.
struct Job {
    documents: Documents,
    config: Option<PathBuf>,
    ordinal: u32,
}

/// Refuses what only a later version can run, instead of running something else.
fn expect_supported(settings: &WorkloadSettings) -> Result<(), Failure> {
    match settings {
        WorkloadSettings::Producer(producer) if !producer.backends.is_empty() => Err(
            Failure::Unsupported("OrderProducer with drinkOrder.backend"),
        ),
        WorkloadSettings::Backend(backend) if backend.app == BackendApp::Customer => {
            Err(Failure::Unsupported("Backend with app Customer"))
        }
        WorkloadSettings::Consumer(consumer) => match consumer.handler {
            ConsumerHandler::OrderCheck | ConsumerHandler::StockCheck => Ok(()),
            ConsumerHandler::Inventory => unsupported("StreamConsumer with handler Inventory"),
            ConsumerHandler::OrderAnalytics => {
                unsupported("StreamConsumer with handler OrderAnalytics")
            }
            ConsumerHandler::RetailAnalytics => {
                unsupported("StreamConsumer with handler RetailAnalytics")
            }
            ConsumerHandler::CustomerStats => {
                unsupported("StreamConsumer with handler CustomerStats")
            }
        },
        WorkloadSettings::Producer(_) | WorkloadSettings::Backend(_) => Ok(()),
        WorkloadSettings::Worker(worker) => {
            unsupported_task(worker.task).map_or(Ok(()), unsupported)
        }
    }
}

const fn unsupported(what: &'static str) -> Result<(), Failure> {
    Err(Failure::Unsupported(what))
}

/// Runs what the documents say to its end.
async fn work(workload: Workload) -> Result<WorkloadEnd, Failure> {
    if let WorkloadSettings::Backend(_) = workload.document.workload {
        let surroundings = Surroundings {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            database_url: std::env::var(DATABASE_URL)
                .ok()
                .filter(|url| !url.is_empty()),
        };
        return Ok(run_backend(workload, surroundings).await?);
    }
    if let WorkloadSettings::Consumer(_) = workload.document.workload {
        return Ok(run_consumer(workload).await?);
    }
    if let WorkloadSettings::Worker(_) = workload.document.workload {
        return Ok(run_worker(workload).await?);
    }
    Ok(run_producer(workload).await?)
}

fn job(command: Command) -> Result<Job, Failure> {
    let variables = process_variables();
    let by_hand = match command {
        Command::Run { config, ordinal } => {
            let documents = Documents {
                workload: read_workload(&config)?,
                tuning: read_tuning(&config.join(TUNING_FILE))?,
            };
            expect_supported(&documents.workload.workload)?;
            return Ok(Job {
                documents,
                config: Some(config),
                ordinal,
            });
        }
        Command::WoodOrder => producer_from_environment(ProducerModel::WoodOrder, &variables),
        Command::WoodStock => producer_from_environment(ProducerModel::WoodStock, &variables),
        Command::RetailSale => producer_from_environment(ProducerModel::RetailSale, &variables),
        Command::FoodOrder => producer_from_environment(ProducerModel::FoodOrder, &variables),
        Command::DrinkOrder => producer_from_environment(ProducerModel::DrinkOrder, &variables),
        Command::Order => backend_from_environment(BackendApp::Order, &variables),
        Command::Stock => backend_from_environment(BackendApp::Stock, &variables),
        Command::OrderCheck => consumer_from_environment(ConsumerHandler::OrderCheck, &variables),
        Command::StockCheck => consumer_from_environment(ConsumerHandler::StockCheck, &variables),
        Command::OrderManagement => worker_from_environment(&variables),
    };
    let mut documents = by_hand.map_err(Failure::Environment)?;
    if documents.workload.resource.uid.is_empty() {
        // Without a name for the run, each start is a run of its own.
        let run = Instance::unique();
        documents.workload.resource.uid.clone_from(&run);
        documents.tuning.uid = run;
    }
    Ok(Job {
        documents,
        config: None,
        ordinal: 0,
    })
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Job {
        documents,
        config,
        ordinal,
    } = job(arguments.command)?;
    let Documents {
        workload: document,
        tuning,
    } = documents;
    log::init(
        document.telemetry.log_format,
        tuning.tuning.log_level,
        Stdout,
    )?;
    let cancelled = CancellationToken::new();
    shutdown::cancel_on_signal(cancelled.clone()).map_err(Failure::Signals)?;
    let admin = AdminServer::bind(arguments.admin).await?;
    let bounded = document.workload.producer();
    let bounded = bounded.is_some_and(|producer| producer.bounded.is_some());
    let host = std::env::var("POD_NAME").unwrap_or_else(|_| document.resource.name.clone());
    let instance = Instance::of(&document, ordinal, &host);
    let handle = TuningHandle::new(tuning);
    let workload = Workload::start(
        document,
        handle.clone(),
        instance,
        &process_variables(),
        cancelled.clone(),
    )?;
    let span = workload.telemetry.log().span();
    span.in_scope(|| tracing::info!(address = %admin.address(), "the admin server listens"));

    let background = CancellationToken::new();
    let pushes = config.as_ref().map(|folder| Pushes {
        tuning: handle.clone(),
        keys: KeysFile::new(folder.join(KEYS_FILE)),
    });
    let serving = admin.serve(workload.state.clone(), pushes, background.clone());
    let mut serving = tokio::spawn(serving.instrument(span.clone()));
    let watching = config.map(|folder| {
        let watching = watch_file(folder.join(TUNING_FILE), handle, background.clone());
        tokio::spawn(watching.instrument(span))
    });
    let mut working = tokio::spawn(work(workload.clone()));
    let end = tokio::select! {
        end = &mut working => {
            let end = end.map_err(Failure::Broken)?;
            if let Err(Failure::Consumer(ConsumerError::Crash)) = end {
                // What led to it is to be seen; all else ends as it would by itself.
                workload.flush_telemetry().await;
                std::process::abort();
            }
            end?
        }
        served = &mut serving => {
            served.map_err(Failure::Broken)?.map_err(Failure::Serving)?;
            working.await.map_err(Failure::Broken)??
        }
    };
    workload.flush_telemetry().await;
    background.cancel();
    if !serving.is_finished() {
        serving
            .await
            .map_err(Failure::Broken)?
            .map_err(Failure::Serving)?;
    }
    if let Some(watching) = watching {
        watching.await.map_err(Failure::Broken)?;
    }
    match end {
        WorkloadEnd::Stopped if bounded => Err(Failure::Unfinished),
        WorkloadEnd::Completed | WorkloadEnd::Stopped => Ok(()),
        WorkloadEnd::Undelivered(records) => Err(Failure::Undelivered(records)),
    }
}
