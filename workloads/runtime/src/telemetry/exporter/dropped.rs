//! What did not get out, counted; and the bound on what waits to get out.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// One of the three kinds of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Signal {
    /// Spans.
    Traces,
    /// Metric points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three.
    pub(in super::super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, `metrics` or `logs`.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// Counts what was dropped, by signal: refused by a full queue, or lost with a failed export.
#[derive(Debug, Default)]
pub(in super::super) struct Dropped([AtomicU64; 3]);

impl Dropped {
    /// Counts `items` more.
    pub(in super::super) fn add(&self, signal: Signal, items: u64) {
        self.0[signal as usize].fetch_add(items, Ordering::Relaxed);
    }

    /// The count of one signal.
    pub(in super::super) fn get(&self, signal: Signal) -> u64 {
        self.0[signal as usize].load(Ordering::Relaxed)
    }

    /// The counts of all signals.
    pub(in super::super) fn by_signal(&self) -> impl Iterator<Item = (Signal, u64)> {
        Signal::ALL
            .into_iter()
            .map(|signal| (signal, self.get(signal)))
    }
}

/// Bounds what waits in one of the SDK's queues, so that nothing is ever refused there, where nobody counts it.
///
/// The last quarter is kept for what must not be lost: failures and what was injected.
#[derive(Debug)]
pub(in super::super) struct Backlog {
    capacity: usize,
    waiting: AtomicUsize,
    closed: AtomicBool,
}

impl Backlog {
    pub(in super::super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes a place for one item; without one the item is dropped, and the caller counts it.
    pub(in super::super) fn admit(&self, must_keep: bool) -> bool {
        let limit = if must_keep {
            self.capacity
        } else {
            self.capacity / 4 * 3
        };
        !self.closed.load(Ordering::Relaxed)
            && self
                .waiting
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                    (waiting < limit).then_some(waiting + 1)
                })
                .is_ok()
    }

    /// Gives back the places of `items`, whose export succeeded or failed.
    pub(in super::super) fn release(&self, items: usize) {
        self.waiting.fetch_sub(items, Ordering::Relaxed);
    }

    /// Admits nothing from now on.
    pub(in super::super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Items that are neither exported nor dropped yet.
    pub(in super::super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_is_for_what_must_be_kept() {
        let backlog = Backlog::new(8);
        let admitted = |must_keep| (0..10).filter(|_| backlog.admit(must_keep)).count();
        assert_eq!(admitted(false), 6);
        assert_eq!(admitted(true), 2);
        backlog.release(3);
        assert_eq!(
            (backlog.waiting(), admitted(false), admitted(true)),
            (5, 1, 2)
        );
        backlog.release(8);
        backlog.close();
        assert_eq!(admitted(true), 0);
    }
}
