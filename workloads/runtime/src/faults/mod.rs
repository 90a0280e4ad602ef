//! Failures made on purpose: which of them hold now, and whom they hit.

mod fate;
mod kinds;

use std::time::Duration;

use ordermill_crds::values::{Delay, Fraction, Period};
use ordermill_crds::{Fault, TimedFault};
use tokio::time::Instant;

pub use self::fate::{End, Fate};
pub use self::kinds::{
    BackendFault, ConsumerFault, ProducerFault, backend_faults, consumer_faults, known_fault,
    producer_faults,
};

/// The name under which what `errorRate` does is marked and counted.
pub const ERROR_RATE: &str = "errorRate";

/// A fault as somebody declared it, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declared {
    rate: Fraction,
    duration: Duration,
    after: Duration,
    lasts: Option<Duration>,
}

impl Declared {
    /// One that holds from the start and without end, as `errorRate` does.
    #[must_use]
    pub const fn always(rate: Fraction) -> Self {
        Self {
            rate,
            duration: Duration::ZERO,
            after: Duration::ZERO,
            lasts: None,
        }
    }

    fn new(rate: Fraction, after: Option<Delay>, lasts: Option<Period>) -> Self {
        Self {
            after: after.map_or(Duration::ZERO, Delay::get),
            lasts: lasts.map(Period::get),
            ..Self::always(rate)
        }
    }
}

impl From<&Fault> for Declared {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.rate, fault.after, fault.lasts)
    }
}

impl From<&TimedFault> for Declared {
    fn from(fault: &TimedFault) -> Self {
        Self {
            duration: fault.duration.get(),
            ..Self::new(fault.rate, fault.after, fault.lasts)
        }
    }
}

/// A fault that a workload runs with, and since when: its window counts from there.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Active {
    declared: Declared,
    since: Instant,
}

/// The faults of one workload, by what names them.
#[derive(Debug, Clone)]
pub struct FaultTable<F> {
    faults: Vec<(F, Active)>,
}

impl<F: Copy + Eq> FaultTable<F> {
    /// A table of what was declared at a time.
    pub fn new(declared: impl IntoIterator<Item = (F, Declared)>, now: Instant) -> Self {
        let empty = Self { faults: Vec::new() };
        empty.retuned(declared, now)
    }

    /// The table after an edit. A fault that the edit left as it was keeps its window.
    #[must_use]
    pub fn retuned(&self, declared: impl IntoIterator<Item = (F, Declared)>, now: Instant) -> Self {
        let faults = declared
            .into_iter()
            .filter(|(_, declared)| declared.rate > Fraction::MINIMUM)
            .map(|(fault, declared)| {
                let same = self
                    .find(fault)
                    .filter(|active| active.declared == declared);
                (
                    fault,
                    same.copied().unwrap_or(Active {
                        declared,
                        since: now,
                    }),
                )
            })
            .collect();
        Self { faults }
    }

    fn find(&self, fault: F) -> Option<&Active> {
        self.faults
            .iter()
            .find_map(|(name, active)| (*name == fault).then_some(active))
    }

    /// The rate of a fault at a time: 0 outside its window and where it is not declared.
    #[must_use]
    pub fn rate(&self, fault: F, now: Instant) -> f64 {
        let Some(Active { declared, since }) = self.find(fault) else {
            return 0.0;
        };
        let elapsed = now.saturating_duration_since(*since);
        let begun = elapsed >= declared.after;
        let over = declared
            .lasts
            .is_some_and(|lasts| elapsed >= declared.after.saturating_add(lasts));
        if begun && !over {
            declared.rate.get()
        } else {
            0.0
        }
    }

    /// Whether a fault is declared with a rate above 0, whether or not it holds now.
    #[must_use]
    pub fn may_hit(&self, fault: F) -> bool {
        self.find(fault).is_some()
    }

    /// How much later or longer a fault makes a unit of work.
    #[must_use]
    pub fn duration(&self, fault: F) -> Duration {
        self.find(fault)
            .map_or(Duration::ZERO, |active| active.declared.duration)
    }

    /// The faults that are declared with a rate above 0, whether or not they hold now.
    pub fn declared(&self) -> impl Iterator<Item = F> {
        self.faults.iter().map(|(fault, _)| *fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(after: u64, lasts: Option<u64>) -> Declared {
        Declared {
            rate: Fraction::MAXIMUM,
            duration: Duration::ZERO,
            after: Duration::from_secs(after),
            lasts: lasts.map(Duration::from_secs),
        }
    }

    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "the rates are handed through, not computed"
    )]
    fn a_window_opens_and_closes_after_the_edit() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let table = FaultTable::new([(ProducerFault::Drop, declared(10, Some(5)))], start);
        let rates =
            [0, 9, 10, 14, 15, 99].map(|second| table.rate(ProducerFault::Drop, at(second)));
        assert_eq!(rates, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(table.rate(ProducerFault::Late, at(10)), 0.0);
    }

    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "the rates are handed through, not computed"
    )]
    fn an_edit_elsewhere_leaves_a_running_window_and_its_own_begins_anew() {
        let start = Instant::now();
        let edit = start + Duration::from_secs(8);
        let table = FaultTable::new([(ProducerFault::Drop, declared(0, Some(10)))], start);
        let other = [
            (ProducerFault::Drop, declared(0, Some(10))),
            (ProducerFault::Late, declared(0, None)),
        ];
        let after_other = table.retuned(other, edit);
        let end = start + Duration::from_secs(10);
        assert_eq!(after_other.rate(ProducerFault::Drop, end), 0.0);
        assert_eq!(after_other.rate(ProducerFault::Late, end), 1.0);
        let after_own = table.retuned([(ProducerFault::Drop, declared(0, Some(11)))], edit);
        assert_eq!(after_own.rate(ProducerFault::Drop, end), 1.0);
    }
}
