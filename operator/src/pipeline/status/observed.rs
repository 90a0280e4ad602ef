//! What the pods counted, summed; and how often that is worth a write.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ordermill_config::Bounded;
use ordermill_crds::{Observed, PartitionLag, ResourceStatus};

use super::Situation;
use crate::pipeline::validate::Work;

/// Numbers that grow all the time are written at most this often.
const STEADY: SignedDuration = SignedDuration::from_secs(60);
/// A rate that is another one, or a member more or less, is written sooner: at the next look, about ten seconds later.
const SOONER: SignedDuration = SignedDuration::from_secs(8);
/// Share by which a rate must differ to be another one.
const ANOTHER_RATE: f64 = 0.2;

pub(super) fn observed(situation: &Situation<'_>, now: Timestamp) -> Option<Observed> {
    let before = situation.previous.and_then(|it| it.observed.clone());
    if let Some(bounded) = completed(situation) {
        let events = i64::try_from(bounded.max_events).unwrap_or(i64::MAX);
        return Some(Observed {
            // Delivering exactly so many is what a bounded run is; its last pod is gone before it can be asked.
            events: Some(events),
            rate_per_second: Some("0".to_owned()),
            as_of: before
                .as_ref()
                .filter(|it| it.events == Some(events))
                .and_then(|it| it.as_of.clone())
                .or_else(|| Some(at(now))),
            ..before.unwrap_or_default()
        });
    }
    let told: Vec<&Observed> = situation
        .pods
        .iter()
        .filter_map(|pod| Some(&pod.state.as_ref()?.observed))
        .collect();
    if told.is_empty() {
        // Without pods nothing happens; pods that are silent may still work.
        return before.map(|mut it| {
            if situation.pods.is_empty() {
                it.rate_per_second = Some("0".to_owned());
                it.members = it.members.and(Some(0));
                it.lag = None;
            }
            it
        });
    }
    let sum = |field: fn(&Observed) -> Option<i64>| {
        told.iter()
            .filter_map(|it| field(it))
            .reduce(i64::saturating_add)
    };
    let all_tell_a_lag =
        told.len() == situation.pods.len() && told.iter().all(|it| it.lag.is_some());
    let is_lag_known = all_tell_a_lag && lags(situation).is_some();
    let rates = told.iter().filter_map(|it| rate(it));
    Some(Observed {
        events: sum(|it| it.events),
        injected: sum(|it| it.injected),
        failed: sum(|it| it.failed),
        retried: sum(|it| it.retried),
        dead_lettered: sum(|it| it.dead_lettered),
        // Each member tells of itself and of its own partitions: without one of them, that of the group is not known.
        lag: sum(|it| it.lag).filter(|_| is_lag_known),
        members: sum(|it| it.members),
        since: told.iter().filter_map(|it| it.since.clone()).min(),
        rate_per_second: rates.reduce(|one, other| one + other).map(decimal),
        as_of: Some(at(now)),
    })
}

/// The parts of the lag that is told; where no pod tells one, those that were told last.
pub(super) fn partitions(
    situation: &Situation<'_>,
    observed: Option<&Observed>,
) -> Vec<PartitionLag> {
    if observed.is_none_or(|it| it.lag.is_none()) {
        return Vec::new();
    }
    if situation.pods.iter().all(|pod| pod.state.is_none()) {
        let previous = situation.previous.map(|it| it.partitions.clone());
        return previous.unwrap_or_default();
    }
    let lags = lags(situation).unwrap_or_default().into_iter();
    let lag = |((topic, partition), lag): ((&str, i32), i64)| PartitionLag {
        topic: topic.to_owned(),
        partition,
        lag,
    };
    lags.map(lag).collect()
}

/// What the pods tell of their partitions; `None` where two have the same, which is on its way from one to the other.
fn lags<'a>(situation: &Situation<'a>) -> Option<BTreeMap<(&'a str, i32), i64>> {
    let states = situation.pods.iter().filter_map(|pod| pod.state.as_ref());
    let mut lags = BTreeMap::new();
    for report in states
        .filter_map(|state| state.partitions.as_ref())
        .flatten()
    {
        let partition = (report.topic.as_str(), report.partition);
        if let Some(lag) = report.lag
            && lags.insert(partition, lag).is_some()
        {
            return None;
        }
    }
    Some(lags)
}

