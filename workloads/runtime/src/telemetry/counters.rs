//! The exact numbers of one workload: plain atomics that both `/state` and the metrics read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ordermill_config::PartitionReport;

use super::names;
use super::outcome::Outcome;

/// How many names a table of counts holds before it counts under [`names::ERROR_TYPE_OTHER`].
const NAMES: usize = 48;

/// What one workload counted since it started. Counting takes a few nanoseconds and no lock.
#[derive(Debug, Default)]
pub struct Counters {
    ok: AtomicU64,
    injected: CountsByName,
    failed: CountsByName,
    lateness: Lateness,
    /// Bits of an `f64`, events per second.
    planned_rate: AtomicU64,
    destinations: RwLock<Vec<Arc<TopicCounters>>>,
    sources: RwLock<Vec<Arc<TopicCounters>>>,
    dead_lettered: AtomicU64,
    membership: RwLock<Option<Membership>>,
}

/// What a member of a consumer group knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// Whether it is a member now: it has joined, and has its partitions or knows that there are none for it.
    pub joined: bool,
    /// Its partitions.
    pub partitions: Vec<PartitionReport>,
}

impl Membership {
    /// What is still to be handled, of all its partitions; `None` while it is unknown of one.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        let known = self.joined.then_some(&self.partitions)?;
        known.iter().map(|partition| partition.lag).sum()
    }
}

impl Counters {
    /// Counts one unit of work.
    pub fn record(&self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => _ = self.ok.fetch_add(1, Ordering::Relaxed),
            Outcome::Injected(fault) => self.injected.add(fault),
            Outcome::Failed(error_type) => self.failed.add(error_type),
        }
    }

    /// Says what rate the plan asks for now, in events per second.
    pub fn set_planned_rate(&self, per_second: f64) {
        self.planned_rate
            .store(per_second.to_bits(), Ordering::Relaxed);
    }

    /// The rate that the plan asks for, in events per second.
    #[must_use]
    pub fn planned_rate(&self) -> f64 {
        f64::from_bits(self.planned_rate.load(Ordering::Relaxed))
    }

    /// The numbers at the moment. Each is exact; together they are not one instant while events flow.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            ok: self.ok.load(Ordering::Relaxed),
            injected: self.injected.iter().collect(),
            failed: self.failed.iter().collect(),
            lateness: self.lateness.snapshot(),
        }
    }

    /// Counts how late an event was; called together with the histogram, by `WorkloadMetrics`.
    pub(super) fn record_lateness(&self, late: Duration) {
        self.lateness.record(late);
    }

    /// Every outcome seen so far with its count; `Ok` always, so that its series starts at zero.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let ok = (Outcome::Ok, self.ok.load(Ordering::Relaxed));
        let injected = self
            .injected
            .iter()
            .map(|(name, count)| (Outcome::Injected(name), count));
        let failed = self
            .failed
            .iter()
            .map(|(name, count)| (Outcome::Failed(name), count));
        std::iter::once(ok).chain(injected).chain(failed)
    }

    /// The counts of what is sent to one topic, made at the first call.
    pub(super) fn destination(&self, topic: &str) -> Arc<TopicCounters> {
        of_topic(&self.destinations, topic)
    }

    /// The counts of what comes from one topic, made at the first call.
    pub(super) fn source(&self, topic: &str) -> Arc<TopicCounters> {
        of_topic(&self.sources, topic)
    }

    /// Counts messages that were put on a dead-letter topic.
    pub fn add_dead_lettered(&self, count: u64) {
        self.dead_lettered.fetch_add(count, Ordering::Relaxed);
    }

    /// Messages that were put on a dead-letter topic.
    #[must_use]
    pub fn dead_lettered(&self) -> u64 {
        self.dead_lettered.load(Ordering::Relaxed)
    }

    /// Says how the workload is a member of its consumer group.
    pub fn set_membership(&self, membership: Membership) {
        let mut known = self
            .membership
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(membership);
    }

    /// How the workload is a member of its consumer group; none where it has nothing to do with one.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        self.membership
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The sources used so far.
    pub(super) fn sources(&self) -> Vec<Arc<TopicCounters>> {
        self.sources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The destinations used so far.
    pub(super) fn destinations(&self) -> Vec<Arc<TopicCounters>> {
        self.destinations
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The numbers of [`Counters`] at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Units of work that went as intended.
    pub ok: u64,
    /// Units of work that a fault was injected into, by its name.
    pub injected: BTreeMap<&'static str, u64>,
    /// Units of work that failed for real, by the type of the error.
    pub failed: BTreeMap<&'static str, u64>,
    /// How late events were.
    pub lateness: LatenessSnapshot,
}

impl CountersSnapshot {
    /// Units of work that a fault was injected into.
    #[must_use]
    pub fn injected_total(&self) -> u64 {
        self.injected.values().sum()
    }

    /// Units of work that failed for real.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// All units of work, whatever their outcome.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ok + self.injected_total() + self.failed_total()
    }
}

fn of_topic(all: &RwLock<Vec<Arc<TopicCounters>>>, topic: &str) -> Arc<TopicCounters> {
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| known.topic == topic) {
        return Arc::clone(known);
    }
    let added = Arc::new(TopicCounters::new(topic));
    all.push(Arc::clone(&added));
    added
}

/// Messages sent to one topic or received from it, those that failed by the type of the error.
#[derive(Debug)]
pub(super) struct TopicCounters {
    pub(super) topic: String,
    ok: AtomicU64,
    failed: CountsByName,
}

