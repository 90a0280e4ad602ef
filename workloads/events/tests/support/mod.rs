//! What the suites share: settings of every model, and a run that settles every event.

#![allow(dead_code, reason = "each suite uses its part")]

use std::time::Duration;

use ordermill_events::{Event, Generator, Identity, ModelSettings, Outcome};
use proptest::prelude::*;

/// A creation time in Unix milliseconds.
pub const NOW: u64 = 1_767_323_045_006;

/// Any model with any options.
pub fn any_model() -> impl Strategy<Value = ModelSettings> {
    prop_oneof![
        Just(ModelSettings::WoodOrder),
        Just(ModelSettings::WoodStock),
        (0.0..=1.0).prop_map(|refund_probability| ModelSettings::RetailSale { refund_probability }),
        Just(ModelSettings::FoodOrder),
        (1..=9_999_u16, 0..10_000_u64, 0.0..=1.0).prop_map(
            |(customers, mean, cancel_probability)| {
                ModelSettings::DrinkOrder {
                    customers,
                    preparation_mean: Duration::from_millis(mean),
                    cancel_probability,
                }
            }
        ),
    ]
}

/// Any identity whose ids follow from the tick: what a checkpoint may be restored with.
pub fn any_repeatable_identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        (any::<u64>(), 0..1_000_u32).prop_map(|(seed, ordinal)| Identity::seeded(seed, ordinal)),
        (any::<u64>(), 0..1_000_u32, 0..1_000_000_u64)
            .prop_map(|(seed, ordinal, first)| Identity::seeded(seed, ordinal).bounded(first)),
        (any::<u64>(), 0..1_000_000_u64).prop_map(|(seed, first)| {
            let root = ordermill_events::Root::seeded(seed, 0);
            Identity::stored(root, NOW).bounded(first)
        }),
    ]
}

/// Takes the next event and all that follow from it, with each one's outcome by its sequence number.
pub fn tick(
    generator: &mut Generator,
    outcome: &impl Fn(&Event) -> Outcome,
) -> Vec<(Event, Outcome)> {
    let first = generator.next(NOW);
    let mut events = Vec::new();
    let mut open = vec![first];
    while let Some(event) = open.pop() {
        let outcome = outcome(&event);
        let follow_ups = generator.settle(&event, outcome);
        open.extend(
            follow_ups
                .into_iter()
                .map(|follow_up| follow_up.event)
                .rev(),
        );
        events.push((event, outcome));
    }
    events
}

/// Sends everything.
pub fn send_all(_: &Event) -> Outcome {
    Outcome::Sent
}

/// A pattern of outcomes by sequence number, going round.
pub fn pattern(suppressed: Vec<bool>) -> impl Fn(&Event) -> Outcome {
    move |event| {
        let position = usize::try_from(event.sequence).unwrap() % suppressed.len();
        if suppressed[position] {
            Outcome::Suppressed
        } else {
            Outcome::Sent
        }
    }
}
