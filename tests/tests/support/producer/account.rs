//! What a reader can tell of a producer: what is there, what was held back, what is missing.

use std::collections::{BTreeMap, BTreeSet};

use ordermill_tests::TestResult;
use ordermill_tests::reader::Record;
use serde_json::Value;

const SEQUENCE: &str = "ordermill-sequence";
const INSTANCE: &str = "ordermill-instance";
const SUPPRESSED: &str = "ordermill-suppressed";
const INJECTED: &str = "ordermill-injected";

/// The number of a record's event.
pub fn sequence(record: &Record) -> u64 {
    number(record, SEQUENCE)
}

fn number(record: &Record, header: &str) -> u64 {
    let text = record.header(header).unwrap_or_default();
    text.parse()
        .unwrap_or_else(|_| panic!("{header} of {record:?} is no number"))
}

fn marks(record: &Record) -> impl Iterator<Item = &str> {
    record
        .headers
        .iter()
        .filter(|(name, _)| name == INJECTED)
        .map(|(_, value)| std::str::from_utf8(value).unwrap())
}

/// The faults that a record is marked with; the mark of a second copy is not among them.
pub fn injected(record: &Record) -> Option<&str> {
    marks(record).find(|mark| *mark != "duplicate")
}

/// Whether a record is the second copy of a doubled event.
pub fn is_copy(record: &Record) -> bool {
    marks(record).any(|mark| mark == "duplicate")
}

/// What the records of one instance come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events, each once.
    pub events: u64,
    /// Second copies of doubled events.
    pub copies: u64,
    /// Events that were held back before the last one.
    pub suppressed: u64,
}

/// Adds up what is there of each instance.
///
/// # Panics
/// When an event is there twice but for marked copies, or is missing without having been held back: the numbers of the
/// events go from 0 on, and each event tells how many before it were held back.
pub fn totals<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<String, Totals> {
    let mut instances: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let instance = record.header(INSTANCE).unwrap_or_default();
        instances.entry(instance).or_default().push(record);
    }
    let totals = instances.into_iter().map(|(instance, records)| {
        let (copies, mut events): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| is_copy(record));
        events.sort_by_key(|record| sequence(record));
        for (place, record) in (0_u64..).zip(&events) {
            let (sequence, suppressed) = (sequence(record), number(record, SUPPRESSED));
            assert_eq!(
                sequence,
                place + suppressed,
                "{instance}: {place} events are there before number {sequence}, and {suppressed} were held back"
            );
        }
        let known: BTreeSet<u64> = events.iter().map(|record| sequence(record)).collect();
        let mut seen_twice = BTreeSet::new();
        for copy in &copies {
            let number = sequence(copy);
            assert!(known.contains(&number), "{instance}: a copy of {number}, which is not there");
            assert!(seen_twice.insert(number), "{instance}: two copies of {number}");
        }
        let totals = Totals {
            events: events.len() as u64,
            copies: copies.len() as u64,
            suppressed: events.last().map_or(0, |record| number(record, SUPPRESSED)),
        };
        (instance.to_owned(), totals)
    });
    totals.collect()
}

/// A record without its topic, its place there, its time and its trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparable {
    partition: i32,
    key: Option<String>,
    payload: Value,
    headers: Vec<(String, String)>,
}

/// What is repeatable of records, by event type and number.
pub fn comparable<'a>(
    records: impl IntoIterator<Item = &'a Record>,
) -> TestResult<BTreeMap<u64, Comparable>> {
    let mut all = BTreeMap::new();
    for record in records {
        let mut payload = record.json()?;
        let fields = payload.as_object_mut().ok_or("a payload is no object")?;
        fields
            .remove("timestamp")
            .ok_or("a payload has no timestamp")?;
        let headers = record
            .headers
            .iter()
            .filter(|(name, _)| name != "traceparent" && name != "ce_time")
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let comparable = Comparable {
            partition: record.partition,
            key: record.key_text().map(str::to_owned),
            payload,
            headers,
        };
        let number = sequence(record);
        assert!(
            all.insert(number, comparable).is_none(),
            "number {number} is there twice"
        );
    }
    Ok(all)
}
