//! Payloads keep their contract, whatever the seed and the tick.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use jsonschema::Validator;
use ordermill_events::{Event, EventType, Generator, Identity, ModelSettings, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{NOW, any_model, any_repeatable_identity, pattern, send_all, tick};

static VALIDATORS: LazyLock<HashMap<EventType, Validator>> = LazyLock::new(|| {
    let validator = |event_type: EventType| {
        let schema = serde_json::from_str(event_type.schema()).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    };
    EventType::ALL
        .map(|event_type| (event_type, validator(event_type)))
        .into()
});

fn parsed(event: &Event) -> Value {
    serde_json::from_slice(&event.render(NOW, None)).unwrap()
}

fn violations(event_type: EventType, payload: &Value) -> Vec<String> {
    VALIDATORS[&event_type]
        .iter_errors(payload)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// An amount of a payload in cents.
fn cents(amount: &Value) -> u64 {
    let text = amount.to_string();
    let (units, decimals) = text.split_once('.').unwrap_or((&text, ""));
    assert!(decimals.len() <= 2, "{text} has more than two decimals");
    units.parse::<u64>().unwrap() * 100 + format!("{decimals:0<2}").parse::<u64>().unwrap()
}

/// Sum of quantity times price over a payload's items.
fn sum(payload: &Value) -> u64 {
    let items = payload["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["quantity"].as_u64().unwrap() * cents(&item["price"]))
        .sum()
}

/// A generator at any tick.
fn generator_at(model: ModelSettings, identity: Identity, key_skew: f64, tick: u64) -> Generator {
    let mut checkpoint = Generator::new(model, identity.clone(), key_skew).checkpoint();
    (checkpoint.tick, checkpoint.sequence) = (tick, tick);
    Generator::restore(model, identity, key_skew, &checkpoint).unwrap()
}

proptest! {
    #[test]
    fn every_payload_satisfies_its_schema_and_sums(
        model in any_model(),
        identity in any_repeatable_identity(),
        key_skew in 0.0..5.0,
        first_tick in 0..1_u64 << 39,
    ) {
        let mut generator = generator_at(model, identity, key_skew, first_tick);
        for _ in 0..20 {
            let mut total = None;
            for (mut event, _) in tick(&mut generator, &send_all) {
                event.fail();
                let payload = parsed(&event);
                let violations = violations(event.event_type, &payload);
                prop_assert!(violations.is_empty(), "{payload}: {violations:?}");
                if payload.get("items").is_some() {
                    total = Some(sum(&payload));
                    prop_assert_eq!(cents(&payload["total_amount"]), sum(&payload));
                }
                if event.event_type == EventType::FoodOrderPlaced {
                    let dishes = payload["items"].as_array().unwrap();
                    let different: HashSet<&str> =
                        dishes.iter().map(|item| item["item_id"].as_str().unwrap()).collect();
                    prop_assert_eq!(different.len(), dishes.len());
                }
                if event.event_type == EventType::DrinkPaymentProcessed {
                    prop_assert_eq!(Some(cents(&payload["amount"])), total);
                }
            }
        }
    }

    #[test]
    fn ids_keys_and_sequence_numbers_are_the_payloads_and_complete(
        model in any_model(),
        identity in any_repeatable_identity(),
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let mut generator = Generator::new(model, identity, 0.0);
        let outcome = pattern(suppressed);
        let (mut ids, mut sequences) = (HashSet::new(), Vec::new());
        for _ in 0..200 {
            for (event, outcome) in tick(&mut generator, &outcome) {
                let payload = parsed(&event);
                let (id, key) = match event.event_type {
                    EventType::WoodOrder => ("order_id", "customer_id"),
                    EventType::WoodDelivery => ("delivery_id", "supplier_id"),
                    EventType::RetailTransaction => ("transaction_id", "store_id"),
                    EventType::RetailRefund => ("refund_id", "store_id"),
                    EventType::FoodOrderPlaced => ("order_id", "order_id"),
                    _ => ("event_id", "customer_id"),
                };
                let id = payload[id].to_string();
                prop_assert_eq!(id.trim_matches('"'), &event.id);
                prop_assert_eq!(&payload[key], &event.key);
                sequences.push(event.sequence);
                if outcome == Outcome::Sent {
                    prop_assert!(ids.insert(event.id), "an id twice");
                }
            }
        }
        let expected: Vec<u64> = (0..).take(sequences.len()).collect();
        prop_assert_eq!(sequences, expected);
    }

    #[test]
    fn a_bounded_share_of_food_orders_has_exactly_its_numbers(
        seed in any::<u64>(),
        first_index in 0..999_900_u64,
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let identity = Identity::seeded(seed, 0).bounded(first_index);
        let mut generator = Generator::new(ModelSettings::FoodOrder, identity, 0.0);
        let outcome = pattern(suppressed);
        let sent: Vec<String> = (0..100)
            .flat_map(|_| tick(&mut generator, &outcome))
            .filter(|(_, outcome)| *outcome == Outcome::Sent)
            .map(|(event, _)| event.id)
            .collect();
        let expected: Vec<String> = (first_index + 1..)
            .take(sent.len())
            .map(|number| format!("order_{number:06}"))
            .collect();
        prop_assert_eq!(sent, expected);
    }

    #[test]
    fn what_is_suppressed_changes_no_other_content(
        model in any_model(),
        seed in any::<u64>(),
        suppressed in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let firsts = |outcome: &dyn Fn(&Event) -> Outcome| -> Vec<Value> {
            let mut generator = Generator::new(model, Identity::seeded(seed, 0), 0.0);
            (0..100).map(|_| parsed(&tick(&mut generator, &|event| outcome(event))[0].0)).collect()
        };
        prop_assert_eq!(firsts(&send_all), firsts(&pattern(suppressed)));
    }

    #[test]
    fn a_skew_of_keys_changes_no_other_field(model in any_model(), seed in any::<u64>()) {
        let firsts = |key_skew| -> Vec<Value> {
            let mut generator = Generator::new(model, Identity::seeded(seed, 0), key_skew);
            let skewed = match model {
                ModelSettings::WoodStock => "supplier_id",
                ModelSettings::RetailSale { .. } => "store_id",
                ModelSettings::WoodOrder
                | ModelSettings::FoodOrder
                | ModelSettings::DrinkOrder { .. } => "customer_id",
            };
            let first = |generator: &mut Generator| {
                let mut payload = parsed(&tick(generator, &send_all)[0].0);
                payload.as_object_mut().unwrap().remove(skewed);
                payload
            };
            (0..50).map(|_| first(&mut generator)).collect()
        };
        prop_assert_eq!(firsts(0.0), firsts(1.3));
    }
}

/// One payload of each event type.
fn samples() -> HashMap<EventType, Value> {
    let models = [
        ModelSettings::WoodOrder,
        ModelSettings::WoodStock,
        ModelSettings::RetailSale {
            refund_probability: 0.5,
        },
        ModelSettings::FoodOrder,
        ModelSettings::DrinkOrder {
            customers: 200,
            preparation_mean: Duration::from_secs(2),
            cancel_probability: 0.5,
        },
    ];
    models
        .into_iter()
        .flat_map(|model| {
            let mut generator = Generator::new(model, Identity::seeded(1, 0), 0.0);
            (0..20).flat_map(move |_| tick(&mut generator, &send_all))
        })
        .map(|(event, _)| (event.event_type, parsed(&event)))
        .collect()
}

#[test]
fn schemas_refuse_what_is_missing_unknown_or_out_of_bounds() {
    let samples = samples();
    for event_type in EventType::ALL {
        let sample = &samples[&event_type];
        let refused = |payload: &Value| !violations(event_type, payload).is_empty();
        assert!(!refused(sample), "{sample}");

        let mut padded = sample.clone();
        padded["padding"] = json!("xxx");
        assert!(!refused(&padded));
        let mut unknown = sample.clone();
        unknown["unknown"] = json!(1);
        assert!(refused(&unknown), "{event_type:?} with an unknown field");

        for (field, value) in sample.as_object().unwrap() {
            let mut without = sample.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(refused(&without), "{event_type:?} without {field}");
            let odd: Vec<Value> = match value {
                Value::Number(_) => vec![json!(0), json!(-1), json!(10.123), json!(1e19)],
                Value::Array(items) => {
                    vec![json!([]), json!(vec![items[0].clone(); 6]), json!([{}])]
                }
                _ => vec![
                    json!(""),
                    json!("?"),
                    json!(format!("{} ", value.as_str().unwrap())),
                ],
            };
            for odd in odd.into_iter().chain([Value::Null]) {
                let mut changed = sample.clone();
                changed[field] = odd;
                assert!(
                    refused(&changed),
                    "{event_type:?} with {field} {}",
                    changed[field]
                );
            }
        }
    }
}
