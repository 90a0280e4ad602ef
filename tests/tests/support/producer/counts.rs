//! The same numbers from three sides: what a reader finds, what `/state` tells, what left by OTLP.

use std::collections::{BTreeMap, BTreeSet};

use ordermill_tests::TestResult;
use ordermill_tests::collector::Collector;
use ordermill_tests::reader::Record;

use super::{injected, is_copy, sequence};

/// The order in which names of faults stand beside each other.
const FAULTS: [&str; 7] = [
    "errorRate",
    "drop",
    "duplicate",
    "outOfOrder",
    "late",
    "malformed",
    "oversized",
];

/// What stands for events without a fault.
pub const OK: &str = "ok";

/// Numbers of events by outcome: [`OK`], or the names of the faults that hit them.
pub type Counts = BTreeMap<String, u64>;

/// Outcomes of the events that are there.
pub fn delivered_counts(records: &[Record]) -> Counts {
    let (copies, events): (Vec<_>, Vec<_>) = records.iter().partition(|record| is_copy(record));
    let doubled: BTreeSet<u64> = copies.into_iter().map(sequence).collect();
    let mut counts = Counts::new();
    for event in events {
        let marks: Vec<&str> =
            injected(event).map_or_else(Vec::new, |marks| marks.split(',').collect());
        let is_doubled = doubled.contains(&sequence(event));
        let hits = |fault: &&str| marks.contains(fault) || (*fault == "duplicate" && is_doubled);
        let names: Vec<&str> = FAULTS.into_iter().filter(hits).collect();
        let outcome = if names.is_empty() {
            OK.to_owned()
        } else {
            names.join(",")
        };
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

/// Whether events of this outcome are not there.
pub fn is_held_back(outcome: &str) -> bool {
    outcome
        .split(',')
        .any(|fault| ["drop", "oversized"].contains(&fault))
}

/// What a service told last of its events by outcome.
pub fn exported_counts(collector: &Collector, service: &str) -> TestResult<Counts> {
    let mut counts = Counts::new();
    for point in collector.metric_points()? {
        if point.name != "ordermill.events" || point.resource["service.name"] != service {
            continue;
        }
        let attribute = |name: &str| point.attributes.get(name).and_then(|value| value.as_str());
        let outcome = match (attribute("outcome"), attribute("fault")) {
            (Some("injected"), Some(fault)) => fault.to_owned(),
            (Some(outcome), None) => outcome.to_owned(),
            other => return Err(format!("an outcome of {other:?}").into()),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, written as a number of JSON"
        )]
        let number = point.number() as u64;
        counts.insert(outcome, number);
    }
    Ok(counts)
}

/// Fails where a count of a share of independent draws is off by more than a chance of 1 in 10⁹: 6.2 standard deviations,
/// and one for the counts being whole.
pub fn assert_share(what: &str, count: u64, of: u64, share: f64) {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let (count, of) = (count as f64, of as f64);
    let bound = 6.2 * (of * share * (1.0 - share)).sqrt() + 1.0;
    let off = (count - of * share).abs();
    assert!(
        off <= bound,
        "{what}: {count} of {of} are {off:.0} off a share of {share}, more than {bound:.0}"
    );
}
