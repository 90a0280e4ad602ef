//! How long an object that failed waits: longer with each failure in a row, and never all at the same moment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
/// Failures that are longer ago do not count any more: the object is well, waits for a person, or is gone.
const FORGET_AFTER: Duration = Duration::from_mins(10);

/// Failures in a row, by object.
#[derive(Debug, Default)]
pub struct Backoffs {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Backoffs {
    /// Counts a failure; returns how many there are in a row.
    pub fn failed(&self, object: &str) -> u32 {
        let now = Instant::now();
        let mut failures = self.lock();
        failures.retain(|_, it| now.duration_since(it.last) < FORGET_AFTER);
        let before = failures.get(object).map_or(0, |it| it.count);
        let count = before.saturating_add(1);
        failures.insert(object.to_owned(), Failures { count, last: now });
        count
    }

    /// Forgets the failures of an object.
    pub fn succeeded(&self, object: &str) {
        self.lock().remove(object);
    }

    /// The time to wait after so many failures in a row: half to one and a half of what doubles each time.
    #[must_use]
    pub fn delay(failures: u32) -> Duration {
        plain(failures).mul_f64(rand::rng().random_range(0.5..1.5))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn plain(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute() {
        let delays = [1, 2, 3, 7, 8, 9, u32::MAX].map(|failures| plain(failures).as_millis());
        assert_eq!(delays, [500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_object_counts_its_own() {
        let backoffs = Backoffs::default();
        assert_eq!(
            [
                backoffs.failed("a"),
                backoffs.failed("a"),
                backoffs.failed("b")
            ],
            [1, 2, 1]
        );
        backoffs.succeeded("a");
        assert_eq!(backoffs.failed("a"), 1);
        tokio::time::advance(FORGET_AFTER).await;
        assert_eq!(backoffs.failed("b"), 1);
        assert_eq!(backoffs.lock().len(), 1, "nothing is kept of the others");
    }
}
