use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ordermill_config::{ProducerSettings, ProducerTuning, ResourceReference};
use ordermill_crds::values::Fraction;
use ordermill_crds::{Fault, LogLevel, ProducerFaults, TimedFault, Topic};
use ordermill_events::ModelSettings;
use ordermill_runtime::telemetry::log::WorkloadLog;
use ordermill_runtime::telemetry::{TelemetrySettings, names};
use proptest::prelude::*;
use rdkafka::message::Headers;

use super::*;

const DRINKS: ModelSettings = ModelSettings::DrinkOrder {
    customers: 20,
    preparation_mean: Duration::from_secs(2),
    cancel_probability: 0.2,
};
const SALES: ModelSettings = ModelSettings::RetailSale {
    refund_probability: 0.5,
};

fn tuning(error_rate: f64, faults: ProducerFaults) -> Tuning {
    Tuning {
        paused: false,
        error_rate: Fraction::try_from(error_rate).unwrap(),
        log_level: LogLevel::Error,
        trace_sampling: Fraction::MAXIMUM,
        producer: Some(ProducerTuning {
            pacing: ordermill_config::Pacing::Rate(1.0),
            arrival: ordermill_crds::Arrival::Constant,
            faults,
        }),
        consumer: None,
        worker: None,
        backend: None,
    }
}

fn fault(rate: f64) -> Fault {
    let rate = Fraction::try_from(rate).unwrap();
    Fault {
        rate,
        after: None,
        lasts: None,
    }
}

fn emitter(model: ModelSettings, tuning: &Tuning, events: Option<u64>) -> Emitter {
    let topics = EventType::ALL
        .map(|event_type| (event_type, Topic::named("topic".parse().unwrap())))
        .into_iter()
        .collect::<BTreeMap<_, _>>();
    let settings = ProducerSettings {
        model,
        topics,
        bounded: None,
        seed: Some(7),
        key_skew: 0.0,
        payload_bytes: None,
        backends: BTreeMap::new(),
        create_topics: false,
    };
    let limit = Arc::new(AtomicUsize::new(2000));
    let resource = ResourceReference::default();
    let records = RecordBuilder::new(&settings, &resource, "instance", limit);
    let log = WorkloadLog::new("OrderProducer", "test", LogLevel::Error);
    let telemetry = Telemetry::start(&TelemetrySettings::new("test"), log).unwrap();
    let identity = Identity::seeded(7, 0).bounded(0);
    let generator = Generator::new(model, identity.clone(), 0.0);
    let budget = Budget::new(events);
    Emitter::new(
        generator,
        &identity,
        tuning,
        records,
        Arc::new(telemetry),
        budget,
    )
}

/// What a reader sees of a record.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    sequence: u64,
    suppressed: u64,
    injected: Option<String>,
    oversized: bool,
    payload: Vec<u8>,
}

fn header(record: &Record, name: &str) -> Option<String> {
    let header = record.headers.iter().find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(header.value?).into_owned())
}

fn drain(emitter: &mut Emitter) -> Vec<Seen> {
    let seen = |Outgoing {
                    record, oversized, ..
                }: Outgoing| Seen {
        sequence: header(&record, names::HEADER_SEQUENCE)
            .unwrap()
            .parse()
            .unwrap(),
        suppressed: header(&record, names::HEADER_SUPPRESSED)
            .unwrap()
            .parse()
            .unwrap(),
        injected: header(&record, names::HEADER_INJECTED),
        oversized,
        payload: record.payload,
    };
    std::iter::from_fn(|| emitter.pop()).map(seen).collect()
}

/// Runs a number of ticks, one each `gap`, and then until nothing waits.
fn run(emitter: &mut Emitter, ticks: usize, gap: Duration) -> Vec<Seen> {
    let mut now = Instant::now();
    let mut all = Vec::new();
    for _ in 0..ticks {
        now += gap;
        emitter.emit_due(now);
        if emitter.may_tick() {
            emitter.tick(now, now);
        }
        all.extend(drain(emitter));
    }
    while let Some(due) = emitter.next_follow_up() {
        emitter.emit_due(due);
        all.extend(drain(emitter));
    }
    emitter.release_held();
    all.extend(drain(emitter));
    all
}

