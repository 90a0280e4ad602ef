//! Waiting for a condition instead of for a time.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// How long to pause between two probes: short against what is waited for, long against what a probe costs.
const PAUSE: Duration = Duration::from_millis(25);

/// Calls `probe` until it gives a value.
///
/// # Panics
/// When `deadline` has passed; the message says `what` was awaited, for how long and where.
#[track_caller]
pub fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let outcome: Result<T, TimedOut<&str>> =
            until(deadline, async || probe().await.ok_or("not yet")).await;
        outcome.unwrap_or_else(|timed_out| give_up(caller, what, &timed_out))
    }
}

/// Calls `probe` until it gives `Ok`: the last error becomes part of the panic message.
///
/// # Panics
/// When `deadline` has passed.
#[track_caller]
pub fn eventually_ok<T, E: fmt::Display>(
    deadline: Duration,
    what: &str,
    probe: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        until(deadline, probe)
            .await
            .unwrap_or_else(|timed_out| give_up(caller, what, &timed_out))
    }
}

/// Calls `probe` until it gives `Ok`, and gives its last error when `deadline` has passed.
///
/// # Errors
/// [`TimedOut`]; a probe that is still at work at the deadline is dropped.
pub async fn until<T, E>(
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, TimedOut<E>> {
    let end = Instant::now() + deadline;
    let mut last = None;
    loop {
        match timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if Instant::now() < end => last = Some(error),
            Ok(Err(error)) => {
                return Err(TimedOut {
                    deadline,
                    last: Some(error),
                });
            }
            Err(_) => return Err(TimedOut { deadline, last }),
        }
        sleep(PAUSE).await;
    }
}

/// A condition that did not come true in time.
#[derive(Debug)]
pub struct TimedOut<E> {
    /// How long was waited.
    pub deadline: Duration,
    /// What the last complete probe said; absent when the first was still at work.
    pub last: Option<E>,
}

impl<E: fmt::Display> fmt::Display for TimedOut<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not within {:?}", self.deadline)?;
        match &self.last {
            Some(last) => write!(formatter, "; last: {last}"),
            None => write!(formatter, "; the first probe was still at work"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for TimedOut<E> {}

#[expect(
    clippy::panic,
    reason = "a condition that never came true fails the test that awaits it"
)]
fn give_up<E: fmt::Display>(caller: &Location<'_>, what: &str, timed_out: &TimedOut<E>) -> ! {
    panic!("waited at {caller} for {what}: {timed_out}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_value_of_the_first_probe_that_has_one() {
        let mut probes = 0;
        let value = eventually(Duration::from_secs(5), "the third probe", async || {
            probes += 1;
            (probes == 3).then_some(probes)
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    async fn tells_the_last_error() {
        let outcome: Result<(), _> = until(Duration::from_millis(30), async || {
            Err("connection refused")
        })
        .await;
        let message = outcome.unwrap_err().to_string();
        assert_eq!(message, "not within 30ms; last: connection refused");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_ends_at_the_deadline() {
        let outcome: Result<(), TimedOut<&str>> = until(Duration::from_millis(30), async || {
            std::future::pending().await
        })
        .await;
        assert!(outcome.unwrap_err().last.is_none());
    }

    #[tokio::test]
    #[should_panic(expected = "for the end of the world: not within 10ms")]
    async fn panics_with_what_was_awaited() {
        eventually(
            Duration::from_millis(10),
            "the end of the world",
            async || None::<()>,
        )
        .await;
    }
}
