//! Leader election by a Lease: one operator writes, and it stops writing before another may begin.

mod decide;
mod keeper;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use self::keeper::{Keeper, LeadershipError};

/// How long a Lease is good for without renewal: another operator acts at the latest this long, and one retry, after the
/// leader has died.
pub const LEASE_DURATION: Duration = Duration::from_secs(12);
/// How often it is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How often one that stands by looks at it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon a renewal that failed is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How long a look at the Lease, with the write that follows, may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// Without renewal for so long, the process ends: its last writes are over before the Lease is.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(8);

/// Whether this process leads, and for how long that is certain.
#[derive(Debug, Clone, Default)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Leadership {
    /// One that never ends: for a single operator without a Lease, and for tests.
    #[must_use]
    pub fn always() -> Self {
        let leadership = Self::default();
        leadership.hold_until(Instant::now() + Duration::from_hours(24 * 365));
        leadership
    }

    /// Whether a request that takes this long ends while this process still leads.
    #[must_use]
    pub fn holds_for(&self, time: Duration) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() + time < until)
    }

    fn hold_until(&self, moment: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    pub(crate) fn lose(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests;
