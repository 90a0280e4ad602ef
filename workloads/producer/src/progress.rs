//! What a bounded run stores with its progress, so that a later life goes on as if nothing had happened.

use ordermill_config::ProducerSettings;
use ordermill_events::{
    Checkpoint, Event, EventType, FollowUp, Generator, Identity, RestoreError, Root,
};
use ordermill_runtime::kafka::Progress;
use serde::{Deserialize, Serialize};

use crate::emitter::Emitter;

/// Follow-ups that may wait at a time in a bounded run: their list must fit into 4,096 bytes of offset metadata together
/// with the rest, at up to eight bytes each.
pub(crate) const MAX_WAITING: usize = 300;

/// Why stored progress cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgressError {
    /// It is not what this version writes.
    #[error("the stored progress {state:?} cannot be read")]
    Unreadable {
        state: String,
        #[source]
        source: serde_json::Error,
    },
    /// It is another model's.
    #[error("the stored progress does not fit")]
    Other(#[from] RestoreError),
}

/// Where a bounded run stands. The names are short because Kafka limits the size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunState {
    /// Randomness of a run without a seed.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    root: Option<Root>,
    /// When the run began, in milliseconds since 1970.
    #[serde(rename = "b")]
    begun_unix_ms: u64,
    /// Events held back on purpose.
    #[serde(rename = "h", default)]
    suppressed: u64,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
    /// Follow-ups that wait, see [`encode_waiting`].
    #[serde(rename = "w", default, skip_serializing_if = "String::is_empty")]
    waiting: String,
}

impl RunState {
    /// A run that begins now.
    pub(crate) fn begin(settings: &ProducerSettings, now_unix_ms: u64) -> Self {
        Self {
            root: settings.seed.is_none().then(Root::random),
            begun_unix_ms: now_unix_ms,
            suppressed: 0,
            checkpoint: None,
            waiting: String::new(),
        }
    }

    /// A run that goes on.
    pub(crate) fn parse(progress: &Progress) -> Result<Self, ProgressError> {
        let state = progress.state.clone();
        serde_json::from_str(&state).map_err(|source| ProgressError::Unreadable { state, source })
    }

    /// Where the run stands after everything that the emitter emitted.
    pub(crate) fn after(&self, emitter: &Emitter) -> Self {
        Self {
            suppressed: emitter.suppressed(),
            checkpoint: Some(emitter.generator().checkpoint()),
            waiting: encode_waiting(emitter.follow_ups()),
            ..self.clone()
        }
    }

    /// The text to store.
    pub(crate) fn progress(&self, sent: u64) -> Progress {
        // Plain fields and strings always serialize.
        let state = serde_json::to_string(self).unwrap_or_default();
        Progress { sent, state }
    }

    pub(crate) const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Who the run's instance is.
    pub(crate) fn identity(&self, settings: &ProducerSettings, ordinal: u32) -> Identity {
        let first = settings
            .bounded
            .as_ref()
            .map_or(0, |bounded| bounded.share(ordinal).0);
        let identity = match (settings.seed, self.root) {
            (Some(seed), _) => Identity::seeded(seed, ordinal),
            (None, Some(root)) => Identity::stored(root, self.begun_unix_ms),
            // Written by a run with a seed that is gone from the settings: then the work's name differs too.
            (None, None) => Identity::stored(Root::seeded(0, ordinal), self.begun_unix_ms),
        };
        identity.bounded(first)
    }

    /// The generator as it stood, and the follow-ups that waited.
    pub(crate) fn restore(
        &self,
        settings: &ProducerSettings,
        identity: Identity,
    ) -> Result<(Generator, Vec<FollowUp>), ProgressError> {
        let (model, key_skew) = (settings.model, settings.key_skew);
        let Some(checkpoint) = &self.checkpoint else {
            return Ok((Generator::new(model, identity, key_skew), Vec::new()));
        };
        let generator = Generator::restore(model, identity, key_skew, checkpoint)?;
        let follow_ups = decode_waiting(&self.waiting)
            .filter_map(|(tick, sequence, step)| {
                generator.regenerate(tick, sequence - u64::from(step), step)
            })
            .collect();
        Ok((generator, follow_ups))
    }
}

