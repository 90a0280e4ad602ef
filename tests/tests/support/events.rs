//! What every event on the wire must be, whoever sent it: checked on records that an independent client read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use jsonschema::Validator;
use ordermill_tests::reader::Record;
use serde_json::Value;

/// What the pages of the order systems say of one type of event.
struct Rule {
    cloud_event_type: &'static str,
    schema: &'static str,
    id: &'static str,
    key: &'static str,
}

macro_rules! rule {
    ($cloud_event_type:literal, $schema:literal, $id:literal, $key:literal) => {
        Rule {
            cloud_event_type: concat!("dev.ordermill.", $cloud_event_type),
            schema: include_str!(concat!(
                "../../../workloads/events/schemas/",
                $schema,
                ".schema.json"
            )),
            id: $id,
            key: $key,
        }
    };
}

const RULES: [Rule; 9] = [
    rule!("wood.order", "wood-order", "order_id", "customer_id"),
    rule!(
        "wood.delivery",
        "wood-delivery",
        "delivery_id",
        "supplier_id"
    ),
    rule!(
        "retail.transaction",
        "retail-transaction",
        "transaction_id",
        "store_id"
    ),
    rule!("retail.refund", "retail-refund", "refund_id", "store_id"),
    rule!(
        "food.order-placed",
        "food-order-placed",
        "order_id",
        "order_id"
    ),
    rule!(
        "drink.order-placed",
        "drink-order-placed",
        "event_id",
        "customer_id"
    ),
    rule!(
        "drink.order-completed",
        "drink-order-completed",
        "event_id",
        "customer_id"
    ),
    rule!(
        "drink.order-cancelled",
        "drink-order-cancelled",
        "event_id",
        "customer_id"
    ),
    rule!(
        "drink.payment-processed",
        "drink-payment-processed",
        "event_id",
        "customer_id"
    ),
];

static VALIDATORS: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let validator = |rule: &Rule| {
        let schema = serde_json::from_str(rule.schema).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    };
    RULES
        .iter()
        .map(|rule| (rule.cloud_event_type, validator(rule)))
        .collect()
});

/// An event that keeps every rule.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number, counted per instance.
    pub sequence: u64,
    /// Numbers before it that were held back on purpose.
    pub suppressed: u64,
    /// The producer instance.
    pub instance: String,
    /// When it happened, in milliseconds since 1970.
    pub timestamp: i64,
    /// The fault that it shows on purpose.
    pub injected: Option<String>,
    /// The payload.
    pub payload: Value,
}

impl Event {
    /// Reads a record and checks everything that can be said of one alone: payload, headers, key and time. `resource` is
    /// the name of the resource in the namespace `default`, or of the service.
    #[track_caller]
    pub fn of(record: &Record, resource: &str) -> Self {
        Self::of_namespace(record, "default", resource)
    }

