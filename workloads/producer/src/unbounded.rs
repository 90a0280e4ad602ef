//! Sending without end.

use std::sync::Arc;
use std::time::Duration;

use ordermill_events::{Generator, Identity, Root};
use ordermill_runtime::kafka::{OversizedSender, Sender, SenderSettings};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::time::{Instant, MissedTickBehavior};

use crate::delivery::DeliveryReporter;
use crate::emitter::{Budget, Emitter, Outgoing};
use crate::run::{Controls, Parts, ProducerError, restart_plan, until};

/// Events emitted before signals, tuning and the sender are looked at again.
const BURST: usize = 256;

/// Sends until it is asked to end.
pub(crate) async fn run(
    workload: &Workload,
    mut controls: Controls,
    parts: Parts,
) -> Result<WorkloadEnd, ProducerError> {
    let Parts {
        settings,
        kafka,
        records,
        reporter,
    } = parts;
    let ordinal = workload.instance.ordinal;
    let identity = match settings.seed {
        Some(seed) => Identity::seeded(seed, ordinal),
        None => Identity::random(Root::random()),
    };
    let generator = Generator::new(settings.model, identity.clone(), settings.key_skew);
    let tuning = controls.tuning();
    let telemetry = Arc::clone(&workload.telemetry);
    let budget = Budget::new(None);
    let mut emitter = Emitter::new(generator, &identity, tuning, records, telemetry, budget);
    let id = workload.instance.name.clone();
    let mut transport = Transport {
        sender: Sender::new(
            SenderSettings::new(kafka.clone(), id.clone()),
            Arc::clone(&reporter),
            Arc::clone(&workload.health),
        )?,
        oversized: OversizedSender::new(kafka, id, reporter),
    };
    restart_plan(&mut controls);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        transport.send_all(&mut emitter);
        let due = if emitter.has_outgoing() {
            None
        } else {
            next_due(&controls, &emitter)
        };
        tokio::select! {
            biased;
            () = workload.cancelled.cancelled() => break,
            () = controls.changed() => controls.apply_with(|tuning, now| emitter.retune(tuning, now)),
            _ = second.tick() => controls.observe(),
            () = transport.sender.attend() => {}
            () = until(due) => {
                burst(&mut controls, &mut emitter, &mut transport);
                tokio::task::yield_now().await;
            }
        }
    }
    workload.state.set_phase(Phase::Stopping);
    tracing::info!(
        records = transport.sender.waiting(),
        "the producer ends: sending what waits"
    );
    let undelivered = transport
        .finish(&mut emitter, Instant::now() + workload.drain)
        .await;
    Ok(if undelivered == 0 {
        WorkloadEnd::Stopped
    } else {
        WorkloadEnd::Undelivered(undelivered)
    })
}

/// When the next event is due; `None` while paused.
pub(crate) fn next_due(controls: &Controls, emitter: &Emitter) -> Option<Instant> {
    if controls.tuned.is_paused() {
        return None;
    }
    let tick = controls.tuned.next().filter(|_| emitter.may_tick());
    tick.into_iter().chain(emitter.next_follow_up()).min()
}

/// Emits what is due, up to a number of events or until there is no room for more.
fn burst(controls: &mut Controls, emitter: &mut Emitter, transport: &mut Transport) {
    for _ in 0..BURST {
        let now = Instant::now();
        let Some(due) = next_due(controls, emitter).filter(|due| *due <= now) else {
            return;
        };
        emitter.emit_due(now);
        if controls.tuned.next().is_some_and(|tick| tick <= due) {
            emitter.tick(due, now);
            controls.tuned.advance();
        }
        transport.send_all(emitter);
        if emitter.has_outgoing() {
            return;
        }
    }
}

/// The two ways to the broker.
struct Transport {
    sender: Sender<DeliveryReporter>,
    oversized: OversizedSender<DeliveryReporter>,
}

impl Transport {
    /// Sends what is to go out, as far as there is room.
    fn send_all(&mut self, emitter: &mut Emitter) {
        while let Some(Outgoing {
            record,
            tag,
            oversized,
        }) = emitter.pop()
        {
            if oversized {
                self.oversized.send(&record, tag);
            } else if let Err((record, tag)) = self.sender.try_send(record, tag) {
                emitter.put_back(Outgoing {
                    record,
                    tag,
                    oversized,
                });
                return;
            }
        }
    }

    /// Sends everything until the deadline; returns how many records are then not delivered.
    async fn finish(&mut self, emitter: &mut Emitter, deadline: Instant) -> usize {
        emitter.release_held();
        self.send_all(emitter);
        while emitter.has_outgoing() {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => break,
                () = self.sender.attend() => self.send_all(emitter),
            }
        }
        let left = std::iter::from_fn(|| emitter.pop()).count();
        left + self.sender.flush(deadline).await
    }
}
