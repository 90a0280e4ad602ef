//! Failures made on purpose: which of them hold now, and whom they hit.

use std::time::Duration;

use ordermill_crds::values::{Delay, Fraction, Period};
use ordermill_crds::{BackendFaults, ConsumerFaults, Fault, ProducerFaults, TimedFault};
use tokio::time::Instant;

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

    /// How much later or longer a fault makes a unit of work.
    #[must_use]
    pub fn duration(&self, fault: F) -> Duration {
        self.find(fault)
            .map_or(Duration::ZERO, |active| active.declared.duration)
    }

    /// The faults that are declared, whether or not they hold now.
    pub fn declared(&self) -> impl Iterator<Item = F> {
        self.faults.iter().map(|(fault, _)| *fault)
    }
}

/// The faults of a producer, with what `errorRate` does among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProducerFault {
    /// What `errorRate` asks for: the event is not sent, or sent as failed.
    ErrorRate,
    /// The event is not sent.
    Drop,
    /// The event is sent twice.
    Duplicate,
    /// The event is sent after its successor.
    OutOfOrder,
    /// The event carries an event time in the past.
    Late,
    /// The event's payload does not parse.
    Malformed,
    /// The event's payload is refused by the broker for its size.
    Oversized,
}

impl ProducerFault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ErrorRate,
        Self::Drop,
        Self::Duplicate,
        Self::OutOfOrder,
        Self::Late,
        Self::Malformed,
        Self::Oversized,
    ];

    /// The name in headers, spans, logs and metrics: the field's name in the resource.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorRate => ERROR_RATE,
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "outOfOrder",
            Self::Late => "late",
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
        }
    }
}

/// What a producer's tuning declares.
#[must_use]
pub fn producer_faults(
    error_rate: Fraction,
    faults: &ProducerFaults,
) -> Vec<(ProducerFault, Declared)> {
    let ProducerFaults {
        drop,
        duplicate,
        out_of_order,
        late,
        malformed,
        oversized,
    } = faults;
    let plain = [
        (ProducerFault::Drop, drop),
        (ProducerFault::Duplicate, duplicate),
        (ProducerFault::OutOfOrder, out_of_order),
        (ProducerFault::Malformed, malformed),
        (ProducerFault::Oversized, oversized),
    ];
    let error_rate = (ProducerFault::ErrorRate, Declared::always(error_rate));
    let late = late.iter().map(|fault| (ProducerFault::Late, fault.into()));
    let plain = plain
        .into_iter()
        .filter_map(|(name, fault)| Some((name, fault.as_ref()?.into())));
    std::iter::once(error_rate)
        .chain(plain)
        .chain(late)
        .collect()
}

/// The faults of a backend or a worker, with what `errorRate` does among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackendFault {
    /// What `errorRate` asks for: a 500, or a step of a job that fails.
    ErrorRate,
    /// The same, as a fault with a window.
    HttpError,
    /// The answer or the call takes longer.
    Latency,
    /// No answer until the caller has given up.
    Hang,
    /// Connections are refused for a time.
    Unavailable,
}

impl BackendFault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ErrorRate,
        Self::HttpError,
        Self::Latency,
        Self::Hang,
        Self::Unavailable,
    ];

    /// The name in headers, spans, logs and metrics: the field's name in the resource.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorRate => ERROR_RATE,
            Self::HttpError => "httpError",
            Self::Latency => "latency",
            Self::Hang => "hang",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What the tuning of a backend or a worker declares.
#[must_use]
pub fn backend_faults(
    error_rate: Fraction,
    faults: &BackendFaults,
) -> Vec<(BackendFault, Declared)> {
    let BackendFaults {
        http_error,
        latency,
        hang,
        unavailable,
    } = faults;
    let declared = [
        (
            BackendFault::HttpError,
            http_error.as_ref().map(Declared::from),
        ),
        (BackendFault::Latency, latency.as_ref().map(Declared::from)),
        (BackendFault::Hang, hang.as_ref().map(Declared::from)),
        (
            BackendFault::Unavailable,
            unavailable.as_ref().map(Declared::from),
        ),
    ];
    let error_rate = (BackendFault::ErrorRate, Declared::always(error_rate));
    let declared = declared
        .into_iter()
        .filter_map(|(name, fault)| Some((name, fault?)));
    std::iter::once(error_rate).chain(declared).collect()
}