/// Which follow-up of its placement an event is.
const fn step(event_type: EventType) -> u8 {
    match event_type {
        EventType::DrinkPaymentProcessed => 1,
        _ => 0,
    }
}

/// Tick, sequence and step of each, ticks and sequences as differences to the one before, in base 36.
fn encode_waiting<'a>(events: impl Iterator<Item = &'a Event>) -> String {
    let mut entries: Vec<_> = events
        .map(|event| (event.sequence, event.tick, step(event.event_type)))
        .collect();
    entries.sort_unstable();
    let (mut last_sequence, mut last_tick) = (0, 0);
    let mut text = String::new();
    for (sequence, tick, step) in entries {
        if !text.is_empty() {
            text.push(' ');
        }
        push_base36(&mut text, tick - last_tick);
        text.push(if step == 0 { '.' } else { ':' });
        push_base36(&mut text, sequence - last_sequence);
        (last_sequence, last_tick) = (sequence, tick);
    }
    text
}

/// Tick, sequence and step of each entry; an entry that cannot be read is left out.
fn decode_waiting(text: &str) -> impl Iterator<Item = (u64, u64, u8)> {
    let (mut sequence, mut tick) = (0, 0);
    text.split(' ').filter_map(move |entry| {
        let separator = entry.find(['.', ':'])?;
        let step = u8::from(&entry[separator..=separator] == ":");
        tick += u64::from_str_radix(&entry[..separator], 36).ok()?;
        sequence += u64::from_str_radix(&entry[separator + 1..], 36).ok()?;
        Some((tick, sequence, step))
    })
}

fn push_base36(text: &mut String, mut value: u64) {
    let start = text.len();
    loop {
        let digit = u32::try_from(value % 36).unwrap_or_default();
        // Below 36 there is a digit for each value.
        text.insert(start, char::from_digit(digit, 36).unwrap_or('0'));
        value /= 36;
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ordermill_events::{ModelSettings, Outcome};
    use proptest::prelude::*;

    use super::*;

    /// Kafka's default of `offset.metadata.max.bytes`.
    const METADATA_LIMIT: usize = 4096;

    fn drinks() -> ModelSettings {
        ModelSettings::DrinkOrder {
            customers: 200,
            preparation_mean: Duration::from_secs(2),
            cancel_probability: 0.2,
        }
    }

    /// Follow-ups of the first orders, some of which are already gone.
    fn waiting(orders: usize, keep: impl Fn(usize) -> bool) -> (Generator, Vec<Event>) {
        let mut generator = Generator::new(drinks(), Identity::seeded(3, 0), 0.0);
        let mut events = Vec::new();
        for _ in 0..orders {
            let placed = generator.next(0);
            events.extend(
                generator
                    .settle(&placed, Outcome::Sent)
                    .into_iter()
                    .map(|it| it.event),
            );
        }
        let kept = events
            .into_iter()
            .enumerate()
            .filter(|(index, _)| keep(*index));
        (generator, kept.map(|(_, event)| event).collect())
    }

    #[test]
    fn what_waits_comes_back_as_it_was() {
        let (generator, events) = waiting(100, |index| index % 3 != 0);
        let text = encode_waiting(events.iter());
        let restored: Vec<_> = decode_waiting(&text)
            .filter_map(|(tick, sequence, step)| {
                generator.regenerate(tick, sequence - u64::from(step), step)
            })
            .map(|follow_up| follow_up.event)
            .collect();
        assert_eq!(restored, events);
    }

    #[test]
    fn the_fullest_state_fits_into_offset_metadata() {
        let (generator, events) = waiting(2000, |index| index % 12 == 0);
        let events = &events[..MAX_WAITING.min(events.len())];
        assert!(events.len() > 200);
        let state = RunState {
            root: Some(Root::random()),
            begun_unix_ms: u64::MAX,
            suppressed: u64::MAX,
            checkpoint: Some(generator.checkpoint()),
            waiting: encode_waiting(events.iter()),
        };
        assert!(state.progress(u64::MAX).state.len() < METADATA_LIMIT);
    }

    proptest! {
        #[test]
        fn base_36_reads_back(value: u64) {
            let mut text = String::new();
            push_base36(&mut text, value);
            prop_assert_eq!(u64::from_str_radix(&text, 36).unwrap(), value);
        }
    }
}