impl TopicCounters {
    fn new(topic: &str) -> Self {
        let failed = CountsByName::default();
        Self {
            topic: topic.to_owned(),
            ok: AtomicU64::new(0),
            failed,
        }
    }

    pub(super) fn add(&self) {
        self.ok.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_failed(&self, error_type: &'static str) {
        self.failed.add(error_type);
    }

    /// Counts by the type of the error, without one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<&'static str>, u64)> {
        std::iter::once((None, self.ok.load(Ordering::Relaxed)))
            .chain(self.failed.iter().map(|(name, count)| (Some(name), count)))
    }
}

/// How late events were, against their planned time.
#[derive(Debug, Default)]
struct Lateness {
    count: AtomicU64,
    sum_nanoseconds: AtomicU64,
    max_nanoseconds: AtomicU64,
}

impl Lateness {
    fn record(&self, late: Duration) {
        // 584 years fit.
        let nanoseconds = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
        self.max_nanoseconds
            .fetch_max(nanoseconds, Ordering::Relaxed);
    }

    fn snapshot(&self) -> LatenessSnapshot {
        LatenessSnapshot {
            count: self.count.load(Ordering::Relaxed),
            sum: Duration::from_nanos(self.sum_nanoseconds.load(Ordering::Relaxed)),
            max: Duration::from_nanos(self.max_nanoseconds.load(Ordering::Relaxed)),
        }
    }
}

/// How late events were, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatenessSnapshot {
    /// Events measured.
    pub count: u64,
    /// Sum over them.
    pub sum: Duration,
    /// The latest of them.
    pub max: Duration,
}

impl LatenessSnapshot {
    /// The mean, none before the first event.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanoseconds = self.sum.as_nanos().checked_div(u128::from(self.count))?;
        Some(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        ))
    }
}

/// Counts under a few names that are only known when they first happen: slots that are filled once and never move, so
/// that counting needs no lock.
#[derive(Debug)]
struct CountsByName {
    slots: [OnceLock<(&'static str, AtomicU64)>; NAMES],
    others: AtomicU64,
}

impl Default for CountsByName {
    fn default() -> Self {
        Self {
            slots: [const { OnceLock::new() }; NAMES],
            others: AtomicU64::new(0),
        }
    }
}

impl CountsByName {
    fn add(&self, name: &'static str) {
        let named = if name == names::ERROR_TYPE_OTHER {
            &[][..]
        } else {
            &self.slots
        };
        for slot in named {
            let (taken_by, count) = slot.get_or_init(|| (name, AtomicU64::new(0)));
            if *taken_by == name {
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        self.others.fetch_add(1, Ordering::Relaxed);
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let others = self.others.load(Ordering::Relaxed);
        self.slots
            .iter()
            .map_while(OnceLock::get)
            .map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
            .chain((others > 0).then_some((names::ERROR_TYPE_OTHER, others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_name() {
        let counters = Counters::default();
        for outcome in [
            Outcome::Ok,
            Outcome::Injected("drop"),
            Outcome::Injected("late"),
            Outcome::Injected("drop"),
            Outcome::Failed("broker_down"),
        ] {
            counters.record(outcome);
        }
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.ok, 1);
        assert_eq!(
            snapshot.injected,
            BTreeMap::from([("drop", 2), ("late", 1)])
        );
        assert_eq!(snapshot.failed, BTreeMap::from([("broker_down", 1)]));
        assert_eq!(
            (
                snapshot.injected_total(),
                snapshot.failed_total(),
                snapshot.total()
            ),
            (3, 1, 5)
        );
    }

    #[test]
    fn no_count_is_lost_between_threads() {
        let counters = Counters::default();
        let names = ["a", "b", "c"];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let counters = &counters;
                scope.spawn(move || {
                    for turn in 0..3000 {
                        counters.record(Outcome::Injected(names[(turn + thread) % 3]));
                    }
                });
            }
        });
        let expected = names
            .map(|name| (name, 4000))
            .into_iter()
            .collect::<BTreeMap<_, _>>();
        assert_eq!(counters.snapshot().injected, expected);
    }

    #[test]
    fn more_names_than_slots_are_counted_together() {
        let counters = Counters::default();
        for number in 0..NAMES + 2 {
            counters.record(Outcome::Failed(String::leak(format!("error-{number}"))));
        }
        counters.record(Outcome::Failed(names::ERROR_TYPE_OTHER));
        let failed = counters.snapshot().failed;
        assert_eq!(failed.len(), NAMES + 1);
        assert_eq!(failed[names::ERROR_TYPE_OTHER], 3);
        assert_eq!(counters.snapshot().total(), NAMES as u64 + 3);
    }

    #[test]
    fn lateness_keeps_sum_count_and_maximum() {
        let counters = Counters::default();
        assert_eq!(counters.snapshot().lateness.mean(), None);
        for milliseconds in [4, 10, 1] {
            counters.record_lateness(Duration::from_millis(milliseconds));
        }
        let lateness = counters.snapshot().lateness;
        assert_eq!(
            (lateness.count, lateness.sum),
            (3, Duration::from_millis(15))
        );
        assert_eq!(lateness.max, Duration::from_millis(10));
        assert_eq!(lateness.mean(), Some(Duration::from_millis(5)));
    }

    #[test]
    fn a_destination_is_the_same_each_time() {
        let counters = Counters::default();
        counters.destination("orders").add();
        counters.destination("orders").add_failed("timeout");
        counters.destination("refunds").add();
        let all = counters.destinations();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0].iter().collect::<Vec<_>>(),
            [(None, 1), (Some("timeout"), 1)]
        );
    }
}
