//! One instance of a resource: the workload's own code, in this process.

use std::net::{IpAddr, Ipv4Addr};

use ordermill_backend::{Surroundings, run_backend};
use ordermill_config::{
    TroubleReason, WorkloadDocument, WorkloadSettings, full_error, process_variables,
};
use ordermill_consumer::{ConsumerError, run_consumer};
use ordermill_producer::run_producer;
use ordermill_runtime::telemetry::TelemetryError;
use ordermill_runtime::tuning::TuningHandle;
use ordermill_runtime::{Instance, Workload, WorkloadEnd};
use ordermill_worker::run_worker;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An instance that runs, or has ended.
pub(super) struct Running {
    pub(super) workload: Workload,
    /// Ends with the number of records that were not delivered.
    pub(super) task: JoinHandle<usize>,
    /// Cancelled when the task has ended, however.
    pub(super) ended: CancellationToken,
}

impl Running {
    /// Starts the instance of an ordinal, once the former one has ended whose place it takes.
    pub(super) fn start(
        document: WorkloadDocument,
        tuning: &TuningHandle,
        ordinal: u32,
        name: &str,
        database_url: Option<String>,
        former: Option<CancellationToken>,
    ) -> Result<Self, TelemetryError> {
        let instance = Instance::of(&document, ordinal, name);
        let workload = Workload::start(
            document,
            tuning.clone(),
            instance,
            &process_variables(),
            CancellationToken::new(),
        )?;
        let ended = CancellationToken::new();
        let (running, guard) = (workload.clone(), ended.clone().drop_guard());
        let task = tokio::spawn(async move {
            let _guard = guard;
            if let Some(former) = former {
                // One that is cancelled itself ends at once.
                let cancelled = running.cancelled.clone();
                cancelled.run_until_cancelled(former.cancelled()).await;
            }
            run(running, database_url).await
        });
        Ok(Self {
            workload,
            task,
            ended,
        })
    }
}

/// Runs an instance to its end; returns the records that were not delivered.
async fn run(workload: Workload, database_url: Option<String>) -> usize {
    let end = match &workload.document.workload {
        WorkloadSettings::Producer(_) => told(run_producer(workload.clone()).await),
        WorkloadSettings::Consumer(_) => consume(&workload).await,
        WorkloadSettings::Worker(_) => told(run_worker(workload.clone()).await),
        WorkloadSettings::Backend(_) => {
            // Nobody else's machine is to reach it.
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let surroundings = Surroundings {
                address,
                database_url,
            };
            told(run_backend(workload.clone(), surroundings).await)
        }
    };
    workload.flush_telemetry().await;
    match end {
        Ok(WorkloadEnd::Undelivered(records)) => records,
        Ok(WorkloadEnd::Completed | WorkloadEnd::Stopped) => 0,
        Err(error) => {
            workload
                .health
                .report(TroubleReason::ConfigurationInvalid, error);
            0
        }
    }
}

fn told<E: std::error::Error>(end: Result<WorkloadEnd, E>) -> Result<WorkloadEnd, String> {
    end.map_err(|error| full_error(&error))
}

/// A pod that aborts is started again; here, only what aborts is.
async fn consume(workload: &Workload) -> Result<WorkloadEnd, String> {
    loop {
        match run_consumer(workload.clone()).await {
            Err(ConsumerError::Crash) => {
                tracing::warn!(name = workload.state.resource().name, "started again");
            }
            end => return told(end),
        }
    }
}
