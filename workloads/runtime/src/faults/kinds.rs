//! The faults of each kind of workload, by their names.

use ordermill_crds::values::Fraction;
use ordermill_crds::{BackendFaults, ConsumerFaults, ProducerFaults};

use super::{Declared, ERROR_RATE};

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
    use std::time::Duration;

    use ordermill_crds::{Fault, TimedFault};
    use tokio::time::Instant;

    use super::super::FaultTable;
    use super::*;

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
