//! Payloads as bytes on the wire.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use serde::Serialize;

use crate::event::{Event, Payload};

/// Room for most payloads without growing.
const USUAL_BYTES: usize = 512;
/// What a padding field takes besides its filler.
const EMPTY_PADDING: &str = r#","padding":"""#;
/// What padding is made of.
const FILLER: u8 = b'x';

/// `YYYY-MM-DD HH:MM:SS`.
const RETAIL_TIME: DateTimePrinter = DateTimePrinter::new().separator(b' ').precision(Some(0));

/// A payload with its time in its place: after `head`, before `tail`.
#[derive(Serialize)]
struct Timed<'a, H: Serialize, T: Serialize> {
    #[serde(flatten)]
    head: &'a H,
    timestamp: String,
    #[serde(flatten)]
    tail: &'a T,
}

/// No field.
#[derive(Serialize)]
struct Nothing {}

impl Event {
    /// The payload as JSON, with the event's time (Unix time in milliseconds) in the model's format.
    ///
    /// A JSON text shorter than `pad_to` bytes is made exactly that long by a last field `padding`; where too few bytes are
    /// missing for that field, by spaces before the closing brace. A longer one stays as it is.
    #[must_use]
    pub fn render(&self, event_time_unix_ms: u64, pad_to: Option<usize>) -> Vec<u8> {
        let time = timestamp(event_time_unix_ms);
        // `.3` prints three decimals, whatever the time.
        let instant = || format!("{time:.3}");
        let mut json = Vec::with_capacity(pad_to.unwrap_or_default().max(USUAL_BYTES));
        match &self.payload {
            Payload::WoodOrder(order) => write(&mut json, order, instant(), &Nothing {}),
            Payload::WoodDelivery(delivery) => write(&mut json, delivery, instant(), &Nothing {}),
            Payload::RetailTransaction(sale) => {
                write(&mut json, sale, retail_time(time), &Nothing {});
            }
            Payload::RetailRefund(refund) => {
                write(&mut json, refund, retail_time(time), &Nothing {});
            }
            Payload::FoodOrder(order) => write(&mut json, order, instant(), &Nothing {}),
            Payload::Drink(event) => write(&mut json, &event.head, instant(), &event.detail),
        }
        pad(&mut json, pad_to.unwrap_or_default());
        json
    }

    /// Bytes that never parse as JSON: the first half of what [`render`](Self::render) gives, an object without its end.
    #[must_use]
    pub fn render_malformed(&self, event_time_unix_ms: u64, pad_to: Option<usize>) -> Vec<u8> {
        let mut json = self.render(event_time_unix_ms, pad_to);
        json.truncate(json.len() / 2);
        json
    }
}

fn write<H: Serialize, T: Serialize>(json: &mut Vec<u8>, head: &H, timestamp: String, tail: &T) {
    let timed = Timed {
        head,
        timestamp,
        tail,
    };
    #[expect(
        clippy::expect_used,
        reason = "a Vec takes every write, and payloads hold neither a map with keys that are no strings nor a failing Serialize"
    )]
    serde_json::to_writer(json, &timed).expect("payloads serialize");
}

/// The instant of a Unix time in milliseconds; what lies beyond the year 9999 is its end.
fn timestamp(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok())
        .unwrap_or(Timestamp::MAX)
}

fn retail_time(time: Timestamp) -> String {
    RETAIL_TIME.datetime_to_string(&Offset::UTC.to_datetime(time))
}

