//! The pace of one producer: the plan, and whether it is paused.

use ordermill_config::{ProducerTuning, Tuning};
use ordermill_events::Root;
use ordermill_runtime::Tuned;
use ordermill_runtime::pacing::Pacer;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

/// The plan of one producer.
pub(crate) struct Pace {
    pacer: Pacer<ChaCha8Rng>,
    tuning: ProducerTuning,
    paused: bool,
}

impl Pace {
    /// A plan from now on; `None` where the tuning is no producer's.
    pub(crate) fn new(tuning: &Tuning, root: &Root, now: Instant) -> Option<Self> {
        let producer = tuning.producer.clone()?;
        let random = root.stream("arrival").at(0);
        Some(Self {
            pacer: Pacer::new(&producer.pacing, producer.arrival, now, random),
            tuning: producer,
            paused: tuning.paused,
        })
    }

    /// When the next tick is due; `None` while paused, and where none ever is.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.paused { None } else { self.pacer.next() }
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Says that the tick that was due has been taken.
    pub(crate) fn advance(&mut self) {
        self.pacer.advance();
    }
}

impl Tuned for Pace {
    /// One that leaves the pace as it is leaves the plan as it is.
    fn retune(&mut self, tuning: &Tuning, now: Instant) {
        let Some(producer) = &tuning.producer else {
            return;
        };
        let same_pace =
            producer.pacing == self.tuning.pacing && producer.arrival == self.tuning.arrival;
        if !same_pace {
            self.pacer.retune(&producer.pacing, producer.arrival, now);
        } else if self.paused && !tuning.paused {
            self.pacer.resume(now);
        }
        self.tuning = producer.clone();
        self.paused = tuning.paused;
    }

    fn planned_rate(&self, now: Instant) -> f64 {
        if self.paused {
            0.0
        } else {
            self.pacer.rate_at(now)
        }
    }
}