/// The faults of a consumer, with what `errorRate` does among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsumerFault {
    /// What `errorRate` asks for: an attempt at handling the message fails.
    ErrorRate,
    /// The same, as a fault with a window.
    ProcessingError,
    /// Handling the message takes longer.
    Slow,
    /// The commit after the message is skipped.
    CommitFailure,
    /// The member leaves its group and joins it again.
    Rebalance,
    /// The process aborts.
    Crash,
}

impl ConsumerFault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ErrorRate,
        Self::ProcessingError,
        Self::Slow,
        Self::CommitFailure,
        Self::Rebalance,
        Self::Crash,
    ];

    /// The name in headers, spans, logs and metrics: the field's name in the resource.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorRate => ERROR_RATE,
            Self::ProcessingError => "processingError",
            Self::Slow => "slow",
            Self::CommitFailure => "commitFailure",
            Self::Rebalance => "rebalance",
            Self::Crash => "crash",
        }
    }
}

/// What a consumer's tuning declares.
#[must_use]
pub fn consumer_faults(
    error_rate: Fraction,
    faults: &ConsumerFaults,
) -> Vec<(ConsumerFault, Declared)> {
    let ConsumerFaults {
        processing_error,
        slow,
        commit_failure,
        rebalance,
        crash,
    } = faults;
    let plain = [
        (ConsumerFault::ProcessingError, processing_error),
        (ConsumerFault::CommitFailure, commit_failure),
        (ConsumerFault::Rebalance, rebalance),
        (ConsumerFault::Crash, crash),
    ];
    let error_rate = (ConsumerFault::ErrorRate, Declared::always(error_rate));
    let slow = slow.iter().map(|fault| (ConsumerFault::Slow, fault.into()));
    let plain = plain
        .into_iter()
        .filter_map(|(name, fault)| Some((name, fault.as_ref()?.into())));
    std::iter::once(error_rate)
        .chain(plain)
        .chain(slow)
        .collect()
}

/// The first fault of this label, which separates several by commas, of any kind of workload; `other` for one that a later
/// version knows.
#[must_use]
pub fn known_fault(label: &str) -> &'static str {
    let name = label.split(',').next().unwrap_or_default();
    let producer = ProducerFault::ALL.map(ProducerFault::name);
    let consumer = ConsumerFault::ALL.map(ConsumerFault::name);
    let backend = BackendFault::ALL.map(BackendFault::name);
    let mut all = producer.into_iter().chain(consumer).chain(backend);
    all.find(|known| *known == name).unwrap_or("other")
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

    #[test]
    fn every_declared_fault_of_a_producer_is_taken_over() {
        let fault = || {
            Some(Fault {
                rate: Fraction::MAXIMUM,
                after: None,
                lasts: None,
            })
        };
        let late = TimedFault {
            rate: Fraction::MAXIMUM,
            duration: "1m".parse().unwrap(),
            after: None,
            lasts: None,
        };
        let faults = ProducerFaults {
            drop: fault(),
            duplicate: fault(),
            out_of_order: fault(),
            late: Some(late),
            malformed: fault(),
            oversized: fault(),
        };
        let table = FaultTable::new(producer_faults(Fraction::MAXIMUM, &faults), Instant::now());
        let mut names: Vec<_> = table.declared().map(ProducerFault::name).collect();
        let mut all: Vec<_> = ProducerFault::ALL.map(ProducerFault::name).to_vec();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
        assert_eq!(table.duration(ProducerFault::Late), Duration::from_mins(1));
    }
}
