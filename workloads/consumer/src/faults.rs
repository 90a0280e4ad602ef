//! What is wrong with a message on purpose.

use std::time::Duration;

use ordermill_runtime::faults::{ConsumerFault, FaultTable};
use tokio::time::Instant;

/// What happens around the handling of one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// Handling it takes so much longer.
    pub(crate) slow: Option<Duration>,
    /// What happens between its effect and its commit.
    pub(crate) after: Option<After>,
}

/// What happens between a message's effect and its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It is not committed.
    CommitFailure,
    /// The member leaves its group and joins it again.
    Rebalance,
    /// The process aborts.
    Crash,
}

impl After {
    pub(crate) const fn fault(self) -> ConsumerFault {
        match self {
            Self::CommitFailure => ConsumerFault::CommitFailure,
            Self::Rebalance => ConsumerFault::Rebalance,
            Self::Crash => ConsumerFault::Crash,
        }
    }
}

/// Decides for a message, by numbers of `draw` between 0 and 1: one for each fault. Of those that come after the effect, the
/// gravest has the last word.
pub(crate) fn circumstances(
    table: &FaultTable<ConsumerFault>,
    now: Instant,
    mut draw: impl FnMut() -> f64,
) -> Circumstances {
    let mut hit = |fault| draw() < table.rate(fault, now);
    let slow = hit(ConsumerFault::Slow).then(|| table.duration(ConsumerFault::Slow));
    let commit_failure = hit(ConsumerFault::CommitFailure).then_some(After::CommitFailure);
    let rebalance = hit(ConsumerFault::Rebalance).then_some(After::Rebalance);
    let crash = hit(ConsumerFault::Crash).then_some(After::Crash);
    Circumstances {
        slow,
        after: crash.or(rebalance).or(commit_failure),
    }
}

/// Decides for one attempt: the fault that fails it.
pub(crate) fn failing(
    table: &FaultTable<ConsumerFault>,
    now: Instant,
    mut draw: impl FnMut() -> f64,
) -> Option<ConsumerFault> {
    let mut hit = |fault| (draw() < table.rate(fault, now)).then_some(fault);
    let (named, rate) = (
        hit(ConsumerFault::ProcessingError),
        hit(ConsumerFault::ErrorRate),
    );
    named.or(rate)
}

#[cfg(test)]
mod tests {
    use ordermill_crds::ConsumerFaults;
    use ordermill_crds::values::Fraction;
    use ordermill_runtime::faults::consumer_faults;

    use super::*;

    fn table(error_rate: f64, faults: &str) -> FaultTable<ConsumerFault> {
        let faults: ConsumerFaults = serde_json::from_str(faults).unwrap();
        let error_rate = Fraction::try_from(error_rate).unwrap();
        FaultTable::new(consumer_faults(error_rate, &faults), Instant::now())
    }

    #[test]
    fn the_gravest_of_what_follows_the_effect_has_the_last_word() {
        let all = r#"{"slow": {"rate": 1, "duration": "2s"}, "commitFailure": {"rate": 1},
                      "rebalance": {"rate": 0.5}, "crash": {"rate": 0.1}}"#;
        let slow = Some(Duration::from_secs(2));
        for (draw, after) in [
            (0.05, After::Crash),
            (0.3, After::Rebalance),
            (0.9, After::CommitFailure),
        ] {
            let decided = circumstances(&table(0.0, all), Instant::now(), || draw);
            let after = Some(after);
            assert_eq!(decided, Circumstances { slow, after });
        }
        let none = circumstances(&table(1.0, "{}"), Instant::now(), || 0.0);
        assert_eq!(none, Circumstances::default());
    }

    #[test]
    fn an_attempt_fails_as_often_as_the_faults_say() {
        let faults = table(0.3, r#"{"processingError": {"rate": 0.1}}"#);
        for (draw, fault) in [
            (0.05, Some(ConsumerFault::ProcessingError)),
            (0.2, Some(ConsumerFault::ErrorRate)),
            (0.3, None),
        ] {
            assert_eq!(failing(&faults, Instant::now(), || draw), fault, "{draw}");
        }
    }
}