    /// The same for a resource in any namespace.
    #[track_caller]
    pub fn of_namespace(record: &Record, namespace: &str, resource: &str) -> Self {
        let header = |name: &str| -> String {
            let found: Vec<_> = record
                .headers
                .iter()
                .filter(|(header, _)| header == name)
                .collect();
            assert_eq!(found.len(), 1, "header {name} once: {record:?}");
            String::from_utf8(found[0].1.clone()).unwrap()
        };
        let number = |name: &str| header(name).parse::<u64>().unwrap();
        let cloud_event_type = header("ce_type");
        let rule = RULES
            .iter()
            .find(|rule| rule.cloud_event_type == cloud_event_type)
            .unwrap_or_else(|| panic!("no event is of type {cloud_event_type}"));
        let payload = record.json().unwrap();
        let violations: Vec<String> = VALIDATORS[rule.cloud_event_type]
            .iter_errors(&payload)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(violations.is_empty(), "{payload}: {violations:?}");

        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("ce_specversion"), "1.0");
        assert_eq!(
            header("ce_source"),
            format!("/ordermill/{namespace}/{resource}")
        );
        assert_eq!(header("ce_id"), text(&payload[rule.id]));
        assert_eq!(
            record.key_text().unwrap(),
            text(&payload[rule.key]),
            "the key"
        );
        assert_trace_context(&header("traceparent"));
        let timestamp = record.timestamp.unwrap();
        assert_time(&header("ce_time"), timestamp, &payload);
        Self {
            sequence: number("ordermill-sequence"),
            suppressed: number("ordermill-suppressed"),
            instance: header("ordermill-instance"),
            timestamp,
            injected: record.header("ordermill-injected").map(str::to_owned),
            payload,
        }
    }

    /// All of them, in the order of their instances and numbers.
    #[track_caller]
    pub fn all(records: &[Record], resource: &str) -> Vec<Self> {
        Self::all_of_namespace(records, "default", resource)
    }

    /// The same for a resource in any namespace.
    #[track_caller]
    pub fn all_of_namespace(records: &[Record], namespace: &str, resource: &str) -> Vec<Self> {
        let mut events: Vec<_> = records
            .iter()
            .map(|record| Self::of_namespace(record, namespace, resource))
            .collect();
        events.sort_by(|left, right| {
            (&left.instance, left.sequence).cmp(&(&right.instance, right.sequence))
        });
        events
    }
}

/// The instances that sent `events`.
pub fn instances(events: &[Event]) -> BTreeSet<&str> {
    events.iter().map(|event| event.instance.as_str()).collect()
}

/// Checks that nothing is missing and nothing doubled: each instance counts from 0 on, and where a number is missing, the
/// events after it say that it was held back on purpose.
#[track_caller]
pub fn assert_contiguous(events: &[Event]) {
    assert_eq!(gap(events), None);
}

/// The first event before which one is missing. Of a producer that runs, one may still be on its way to another partition.
pub fn gap(events: &[Event]) -> Option<String> {
    let gap_of = |instance: &str| {
        let mine = events.iter().filter(|event| event.instance == instance);
        let mut places = (0..).zip(mine);
        let found = places.find(|(index, event)| event.sequence != index + event.suppressed);
        found.map(|(index, event)| format!("the {index}th event of {instance}: {event:?}"))
    };
    instances(events).into_iter().find_map(gap_of)
}

/// What of a record must be equal in two runs with the same seed: all but times and trace ids.
pub fn repeatable(record: &Record) -> Value {
    let mut payload = record.json().unwrap();
    payload.as_object_mut().unwrap().remove("timestamp");
    let headers: Vec<_> = record
        .headers
        .iter()
        .filter(|(name, _)| name != "traceparent" && name != "ce_time")
        .map(|(name, value)| (name, String::from_utf8_lossy(value)))
        .collect();
    serde_json::json!({
        "partition": record.partition, "key": record.key_text(), "headers": headers, "payload": payload,
    })
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[track_caller]
fn assert_trace_context(traceparent: &str) {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let hexadecimal = |part: &str, length: usize| {
        part.len() == length
            && part
                .chars()
                .all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
            && part.chars().any(|digit| digit != '0')
    };
    let [version, trace, span, flags] = parts[..] else {
        panic!("no trace context: {traceparent}")
    };
    assert!(
        version == "00" && hexadecimal(trace, 32) && hexadecimal(span, 16) && flags.len() == 2,
        "{traceparent}"
    );
}

/// Record, header and payload tell the same time, each to its precision.
#[track_caller]
fn assert_time(header: &str, timestamp: i64, payload: &Value) {
    let time: Timestamp = header.parse().unwrap();
    assert_eq!(time.as_millisecond(), timestamp, "ce_time {header}");
    let shown = payload["timestamp"].as_str().unwrap();
    let seconds = header[..19].replace('T', " ");
    assert!(
        shown == header || shown == seconds,
        "{shown} in the payload, {header} in ce_time"
    );
}
