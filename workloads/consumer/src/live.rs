//! What an edit changes of a running consumer.

use std::time::Duration;

use ordermill_config::Tuning;
use ordermill_runtime::Tuned;
use ordermill_runtime::faults::{ConsumerFault, Declared, FaultTable, consumer_faults};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the partitions follow.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// No message is begun.
    pub(crate) paused: bool,
    /// How long each message is held back.
    pub(crate) delay: Duration,
    /// What is wrong on purpose.
    pub(crate) faults: FaultTable<ConsumerFault>,
}

fn declared(tuning: &Tuning) -> Option<Vec<(ConsumerFault, Declared)>> {
    let consumer = tuning.consumer.as_ref()?;
    Some(consumer_faults(tuning.error_rate, &consumer.faults))
}

fn delay(tuning: &Tuning) -> Duration {
    let consumer = tuning.consumer.as_ref();
    consumer.map_or(Duration::ZERO, |it| it.processing_delay.get())
}

/// Tells the partitions of an edit.
#[derive(Debug)]
pub(crate) struct LiveSender(watch::Sender<Live>);

impl LiveSender {
    /// Begins with a tuning; `None` where it is no consumer's.
    pub(crate) fn new(tuning: &Tuning) -> Option<Self> {
        Some(Self(watch::Sender::new(Live {
            paused: tuning.paused,
            delay: delay(tuning),
            faults: FaultTable::new(declared(tuning)?, Instant::now()),
        })))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Live> {
        self.0.subscribe()
    }
}

impl Tuned for LiveSender {
    fn retune(&mut self, tuning: &Tuning, now: Instant) {
        self.0.send_modify(|live| {
            live.paused = tuning.paused;
            live.delay = delay(tuning);
            if let Some(declared) = declared(tuning) {
                live.faults = live.faults.retuned(declared, now);
            }
        });
    }
}
