//! What becomes of a message whose handling failed: a function of its attempts and of the resource's `onFailure`.

use std::time::Duration;

use ordermill_config::{BackoffSettings, FailureSettings};

/// What becomes of a message whose handling failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is tried again after this time.
    Retry(Duration),
    /// It is left out.
    Skip,
    /// It goes to the dead-letter topic.
    DeadLetter,
}

/// Decides after so many attempts, from one on. What repeating does not help is never repeated, so that it holds nothing up.
pub(crate) fn next(settings: &FailureSettings, attempts: u32, repeating_helps: bool) -> Next {
    let (max_retries, backoff, end) = match settings {
        FailureSettings::Retry { backoff } => (u32::MAX, backoff, Next::Skip),
        FailureSettings::Skip {
            max_retries,
            backoff,
        } => (*max_retries, backoff, Next::Skip),
        FailureSettings::DeadLetter {
            max_retries,
            backoff,
            ..
        } => (*max_retries, backoff, Next::DeadLetter),
    };
    if repeating_helps && attempts <= max_retries {
        Next::Retry(pause(*backoff, attempts))
    } else {
        end
    }
}

/// The time before an API that is away is called again.
pub(crate) fn pause_while_away(settings: &FailureSettings, calls: u32) -> Duration {
    let (FailureSettings::Retry { backoff }
    | FailureSettings::Skip { backoff, .. }
    | FailureSettings::DeadLetter { backoff, .. }) = settings;
    pause(*backoff, calls)
}

/// The time after so many attempts: doubling from the first to the longest.
fn pause(backoff: BackoffSettings, attempts: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(attempts.saturating_sub(1))
        .and_then(|factor| backoff.initial.get().checked_mul(factor));
    let maximum = backoff.maximum.get();
    doubled.map_or(maximum, |pause| pause.min(maximum))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn backoff() -> BackoffSettings {
        BackoffSettings {
            initial: "100ms".parse().unwrap(),
            maximum: "1s".parse().unwrap(),
        }
    }

    fn dead_letter(max_retries: u32) -> FailureSettings {
        FailureSettings::DeadLetter {
            max_retries,
            backoff: backoff(),
            topics: BTreeMap::new(),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = FailureSettings::Retry { backoff: backoff() };
        let pauses: Vec<_> = [1, 2, 3, 4, 5, 33, u32::MAX]
            .map(|attempts| match next(&retry, attempts, true) {
                Next::Retry(pause) => pause.as_millis(),
                other => panic!("{other:?}"),
            })
            .into();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn what_repeating_does_not_help_is_given_up_at_once() {
        let retry = FailureSettings::Retry { backoff: backoff() };
        assert_eq!(next(&retry, 1, false), Next::Skip);
        assert_eq!(next(&dead_letter(5), 1, false), Next::DeadLetter);
    }

    proptest! {
        #[test]
        fn a_message_is_tried_once_more_than_it_may_be_repeated(max_retries in 0_u32..200) {
            let settings = dead_letter(max_retries);
            let attempts = (1..300).find(|attempts| next(&settings, *attempts, true) == Next::DeadLetter);
            prop_assert_eq!(attempts, Some(max_retries + 1));
        }
    }
}
