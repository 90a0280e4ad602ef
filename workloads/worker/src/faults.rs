//! What is wrong with a worker's calls on purpose.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ordermill_runtime::faults::{BackendFault, End, Fate};
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::plan::Live;

/// Those that hit calls; `errorRate` is of the steps of the job.
const OF_CALLS: [BackendFault; 4] = [
    BackendFault::HttpError,
    BackendFault::Latency,
    BackendFault::Hang,
    BackendFault::Unavailable,
];

/// The faults that hit one worker.
#[derive(Debug)]
pub(crate) struct Faults {
    live: watch::Receiver<Live>,
    /// Until when every call fails.
    refused_until: Mutex<Option<Instant>>,
}

impl Faults {
    pub(crate) const fn new(live: watch::Receiver<Live>) -> Self {
        Self {
            live,
            refused_until: Mutex::new(None),
        }
    }

    /// Whether a step of the job fails, as `errorRate` asks for. Each call of this draws anew.
    pub(crate) fn fail_step(&self) -> bool {
        let live = self.live.borrow();
        rand::rng().random::<f64>() < live.faults.rate(BackendFault::ErrorRate, Instant::now())
    }

    /// What happens to the next call.
    pub(crate) fn of_call(&self) -> Fate {
        self.decide(Instant::now(), || rand::rng().random())
    }

    /// The same by numbers of `draw`, as [`FaultTable::fate`](ordermill_runtime::faults::FaultTable::fate) takes them.
    fn decide(&self, now: Instant, draw: impl FnMut() -> f64) -> Fate {
        let live = self.live.borrow();
        let mut refused_until = self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !live.faults.may_hit(BackendFault::Unavailable) {
            *refused_until = None;
        }
        if let Some(end) = refused_until.filter(|end| now < *end) {
            return Fate {
                delay: Duration::ZERO,
                end: End::Refused(end - now),
            };
        }
        let fate = live.faults.fate(&OF_CALLS, now, draw);
        if let End::Refused(time) = fate.end {
            *refused_until = Some(now + time);
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use ordermill_config::WorkerTuning;
    use ordermill_runtime::Tuned as _;

    use super::*;
    use crate::plan::Plan;
    use crate::run::testing::tuning;

    const UNAVAILABLE: &str = r#""unavailable": {"rate": 0.5, "duration": "5s"}"#;

    fn tuned(faults: &[&str]) -> ordermill_config::Tuning {
        let mut tuning = tuning("5s", 0.0);
        let worker = tuning.worker.take().unwrap();
        tuning.worker = Some(WorkerTuning {
            faults: serde_json::from_str(&format!("{{{}}}", faults.join(","))).unwrap(),
            ..worker
        });
        tuning
    }

    fn with(declared: &[&str], now: Instant) -> (Plan, Faults) {
        let plan = Plan::new(&tuned(declared), now).unwrap();
        let faults = Faults::new(plan.live());
        (plan, faults)
    }

    #[test]
    fn while_unavailable_every_call_fails_until_it_is_over_or_edited_away() {
        let start = Instant::now();
        let (mut plan, faults) = with(&[UNAVAILABLE], start);
        let refused = |seconds| End::Refused(Duration::from_secs(seconds));
        let at = |seconds, draw: f64| {
            let now = start + Duration::from_secs(seconds);
            faults.decide(now, || draw).end
        };
        assert_eq!(at(0, 0.9), End::Regular);
        assert_eq!(at(1, 0.1), refused(5));
        // A hit meanwhile does not make it longer.
        assert_eq!(at(4, 0.1), refused(2));
        assert_eq!(at(5, 0.9), refused(1));
        assert_eq!(at(6, 0.9), End::Regular);
        assert_eq!(at(7, 0.1), refused(5));
        plan.retune(&tuned(&[]), start + Duration::from_secs(8));
        assert_eq!(at(8, 0.9), End::Regular);
    }

    #[test]
    fn error_rate_is_of_steps_and_not_of_calls() {
        let now = Instant::now();
        let mut tuning = tuned(&[]);
        tuning.error_rate = "1".parse().unwrap();
        let plan = Plan::new(&tuning, now).unwrap();
        let faults = Faults::new(plan.live());
        assert!(faults.fail_step());
        assert_eq!(faults.of_call().end, End::Regular);
    }
}