fn sequences(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.sequence).collect()
}

#[test]
fn gaps_are_explained_by_the_count_of_what_was_held_back() {
    let faults = ProducerFaults {
        drop: Some(fault(0.3)),
        ..ProducerFaults::default()
    };
    let mut emitter = emitter(ModelSettings::WoodOrder, &tuning(0.2, faults), None);
    let seen = run(&mut emitter, 500, Duration::ZERO);
    assert!(seen.len() < 500);
    for (count, seen) in (0_u64..).zip(&seen) {
        assert_eq!(seen.sequence, count + seen.suppressed);
    }
    assert_eq!(seen.len() as u64 + emitter.suppressed(), 500);
}

#[test]
fn an_event_out_of_order_follows_its_successor_and_nothing_is_lost() {
    let faults = ProducerFaults {
        out_of_order: Some(fault(1.0)),
        ..ProducerFaults::default()
    };
    let mut emitter = emitter(ModelSettings::WoodOrder, &tuning(0.0, faults), None);
    let seen = run(&mut emitter, 5, Duration::ZERO);
    assert_eq!(sequences(&seen), [1, 0, 3, 2, 4]);
    let marked: Vec<_> = seen.iter().filter(|it| it.injected.is_some()).collect();
    assert!(
        marked
            .iter()
            .all(|it| it.injected.as_deref() == Some("outOfOrder"))
    );
    assert_eq!(marked.len(), 3);
}

#[test]
fn the_second_copy_of_a_doubled_event_is_marked() {
    let faults = ProducerFaults {
        duplicate: Some(fault(1.0)),
        ..ProducerFaults::default()
    };
    let mut emitter = emitter(ModelSettings::FoodOrder, &tuning(0.0, faults), Some(3));
    let seen = run(&mut emitter, 10, Duration::ZERO);
    assert_eq!(sequences(&seen), [0, 0, 1, 1, 2, 2]);
    for pair in seen.chunks(2) {
        assert_eq!(pair[0].payload, pair[1].payload);
        assert_eq!(pair[0].injected, None);
        assert_eq!(pair[1].injected.as_deref(), Some("duplicate"));
    }
}

#[test]
fn a_malformed_payload_does_not_parse_and_an_oversized_one_is_set_apart() {
    let faults = ProducerFaults {
        malformed: Some(fault(1.0)),
        ..ProducerFaults::default()
    };
    let mut malformed = emitter(ModelSettings::FoodOrder, &tuning(0.0, faults), None);
    let seen = run(&mut malformed, 20, Duration::ZERO);
    assert_eq!(seen.len(), 20);
    for seen in seen {
        assert!(serde_json::from_slice::<serde_json::Value>(&seen.payload).is_err());
    }
    let faults = ProducerFaults {
        oversized: Some(fault(1.0)),
        ..ProducerFaults::default()
    };
    let mut oversized = emitter(ModelSettings::WoodOrder, &tuning(0.0, faults), Some(5));
    let seen = run(&mut oversized, 20, Duration::ZERO);
    assert!(
        seen.iter()
            .all(|seen| seen.oversized && seen.payload.len() == 2000)
    );
    assert_eq!(oversized.remaining(), Some(5));
}

#[test]
fn a_late_event_lies_in_the_past_by_its_duration() {
    let late = TimedFault {
        rate: Fraction::MAXIMUM,
        duration: "1h".parse().unwrap(),
        after: None,
        lasts: None,
    };
    let faults = ProducerFaults {
        late: Some(late),
        ..ProducerFaults::default()
    };
    let mut emitter = emitter(ModelSettings::WoodOrder, &tuning(0.0, faults), None);
    let before = unix_ms();
    let now = Instant::now();
    emitter.tick(now, now);
    let record = emitter.pop().unwrap().record;
    let timestamp = u64::try_from(record.timestamp).unwrap() + 3_600_000;
    assert!((before..=unix_ms()).contains(&timestamp));
    assert_eq!(
        header(&record, names::HEADER_INJECTED).as_deref(),
        Some("late")
    );
}

