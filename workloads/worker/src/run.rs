//! A worker from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::{BackendRole, TaskSettings, WorkloadSettings};
use ordermill_runtime::api::ApiClientError;
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::order_management::OrderManagement;
use crate::plan::Plan;

/// Why a worker cannot run at all. Troubles that may pass are not among them: they are shown and waited out.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The documents do not describe a worker.
    #[error("the documents do not describe a worker: {0} is missing")]
    Documents(&'static str),
    /// This version has no such task.
    #[error("this version runs no {0} yet")]
    Unsupported(&'static str),
    /// An API has no address that can be called.
    #[error("the {role} API cannot be called")]
    Api {
        /// Which.
        role: BackendRole,
        /// Why not.
        #[source]
        source: ApiClientError,
    },
    /// A part of it broke down.
    #[error("a part of the worker broke down")]
    Broken(#[from] JoinError),
}

/// What a task is called that only a later version runs; `None` for one that this version runs.
#[must_use]
pub const fn unsupported_task(task: TaskSettings) -> Option<&'static str> {
    match task {
        TaskSettings::OrderManagement { .. } => None,
        TaskSettings::StatsAggregation => Some("Worker with task StatsAggregation"),
        TaskSettings::RewardNotification => Some("Worker with task RewardNotification"),
        TaskSettings::LoyaltyExpiry { .. } => Some("Worker with task LoyaltyExpiry"),
        TaskSettings::DataCleanup { .. } => Some("Worker with task DataCleanup"),
    }
}

/// Runs a worker's task at every interval, until it is asked to end.
///
/// # Errors
/// When its documents cannot be used at all.
pub async fn run_worker(workload: Workload) -> Result<WorkloadEnd, WorkerError> {
    let span = workload.telemetry.log().span();
    run(workload).instrument(span).await
}

async fn run(workload: Workload) -> Result<WorkloadEnd, WorkerError> {
    let document = Arc::clone(&workload.document);
    let WorkloadSettings::Worker(settings) = &document.workload else {
        return Err(WorkerError::Documents("worker settings"));
    };
    let TaskSettings::OrderManagement { lease } = settings.task else {
        let task = unsupported_task(settings.task).unwrap_or_default();
        return Err(WorkerError::Unsupported(task));
    };
    let plan = |tuning: &_| Plan::new(tuning, Instant::now());
    let mut controls = ordermill_runtime::Controls::new(&workload, plan)
        .ok_or(WorkerError::Documents("worker tuning"))?;
    let task = OrderManagement::new(&workload, settings, lease, controls.tuned.live())?;
    let task = Arc::new(task);
    tracing::info!(
        generation = workload.state.version().generation,
        instance = workload.instance.name,
        "the worker starts"
    );
    controls.begin();
    let mut running: Option<AbortOnDropHandle<()>> = None;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = controls.tuned.next().filter(|_| running.is_none());
        tokio::select! {
            biased;
            () = workload.cancelled.cancelled() => break,
            () = controls.changed() => controls.apply(),
            _ = second.tick() => controls.observe(),
            ended = end_of(&mut running) => {
                ended?;
                running = None;
            }
            () = until(due) => {
                controls.tuned.begin(Instant::now());
                let task = Arc::clone(&task);
                let run = async move { task.run().await };
                running = Some(AbortOnDropHandle::new(tokio::spawn(run.in_current_span())));
            }
        }
    }
    workload.state.set_phase(Phase::Stopping);
    let in_time = tokio::time::timeout(workload.drain, end_of_any(&mut running)).await;
    if let Ok(ended) = in_time {
        ended?;
    } else {
        tracing::warn!("what was in work took too long: it is left to its lease");
    }
    drop(running);
    workload.state.set_phase(Phase::Stopped);
    tracing::info!("the worker has stopped");
    Ok(WorkloadEnd::Stopped)
}

/// Waits for a moment; for ever where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        None => std::future::pending().await,
        Some(moment) => tokio::time::sleep_until(moment).await,
    }
}

/// Waits until the run is over; for ever where there is none.
async fn end_of(running: &mut Option<AbortOnDropHandle<()>>) -> Result<(), JoinError> {
    match running {
        None => std::future::pending().await,
        Some(run) => run.await,
    }
}

/// The same, and at once where there is none.
async fn end_of_any(running: &mut Option<AbortOnDropHandle<()>>) -> Result<(), JoinError> {
    match running {
        None => Ok(()),
        some => end_of(some).await,
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of this crate share.

    use ordermill_config::{Tuning, WorkerTuning};
    use ordermill_crds::LogLevel;
    use ordermill_crds::values::Fraction;

    /// A worker's tuning with this interval and error rate, and nothing else.
    pub(crate) fn tuning(interval: &str, error_rate: f64) -> Tuning {
        Tuning {
            paused: false,
            error_rate: Fraction::try_from(error_rate).unwrap(),
            log_level: LogLevel::Info,
            trace_sampling: Fraction::MAXIMUM,
            producer: None,
            consumer: None,
            worker: Some(WorkerTuning {
                interval: interval.parse().unwrap(),
                faults: serde_json::from_str("{}").unwrap(),
            }),
            backend: None,
        }
    }
}
