//! The sum of a dead-letter topic.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ordermill_runtime::kafka::dead_letter::DeadLetter;
use serde::Serialize;

/// What lies in one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sum {
    pub topic: String,
    pub letters: u64,
    /// Unknown where the progress of the replays may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_replayed: Option<u64>,
    /// Records that are no dead letters.
    pub others: u64,
    /// When the first and the last of them were given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    pub reasons: BTreeMap<String, u64>,
}

impl Sum {
    pub(super) fn new(topic: &str, progress_is_known: bool) -> Self {
        Self {
            topic: topic.to_owned(),
            letters: 0,
            not_replayed: progress_is_known.then_some(0),
            others: 0,
            oldest: None,
            newest: None,
            reasons: BTreeMap::new(),
        }
    }

    /// Counts a record, which may be no dead letter.
    pub(super) fn take(&mut self, letter: Option<&DeadLetter>, is_replayed: bool) {
        let Some(letter) = letter else {
            self.others += 1;
            return;
        };
        self.letters += 1;
        if let Some(count) = self.not_replayed.as_mut().filter(|_| !is_replayed) {
            *count += 1;
        }
        let time = letter.time;
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = Some(self.newest.map_or(time, |newest| newest.max(time)));
        *self.reasons.entry(letter.reason.clone()).or_default() += 1;
    }

    /// All records that were counted.
    pub(super) const fn records(&self) -> u64 {
        self.letters + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::letter::testing::letter;

    fn at(time: &str, reason: &str) -> DeadLetter {
        DeadLetter {
            time: time.parse().unwrap(),
            reason: reason.to_owned(),
            ..letter()
        }
    }

    #[test]
    fn every_record_is_counted_once_by_what_it_is() {
        let mut sum = Sum::new("a", true);
        sum.take(Some(&at("2026-11-22T10:00:02Z", "Refused")), true);
        sum.take(Some(&at("2026-11-22T10:00:01Z", "Refused")), false);
        sum.take(Some(&at("2026-11-22T10:00:03Z", "InvalidMessage")), false);
        sum.take(None, false);
        let reasons = [("InvalidMessage".to_owned(), 1), ("Refused".to_owned(), 2)];
        let expected = Sum {
            letters: 3,
            not_replayed: Some(2),
            others: 1,
            oldest: Some("2026-11-22T10:00:01Z".parse().unwrap()),
            newest: Some("2026-11-22T10:00:03Z".parse().unwrap()),
            reasons: reasons.into(),
            ..Sum::new("a", true)
        };
        assert_eq!(sum, expected);
        assert_eq!(sum.records(), 4);
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let mut sum = Sum::new("a", false);
        sum.take(Some(&letter()), false);
        assert_eq!((sum.letters, sum.not_replayed), (1, None));
    }
}