/// Pads a JSON object to `size` bytes.
fn pad(json: &mut Vec<u8>, size: usize) {
    let Some(missing) = size.checked_sub(json.len()) else {
        return;
    };
    json.pop();
    match missing.checked_sub(EMPTY_PADDING.len()) {
        Some(filler) => {
            let (before, after) = EMPTY_PADDING.split_at(EMPTY_PADDING.len() - 1);
            json.extend_from_slice(before.as_bytes());
            json.resize(json.len() + filler, FILLER);
            json.extend_from_slice(after.as_bytes());
        }
        None => json.resize(json.len() + missing, b' '),
    }
    json.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use crate::{Event, Generator, Identity, ModelSettings};

    /// 2026-01-02T03:04:05.006Z.
    const TIME: u64 = 1_767_323_045_006;

    fn models() -> [ModelSettings; 5] {
        [
            ModelSettings::WoodOrder,
            ModelSettings::WoodStock,
            ModelSettings::RetailSale {
                refund_probability: 0.1,
            },
            ModelSettings::FoodOrder,
            ModelSettings::DrinkOrder {
                customers: 200,
                preparation_mean: Duration::from_secs(2),
                cancel_probability: 0.08,
            },
        ]
    }

    fn event(model: ModelSettings) -> Event {
        Generator::new(model, Identity::seeded(1, 0), 0.0).next(TIME)
    }

    #[test]
    fn times_are_utc_in_the_models_format() {
        for model in models() {
            let json: Value = serde_json::from_slice(&event(model).render(TIME, None)).unwrap();
            let expected = match model {
                ModelSettings::RetailSale { .. } => "2026-01-02 03:04:05",
                _ => "2026-01-02T03:04:05.006Z",
            };
            assert_eq!(json["timestamp"], expected);
        }
    }

    #[test]
    fn whole_seconds_keep_their_milliseconds() {
        let json = event(ModelSettings::WoodOrder).render(TIME / 1_000 * 1_000, None);
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["timestamp"], "2026-01-02T03:04:05.000Z");
    }

    #[test]
    fn a_time_beyond_all_calendars_still_renders() {
        let json = event(ModelSettings::WoodOrder).render(u64::MAX, None);
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["timestamp"], "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn a_drink_events_time_stands_before_what_its_type_adds() {
        let json = event(models()[4]).render(TIME, None);
        let json = String::from_utf8(json).unwrap();
        let fields = [
            "event_id",
            "event_type",
            "order_id",
            "customer_id",
            "timestamp",
            "items",
        ];
        let positions = fields.map(|field| json.find(&format!("\"{field}\":")).unwrap());
        assert!(positions.is_sorted(), "{json}");
    }

    #[test]
    fn only_a_food_order_takes_a_failed_status() {
        for model in models() {
            let mut event = event(model);
            let before = event.clone();
            if event.fail() {
                let json: Value = serde_json::from_slice(&event.render(TIME, None)).unwrap();
                assert_eq!(json["status"], "failed");
                assert_eq!(model, ModelSettings::FoodOrder);
            } else {
                assert_eq!(event, before);
                assert_ne!(model, ModelSettings::FoodOrder);
            }
        }
    }

    proptest! {
        #[test]
        fn padding_gives_exactly_the_size_and_changes_nothing_else(size in 0..2_000_usize) {
            for model in models() {
                let event = event(model);
                let plain = event.render(TIME, None);
                let padded = event.render(TIME, Some(size));
                prop_assert_eq!(padded.len(), size.max(plain.len()));
                let plain: Value = serde_json::from_slice(&plain).unwrap();
                let mut padded: Value = serde_json::from_slice(&padded).unwrap();
                padded.as_object_mut().unwrap().remove("padding");
                prop_assert_eq!(padded, plain);
            }
        }

        #[test]
        fn malformed_bytes_are_a_strict_prefix_that_does_not_parse(size in 0..2_000_usize) {
            for model in models() {
                let event = event(model);
                let whole = event.render(TIME, Some(size));
                let malformed = event.render_malformed(TIME, Some(size));
                prop_assert!(!malformed.is_empty() && malformed.len() < whole.len());
                prop_assert!(whole.starts_with(&malformed));
                prop_assert!(serde_json::from_slice::<Value>(&malformed).is_err());
            }
        }
    }
}
