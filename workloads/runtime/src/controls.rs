//! The live part of a running workload: the tuning in force, and the phase that follows from it.

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::{TroubleReason, Tuning, TuningDocument, full_error};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Workload;
use crate::state::Phase;

/// Time between attempts to get ready, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// What a kind of workload is tuned by, besides what all are.
pub trait Tuned {
    /// Follows another tuning from now on.
    fn retune(&mut self, tuning: &Tuning, now: Instant);

    /// Events per second that the plan asks for; 0 where nothing is planned.
    fn planned_rate(&self, _now: Instant) -> f64 {
        0.0
    }
}

/// Follows the tuning of a workload, and shows what it runs with.
#[derive(Debug)]
pub struct Controls<T> {
    workload: Workload,
    changes: watch::Receiver<Arc<TuningDocument>>,
    running: Arc<TuningDocument>,
    /// Whether everything that it needs was there once.
    begun: bool,
    /// What its own kind is tuned by.
    pub tuned: T,
}

impl<T: Tuned> Controls<T> {
    /// Begins with the tuning of now; `None` where `tuned` finds that it is another kind's.
    pub fn new(workload: &Workload, tuned: impl FnOnce(&Tuning) -> Option<T>) -> Option<Self> {
        let mut changes = workload.tuning.subscribe();
        let running = Arc::clone(&changes.borrow_and_update());
        let tuned = tuned(&running.tuning)?;
        // It may be newer than the one that the workload was put together with.
        workload.follow(&running);
        workload.state.set_version(running.version());
        let controls = Self {
            workload: workload.clone(),
            changes,
            running,
            begun: false,
            tuned,
        };
        controls.show_phase();
        Some(controls)
    }

    /// Everything is there: from now on it works, unless it is paused.
    pub fn begin(&mut self) {
        self.begun = true;
        self.show_phase();
    }

    /// The tuning that is in force.
    pub fn tuning(&self) -> &Tuning {
        &self.running.tuning
    }

    /// Waits for another tuning. It never ends where no more can come. Safe to drop at any time.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the newest tuning over, whole; shows its generation when it is in force.
    pub fn apply(&mut self) {
        self.apply_with(|_, _| ());
    }

    /// The same, also for something besides that follows it.
    pub fn apply_with(&mut self, retune: impl FnOnce(&Tuning, Instant)) {
        let document = Arc::clone(&self.changes.borrow_and_update());
        let now = Instant::now();
        self.workload.retune(&self.running, &document);
        retune(&document.tuning, now);
        self.tuned.retune(&document.tuning, now);
        self.running = document;
        self.show_phase();
        self.workload.state.set_version(self.running.version());
        self.observe();
    }

    /// Shows what the plan asks for, and takes a sample for the rate; to be called about once a second.
    pub fn observe(&self) {
        let rate = self.tuned.planned_rate(Instant::now());
        self.workload.telemetry.counters().set_planned_rate(rate);
        self.workload.state.sample();
    }

    fn show_phase(&self) {
        let phase = if self.running.tuning.paused {
            Phase::Paused
        } else if self.begun {
            Phase::Running
        } else {
            Phase::Starting
        };
        self.workload.state.set_phase(phase);
    }

    /// Does what comes before there is anything to do, while following the tuning; `None`: asked to end meanwhile.
    pub async fn follow_during<V>(&mut self, work: impl Future<Output = V>) -> Option<V> {
        let cancelled = self.workload.cancelled.clone();
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return None,
                result = &mut work => return Some(result),
                () = self.changed() => self.apply(),
            }
        }
    }

    /// Waits for a time while following the tuning; `false`: asked to end meanwhile.
    pub async fn wait(&mut self, time: Duration) -> bool {
        self.follow_during(tokio::time::sleep(time)).await.is_some()
    }

    /// Shows a trouble and waits before the next attempt; `false`: asked to end meanwhile.
    pub async fn trouble(
        &mut self,
        reason: TroubleReason,
        message: String,
        time: Duration,
    ) -> bool {
        self.workload.health.report(reason, message);
        self.wait(time).await
    }

    /// Attempts something until it succeeds, showing the trouble that `passing` finds in an error meanwhile; `None`: asked
    /// to end before that.
    ///
    /// # Errors
    /// The first error that will not pass.
    pub async fn until_ready<V, E, F>(
        &mut self,
        mut attempt: impl FnMut() -> F,
        passing: impl Fn(&E) -> Option<TroubleReason>,
    ) -> Result<Option<V>, E>
    where
        E: std::error::Error,
        F: Future<Output = Result<V, E>>,
    {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let Some(result) = self.follow_during(attempt()).await else {
                return Ok(None);
            };
            let error = match result {
                Ok(value) => {
                    self.workload.health.working();
                    return Ok(Some(value));
                }
                Err(error) => error,
            };
            let Some(reason) = passing(&error) else {
                return Err(error);
            };
            if !self.trouble(reason, full_error(&error), backoff).await {
                return Ok(None);
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }
}
