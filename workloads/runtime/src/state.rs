//! What a workload is doing, for `/state`, `/readyz`, the command line and later the resource's status.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ordermill_config::{ResourceReference, StateReport, TuningVersion};
use ordermill_crds::Observed;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kafka::Health;
use crate::telemetry::{Counters, Membership};

/// The window of `ratePerSecond`.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// What a workload is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun to work.
    Starting,
    /// It works.
    Running,
    /// It would work, and something keeps it: see the reason.
    Waiting,
    /// Somebody asked it not to work.
    Paused,
    /// It has done all it was to do.
    Completed,
    /// It is about to end.
    Stopping,
    /// It has ended as it was asked to.
    Stopped,
}

impl Phase {
    /// The name in `/state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether a pod in this phase counts as ready.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Completed)
    }
}

/// A moment of the counters, kept for the rate of the last seconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    events: u64,
    late_events: u64,
    late_sum: Duration,
}

/// The shared state of one workload.
#[derive(Debug)]
pub struct WorkloadState {
    resource: ResourceReference,
    instance: String,
    counters: Arc<Counters>,
    health: Arc<Health>,
    phase: Mutex<Phase>,
    version: watch::Sender<TuningVersion>,
    /// Events acknowledged; a sent event with a fault counts here and as injected.
    events: AtomicU64,
    retried: AtomicU64,
    since: Timestamp,
    samples: Mutex<VecDeque<Sample>>,
}

impl WorkloadState {
    /// The state of a workload that starts now.
    #[must_use]
    pub fn new(
        resource: ResourceReference,
        instance: String,
        counters: Arc<Counters>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            resource,
            instance,
            counters,
            health,
            phase: Mutex::new(Phase::Starting),
            version: watch::Sender::default(),
            events: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            since: Timestamp::now(),
            samples: Mutex::default(),
        }
    }

    /// The resource that the workload runs for.
    #[must_use]
    pub const fn resource(&self) -> &ResourceReference {
        &self.resource
    }

    /// The instance, as in the `ordermill-instance` header.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Says what the workload is doing.
    pub fn set_phase(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Says which tuning the workload runs with.
    pub fn set_version(&self, version: TuningVersion) {
        self.version.send_replace(version);
    }

    /// Which tuning the workload runs with.
    #[must_use]
    pub fn version(&self) -> TuningVersion {
        *self.version.borrow()
    }

    /// Waits until the workload runs with this tuning or a newer one, for so long at most; returns what it runs with then.
    pub async fn running_with(&self, version: TuningVersion, at_most: Duration) -> TuningVersion {
        let mut running = self.version.subscribe();
        let reached = running.wait_for(|running| *running >= version);
        // In vain is no error: what it runs with is told.
        _ = tokio::time::timeout(at_most, reached).await;
        self.version()
    }

    /// Counts events that were sent, handled, moved or answered. Called after their outcomes were counted, so that a report
    /// with an event has its fault too.
    pub fn add_events(&self, count: u64) {
        self.events.fetch_add(count, Ordering::Release);
    }

    /// Counts repetitions of failed attempts.
    pub fn add_retried(&self, count: u64) {
        self.retried.fetch_add(count, Ordering::Relaxed);
    }

    /// What the workload is doing: running with a trouble is waiting.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = matches!(phase, Phase::Starting | Phase::Running);
        if kept && self.health.trouble().is_some() {
            Phase::Waiting
        } else {
            phase
        }
    }

    /// Takes a sample for the rate of the last ten seconds; called about once a second.
    pub fn sample(&self) {
        let now = Instant::now();
        let lateness = self.counters.snapshot().lateness;
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() > 1 && samples[1].at + RATE_WINDOW <= now {
            samples.pop_front();
        }
        samples.push_back(Sample {
            at: now,
            events: self.events.load(Ordering::Relaxed),
            late_events: lateness.count,
            late_sum: lateness.sum,
        });
    }

    /// Events per second and mean lateness in seconds over the last ten seconds; `None` before there is a window.
    fn recent(&self) -> (Option<f64>, Option<f64>) {
        let now = Instant::now();
        let lateness = self.counters.snapshot().lateness;
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = samples.front() else {
            return (None, None);
        };
        let seconds = (now - first.at).as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate needs no more than 53 bits"
        )]
        let rate = (seconds > 0.0)
            .then(|| (self.events.load(Ordering::Relaxed) - first.events) as f64 / seconds);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean needs no more than 53 bits"
        )]
        let late = lateness
            .count
            .checked_sub(first.late_events)
            .filter(|count| *count > 0)
            .map(|count| lateness.sum.saturating_sub(first.late_sum).as_secs_f64() / count as f64);
        (rate, late)
    }

    /// Everything at once, but the keys whose tuning is taken: the admin server knows them.
    #[must_use]
    pub fn report(&self) -> StateReport {
        // Read first: a report that says the work has ended has its final numbers.
        let state = self.phase();
        // And these before their outcomes, which are counted before them.
        let events = self.events.load(Ordering::Acquire);
        let snapshot = self.counters.snapshot();
        let (rate, lateness_seconds) = self.recent();
        let trouble = self.health.trouble();
        let version = self.version();
        let membership = self.counters.membership();
        let consumer = membership.as_ref();
        let count = |value: u64| Some(i64::try_from(value).unwrap_or(i64::MAX));
        StateReport {
            kind: self.resource.kind.clone(),
            namespace: self.resource.namespace.clone(),
            name: self.resource.name.clone(),
            instance: self.instance.clone(),
            generation: version.generation,
            revision: version.revision,
            state: state.as_str().to_owned(),
            reason: trouble
                .as_ref()
                .map(|trouble| trouble.reason.as_str().to_owned()),
            message: trouble.map(|trouble| trouble.message),
            planned_rate_per_second: self.counters.planned_rate(),
            lateness_seconds,
            observed: Observed {
                events: count(events),
                injected: count(snapshot.injected_total()),
                failed: count(snapshot.failed_total()),
                retried: count(self.retried.load(Ordering::Relaxed)),
                dead_lettered: consumer.and_then(|_| count(self.counters.dead_lettered())),
                lag: consumer.and_then(Membership::lag),
                members: consumer.map(|it| i64::from(it.joined)),
                since: Some(self.since.to_string()),
                rate_per_second: rate.map(|rate| format!("{rate:.1}")),
                as_of: Some(Timestamp::now().to_string()),
            },
            faults: snapshot
                .injected
                .into_iter()
                .map(|(fault, count)| (fault.to_owned(), count))
                .collect(),
            partitions: membership.map(|it| it.partitions),
            tuning_keys: Vec::new(),
        }
    }
}
