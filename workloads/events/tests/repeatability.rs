//! What follows from a seed or a stored root comes again, whatever the timing and however often the producer is killed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ordermill_events::{
    Checkpoint, Event, FollowUp, Generator, Identity, ModelSettings, Outcome, RestoreError, Root,
};
use proptest::prelude::*;
use support::{NOW, any_model, any_repeatable_identity, pattern, send_all, tick};

const DRINKS: ModelSettings = ModelSettings::DrinkOrder {
    customers: 200,
    preparation_mean: Duration::from_secs(2),
    cancel_probability: 0.3,
};

proptest! {
    #[test]
    fn a_restored_generator_goes_on_identically(
        model in any_model(),
        identity in any_repeatable_identity(),
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
        kills in proptest::collection::btree_set(0..300_u64, 0..10),
    ) {
        let outcome = pattern(suppressed);
        let mut unbroken = Generator::new(model, identity.clone(), 0.7);
        let mut killed = unbroken.clone();
        for index in 0..300 {
            if kills.contains(&index) {
                let text = serde_json::to_string(&killed.checkpoint()).unwrap();
                prop_assert!(text.len() < 1_400, "{} bytes", text.len());
                let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
                killed = Generator::restore(model, identity.clone(), 0.7, &checkpoint).unwrap();
            }
            prop_assert_eq!(tick(&mut unbroken, &outcome), tick(&mut killed, &outcome));
        }
        prop_assert_eq!(unbroken.checkpoint(), killed.checkpoint());
    }

    #[test]
    fn the_moment_when_follow_ups_are_settled_changes_nothing(
        model in any_model().prop_filter(
            // The outcome of a refund decides what the next refund may name, so it is known before the next sale.
            "refunds follow at once",
            |model| !matches!(model, ModelSettings::RetailSale { .. }),
        ),
        identity in any_repeatable_identity(),
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
        delays in proptest::collection::vec(0..20_usize, 1..50),
    ) {
        let outcome = pattern(suppressed);
        let mut prompt = Generator::new(model, identity.clone(), 0.0);
        let mut expected: Vec<Event> = Vec::new();
        for _ in 0..100 {
            expected.extend(tick(&mut prompt, &outcome).into_iter().map(|(event, _)| event));
        }

        let mut late = Generator::new(model, identity, 0.0);
        let mut seen: Vec<Event> = Vec::new();
        let mut waiting: Vec<(usize, Event)> = Vec::new();
        for index in 0..100 {
            let (due, later) = waiting.into_iter().partition(|(due, _)| *due <= index);
            waiting = later;
            let due: Vec<(usize, Event)> = due;
            for (_, event) in due {
                prop_assert!(late.settle(&event, outcome(&event)).is_empty());
                seen.push(event);
            }
            // Another clock, too.
            let event = late.next(NOW + 17 * u64::try_from(index).unwrap());
            for follow_up in late.settle(&event, outcome(&event)) {
                waiting.push((index + delays[seen.len() % delays.len()], follow_up.event));
            }
            seen.push(event);
        }
        seen.extend(waiting.into_iter().map(|(_, event)| event));
        seen.sort_by_key(|event| event.sequence);
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(late.checkpoint(), prompt.checkpoint());
    }

    #[test]
    fn follow_ups_of_drinks_are_made_anew_from_their_tick(
        identity in any_repeatable_identity(),
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let outcome = pattern(suppressed);
        let mut generator = Generator::new(DRINKS, identity.clone(), 0.0);
        let mut pending: Vec<FollowUp> = Vec::new();
        for _ in 0..100 {
            let placement = generator.next(NOW);
            pending.extend(generator.settle(&placement, outcome(&placement)));
        }
        let restored =
            Generator::restore(DRINKS, identity, 0.0, &generator.checkpoint()).unwrap();
        for group in pending.chunk_by(|one, next| one.event.tick == next.event.tick) {
            let (tick, first_sequence) = (group[0].event.tick, group[0].event.sequence);
            for (step, follow_up) in (0..).zip(group) {
                let again = restored.regenerate(tick, first_sequence, step);
                prop_assert_eq!(again.as_ref(), Some(follow_up));
            }
            let beyond = u8::try_from(group.len()).unwrap();
            prop_assert_eq!(restored.regenerate(tick, first_sequence, beyond), None);
            prop_assert!(group.is_sorted_by_key(|follow_up| follow_up.after));
        }
    }
}