fn completed<'a>(situation: &'a Situation<'_>) -> Option<&'a Bounded> {
    match &situation.validated?.work {
        Work::Bounded { bounded, .. } if situation.workload.is_completed() => Some(bounded),
        _ => None,
    }
}

fn rate(observed: &Observed) -> Option<f64> {
    observed.rate_per_second.as_deref()?.parse().ok()
}

fn decimal(rate: f64) -> String {
    let text = format!("{rate:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn at(now: Timestamp) -> String {
    let seconds = now.as_second();
    Timestamp::from_second(seconds).unwrap_or(now).to_string()
}

/// Whether a status differs from what was written last in something that matters now.
#[must_use]
pub fn worth_writing(
    previous: Option<&ResourceStatus>,
    next: &ResourceStatus,
    now: Timestamp,
) -> bool {
    let Some(previous) = previous else {
        return true;
    };
    let without_numbers = |status: &ResourceStatus| ResourceStatus {
        observed: None,
        // They change with the lag.
        partitions: Vec::new(),
        ..status.clone()
    };
    if without_numbers(previous) != without_numbers(next) {
        return true;
    }
    let (before, after) = match (&previous.observed, &next.observed) {
        (Some(before), Some(after)) => (before, after),
        (before, after) => return before.is_some() != after.is_some(),
    };
    let untimed = |observed: &Observed| Observed {
        as_of: None,
        ..observed.clone()
    };
    if untimed(before) == untimed(after) && previous.partitions == next.partitions {
        return false;
    }
    let written = before
        .as_of
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let Some(written) = written else {
        return true;
    };
    let age = now.duration_since(written);
    let is_first_rate = before.rate_per_second.is_none() && after.rate_per_second.is_some();
    let is_another = before.members != after.members
        || before.lag.is_some() != after.lag.is_some()
        || is_another_rate(rate(before), rate(after));
    is_first_rate || age >= STEADY || (age >= SOONER && is_another)
}

fn is_another_rate(before: Option<f64>, after: Option<f64>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            (before - after).abs() > ANOTHER_RATE * before.abs().max(after.abs())
        }
        (before, after) => before.is_some() != after.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(events: i64, rate: &str, as_of: &str) -> ResourceStatus {
        ResourceStatus {
            observed: Some(Observed {
                events: Some(events),
                rate_per_second: Some(rate.to_owned()),
                as_of: Some(as_of.to_owned()),
                ..Observed::default()
            }),
            ..ResourceStatus::default()
        }
    }

    #[test]
    fn growing_numbers_are_written_once_a_minute_and_another_rate_sooner() {
        let written = status(100, "10", "2026-01-01T00:00:00Z");
        let worth = |events, rate: &str, second: i64| {
            let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let now = now + SignedDuration::from_secs(second);
            worth_writing(Some(&written), &status(events, rate, &now.to_string()), now)
        };
        assert!(!worth(200, "10", 10));
        assert!(!worth(650, "11", 59));
        assert!(worth(700, "10", 60));
        assert!(!worth(200, "100", 7));
        assert!(worth(200, "100", 8));
        assert!(worth(200, "0", 8));
        assert!(!worth(100, "10", 3600));
        let mut joined = status(100, "10", "x");
        joined.observed.as_mut().unwrap().members = Some(2);
        let soon: Timestamp = "2026-01-01T00:00:08Z".parse().unwrap();
        assert!(worth_writing(Some(&written), &joined, soon));
        let mut young = written.clone();
        young.observed.as_mut().unwrap().rate_per_second = None;
        let now = Timestamp::UNIX_EPOCH;
        assert!(worth_writing(Some(&young), &status(1, "5", "x"), now));
    }

    #[test]
    fn all_else_is_written_at_once() {
        let now = Timestamp::UNIX_EPOCH;
        let written = status(1, "1", "1970-01-01T00:00:00Z");
        let ready = ResourceStatus {
            ready_replicas: Some(1),
            ..written.clone()
        };
        assert!(worth_writing(Some(&written), &ready, now));
        assert!(worth_writing(None, &written, now));
        assert!(worth_writing(
            Some(&ResourceStatus::default()),
            &written,
            now
        ));
    }

    #[test]
    fn rates_are_short_decimals() {
        assert_eq!(
            [10.0, 0.5, 33.333, 0.0].map(decimal),
            ["10", "0.5", "33.33", "0"]
        );
    }
}
