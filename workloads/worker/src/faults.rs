//! What is wrong with a worker's calls on purpose.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ordermill_runtime::faults::BackendFault;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::plan::Live;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallFate {
    /// How much later it is made.
    pub delay: Duration,
    /// What becomes of it then.
    pub end: CallEnd,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// It is made.
    Made,
    /// It is not made, and fails at once.
    Fails(BackendFault),
    /// It is not made, and fails when its deadline is over.
    Hangs(BackendFault),
}

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
    pub(crate) fn of_call(&self) -> CallFate {
        self.decide(Instant::now(), || rand::rng().random())
    }

    /// The same by numbers of `draw` between 0 and 1, one for each fault that is declared.
    fn decide(&self, now: Instant, mut draw: impl FnMut() -> f64) -> CallFate {
        use BackendFault::{Hang, HttpError, Latency, Unavailable};
        let live = self.live.borrow();
        let table = &live.faults;
        let mut hit = |fault| {
            let declared = table.declared().any(|declared| declared == fault);
            declared && draw() < table.rate(fault, now)
        };
        // All are drawn, so that one does not change what becomes of another.
        let [latency, fails, hangs, refused] =
            [Latency, HttpError, Hang, Unavailable].map(&mut hit);
        let mut refused_until = self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !table.declared().any(|declared| declared == Unavailable) {
            *refused_until = None;
        }
        let still_refused = refused_until.is_some_and(|end| now < end);
        if refused && !still_refused {
            *refused_until = Some(now + table.duration(Unavailable));
        }
        // The gravest has the last word.
        let end = if refused || still_refused {
            CallEnd::Fails(Unavailable)
        } else if hangs {
            CallEnd::Hangs(Hang)
        } else if fails {
            CallEnd::Fails(HttpError)
        } else {
            CallEnd::Made
        };
        CallFate {
            delay: if latency && !still_refused {
                table.duration(Latency)
            } else {
                Duration::ZERO
            },
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_config::WorkerTuning;
    use ordermill_runtime::Tuned as _;

    use super::*;
    use crate::plan::Plan;
    use crate::run::testing::tuning;

    const LATENCY: &str = r#""latency": {"rate": 0.5, "duration": "2s"}"#;
    const HTTP_ERROR: &str = r#""httpError": {"rate": 0.5}"#;
    const HANG: &str = r#""hang": {"rate": 0.5}"#;
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
    fn the_gravest_fault_has_the_last_word() {
        let now = Instant::now();
        let two = Duration::from_secs(2);
        for (declared, delay, end) in [
            (vec![], Duration::ZERO, CallEnd::Made),
            (vec![LATENCY], two, CallEnd::Made),
            (
                vec![LATENCY, HTTP_ERROR],
                two,
                CallEnd::Fails(BackendFault::HttpError),
            ),
            (
                vec![HTTP_ERROR, HANG],
                Duration::ZERO,
                CallEnd::Hangs(BackendFault::Hang),
            ),
            (
                vec![LATENCY, HTTP_ERROR, HANG, UNAVAILABLE],
                two,
                CallEnd::Fails(BackendFault::Unavailable),
            ),
        ] {
            let (_plan, faults) = with(&declared, now);
            let fate = faults.decide(now, || 0.49);
            assert_eq!(fate, CallFate { delay, end }, "{declared:?}");
            let (_plan, faults) = with(&declared, now);
            let fate = faults.decide(now, || 0.5);
            assert_eq!((fate.delay, fate.end), (Duration::ZERO, CallEnd::Made));
        }
    }

    #[test]
    fn while_unavailable_every_call_fails_until_it_is_over_or_edited_away() {
        let start = Instant::now();
        let (mut plan, faults) = with(&[UNAVAILABLE], start);
        let refused = CallEnd::Fails(BackendFault::Unavailable);
        let at = |seconds, draw: f64| {
            let now = start + Duration::from_secs(seconds);
            faults.decide(now, || draw).end
        };
        assert_eq!(at(0, 0.9), CallEnd::Made);
        assert_eq!(at(1, 0.1), refused);
        // A hit meanwhile does not make it longer.
        assert_eq!(at(4, 0.1), refused);
        assert_eq!(at(5, 0.9), refused);
        assert_eq!(at(6, 0.9), CallEnd::Made);
        assert_eq!(at(7, 0.1), refused);
        plan.retune(&tuned(&[]), start + Duration::from_secs(8));
        assert_eq!(at(8, 0.9), CallEnd::Made);
    }

    #[test]
    fn error_rate_is_of_steps_and_not_of_calls() {
        let now = Instant::now();
        let mut tuning = tuned(&[]);
        tuning.error_rate = "1".parse().unwrap();
        let plan = Plan::new(&tuning, now).unwrap();
        let faults = Faults::new(plan.live());
        assert!(faults.fail_step());
        assert_eq!(faults.of_call().end, CallEnd::Made);
    }
}