#[test]
fn a_checkpoint_stays_small_when_almost_every_sale_is_suppressed() {
    let model = ModelSettings::RetailSale {
        refund_probability: 0.5,
    };
    let identity = Identity::seeded(1, 0);
    let mut generator = Generator::new(model, identity.clone(), 0.0);
    // 120 sent sales, each an enormous number of ticks after the one before.
    for index in 1..=120 {
        let mut checkpoint = generator.checkpoint();
        checkpoint.tick = u64::MAX / 121 * index;
        generator = Generator::restore(model, identity.clone(), 0.0, &checkpoint).unwrap();
        assert!(!tick(&mut generator, &send_all).is_empty());
    }
    let text = serde_json::to_string(&generator.checkpoint()).unwrap();
    assert!(text.len() < 1_400, "{} bytes", text.len());
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let identity = || Identity::seeded(1, 0);
    let food = Generator::new(ModelSettings::FoodOrder, identity(), 0.0).checkpoint();
    let wood = Generator::new(ModelSettings::WoodOrder, identity(), 0.0).checkpoint();
    let retail = ModelSettings::RetailSale {
        refund_probability: 0.1,
    };
    for (model, checkpoint) in [
        (ModelSettings::WoodOrder, &food),
        (ModelSettings::FoodOrder, &wood),
        (retail, &food),
    ] {
        assert_eq!(
            Generator::restore(model, identity(), 0.0, checkpoint).unwrap_err(),
            RestoreError::OtherModel
        );
    }
}

#[test]
fn a_checkpoint_with_broken_sales_is_refused() {
    let broken = serde_json::from_str::<Checkpoint>(r#"{"t":1,"q":1,"s":"gA"}"#);
    assert!(broken.unwrap_err().to_string().contains("cut off"));
}

#[test]
fn unseeded_runs_differ_in_all_ids_and_carry_the_clock() {
    let run = || {
        let mut generator = Generator::new(DRINKS, Identity::random(Root::random()), 0.0);
        let placement = generator.next(NOW);
        let ready = generator.settle(&placement, Outcome::Sent).remove(0);
        (placement, ready)
    };
    let ((one, ready), (other, _)) = (run(), run());
    assert_ne!(one.id, other.id);
    let millis = |event: &Event| u64::from_str_radix(&event.id.replace('-', "")[..12], 16).unwrap();
    assert_eq!(millis(&one), NOW);
    assert_eq!(
        millis(&ready.event),
        NOW + u64::try_from(ready.after.as_millis()).unwrap()
    );
}

/// Pins the texts that seeds give: another release must give the same.
#[test]
fn a_seed_gives_the_same_text_in_every_release() {
    let texts = |model| -> Vec<String> {
        let mut generator = Generator::new(model, Identity::seeded(42, 1), 0.0);
        (0..2)
            .flat_map(|_| tick(&mut generator, &send_all))
            .map(|(event, _)| String::from_utf8(event.render(NOW, None)).unwrap())
            .collect()
    };
    let models = [
        ModelSettings::WoodOrder,
        ModelSettings::WoodStock,
        ModelSettings::RetailSale {
            refund_probability: 1.0,
        },
        ModelSettings::FoodOrder,
        DRINKS,
    ];
    let all: Vec<String> = models.into_iter().flat_map(texts).collect();
    assert_eq!(
        all.join("\n") + "\n",
        include_str!("seed-42-ordinal-1.jsonl")
    );
}