#[test]
fn turning_a_fault_on_changes_nothing_else_of_what_is_sent() {
    let plain = tuning(0.0, ProducerFaults::default());
    let faults = ProducerFaults {
        drop: Some(fault(0.4)),
        ..ProducerFaults::default()
    };
    for model in [ModelSettings::WoodOrder, ModelSettings::WoodStock] {
        let body = |seen: &Seen| {
            let mut json: serde_json::Value = serde_json::from_slice(&seen.payload).unwrap();
            json.as_object_mut().unwrap().remove("timestamp");
            json
        };
        let all = run(&mut emitter(model, &plain, None), 200, Duration::ZERO);
        let dropped = tuning(0.0, faults.clone());
        let some = run(&mut emitter(model, &dropped, None), 200, Duration::ZERO);
        for seen in &some {
            let twin = all.iter().find(|it| it.sequence == seen.sequence).unwrap();
            assert_eq!(body(twin), body(seen));
        }
    }
}

#[test]
fn a_retune_keeps_numbers_and_takes_effect_at_once() {
    let mut emitter = emitter(
        ModelSettings::WoodOrder,
        &tuning(0.0, ProducerFaults::default()),
        None,
    );
    let before = run(&mut emitter, 50, Duration::ZERO);
    emitter.retune(&tuning(1.0, ProducerFaults::default()), Instant::now());
    assert!(run(&mut emitter, 50, Duration::ZERO).is_empty());
    emitter.retune(&tuning(0.0, ProducerFaults::default()), Instant::now());
    let after = run(&mut emitter, 1, Duration::ZERO);
    assert_eq!(sequences(&before), (0..50).collect::<Vec<_>>());
    assert_eq!((after[0].sequence, after[0].suppressed), (100, 50));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// However life cycles interleave, a bounded run sends exactly its count, each number once.
    #[test]
    fn a_bounded_run_sends_exactly_its_count(
        events in 1_u64..200,
        gap in 0_u64..3000,
        error_rate in prop::sample::select(vec![0.0, 0.1, 0.5]),
        model in prop::sample::select(vec![DRINKS, SALES, ModelSettings::FoodOrder]),
    ) {
        let tuning = tuning(error_rate, ProducerFaults::default());
        let mut emitter = emitter(model, &tuning, Some(events));
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.extend(run(&mut emitter, 200, Duration::from_millis(gap)));
            if emitter.is_done() {
                break;
            }
        }
        prop_assert!(emitter.is_done());
        prop_assert_eq!(seen.len() as u64, events);
        let distinct: BTreeSet<_> = sequences(&seen).into_iter().collect();
        prop_assert_eq!(distinct.len(), seen.len());
    }

    /// The set of what a seeded run sends does not depend on its pace.
    #[test]
    fn a_seeded_bounded_run_is_the_same_at_any_pace(
        events in 1_u64..100,
        gaps in (0_u64..3000, 0_u64..3000),
        error_rate in prop::sample::select(vec![0.0, 0.3]),
    ) {
        let bodies = |gap| {
            let tuning = tuning(error_rate, ProducerFaults::default());
            let mut emitter = emitter(DRINKS, &tuning, Some(events));
            let mut all = BTreeMap::new();
            while !emitter.is_done() {
                for seen in run(&mut emitter, 100, Duration::from_millis(gap)) {
                    let mut json: serde_json::Value =
                        serde_json::from_slice(&seen.payload).unwrap();
                    json.as_object_mut().unwrap().remove("timestamp");
                    all.insert(seen.sequence, json);
                }
            }
            all
        };
        prop_assert_eq!(bodies(gaps.0), bodies(gaps.1));
    }
}
