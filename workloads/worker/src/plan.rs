//! When a worker runs its task, and what an edit changes of that.

use std::time::Duration;

use ordermill_config::{Tuning, WorkerTuning};
use ordermill_runtime::Tuned;
use ordermill_runtime::faults::{BackendFault, Declared, FaultTable, backend_faults};
use tokio::sync::watch;
use tokio::time::Instant;

/// What an edit changes of a run that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// Nothing new is begun.
    pub paused: bool,
    /// What is wrong on purpose.
    pub faults: FaultTable<BackendFault>,
}

/// When the runs of one worker are due. A run that takes longer than the interval is followed by the next one at once, and
/// what fell due meanwhile is not made up for.
#[derive(Debug)]
pub(crate) struct Plan {
    live: watch::Sender<Live>,
    interval: Duration,
    /// When the first run is due.
    origin: Instant,
    /// When the last run began.
    last: Option<Instant>,
}

impl Plan {
    /// A plan whose first run is due now; `None` where the tuning is no worker's.
    pub(crate) fn new(tuning: &Tuning, now: Instant) -> Option<Self> {
        let WorkerTuning { interval, .. } = tuning.worker.as_ref()?;
        Some(Self {
            live: watch::Sender::new(Live {
                paused: tuning.paused,
                faults: FaultTable::new(declared(tuning)?, now),
            }),
            interval: interval.get(),
            origin: now,
            last: None,
        })
    }

    /// What runs follow.
    pub(crate) fn live(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// When the next run is due; `None` while paused.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.live.borrow().paused {
            return None;
        }
        match self.last {
            None => Some(self.origin),
            Some(last) => last.checked_add(self.interval),
        }
    }

    /// Says that a run begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

impl Tuned for Plan {
    /// Another interval counts from when the last run began.
    fn retune(&mut self, tuning: &Tuning, now: Instant) {
        if let Some(worker) = &tuning.worker {
            self.interval = worker.interval.get();
        }
        self.live.send_modify(|live| {
            live.paused = tuning.paused;
            if let Some(declared) = declared(tuning) {
                live.faults = live.faults.retuned(declared, now);
            }
        });
    }
}

fn declared(tuning: &Tuning) -> Option<Vec<(BackendFault, Declared)>> {
    let WorkerTuning { faults, .. } = tuning.worker.as_ref()?;
    Some(backend_faults(tuning.error_rate, faults))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::tuning;

    fn plan(interval: &str, now: Instant) -> Plan {
        Plan::new(&tuning(interval, 0.0), now).unwrap()
    }

    #[test]
    fn the_first_run_is_due_at_once_and_the_next_an_interval_after_its_beginning() {
        let start = Instant::now();
        let mut plan = plan("5s", start);
        assert_eq!(plan.next(), Some(start));
        let late = start + Duration::from_secs(1);
        plan.begin(late);
        assert_eq!(plan.next(), Some(late + Duration::from_secs(5)));
        // The run took twelve seconds: the next one is due, and no second one.
        let next = start + Duration::from_secs(13);
        plan.begin(next);
        assert_eq!(plan.next(), Some(next + Duration::from_secs(5)));
    }

    #[test]
    fn an_edited_interval_counts_from_the_last_run() {
        let start = Instant::now();
        let mut plan = plan("1h", start);
        plan.begin(start);
        let edit = start + Duration::from_mins(1);
        plan.retune(&tuning("2s", 0.0), edit);
        assert_eq!(plan.next(), Some(start + Duration::from_secs(2)));
        plan.retune(&tuning("2h", 0.0), edit);
        assert_eq!(plan.next(), Some(start + Duration::from_hours(2)));
    }

    #[test]
    fn a_paused_worker_runs_never_and_one_that_goes_on_as_planned() {
        let start = Instant::now();
        let mut plan = plan("5s", start);
        plan.begin(start);
        let mut paused = tuning("5s", 0.0);
        paused.paused = true;
        plan.retune(&paused, start);
        assert_eq!(plan.next(), None);
        assert!(plan.live().borrow().paused);
        plan.retune(&tuning("5s", 0.0), start + Duration::from_mins(1));
        assert_eq!(plan.next(), Some(start + Duration::from_secs(5)));
    }

    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "the rates are handed through, not computed"
    )]
    fn an_edit_reaches_a_run_that_is_under_way() {
        let start = Instant::now();
        let mut plan = plan("5s", start);
        let live = plan.live();
        let rate = || live.borrow().faults.rate(BackendFault::ErrorRate, start);
        assert_eq!(rate(), 0.0);
        plan.retune(&tuning("5s", 0.5), start);
        assert_eq!(rate(), 0.5);
    }
}
