//! From the spec of an `OrderProducer` to what its workload runs with.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_crds::values::{BackendReference, Fraction, TopicName};
use ordermill_crds::{OrderProducerSpec, ProducerModel, ProducerTopics, RetailSaleOptions, Topic};
use ordermill_events::{EventType, ModelSettings};
use serde::{Deserialize, Serialize};

use crate::{
    BackendRole, Bounded, Documents, Needs, Pacing, Placement, ProducerTuning, Tuning,
    WorkloadSettings, unique,
};

/// What a producer sends, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerSettings {
    /// The model with its options.
    pub model: ModelSettings,
    /// The topic of each type of event that the model sends.
    pub topics: BTreeMap<EventType, Topic>,
    /// The end of the work; absent: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounded: Option<Bounded>,
    /// Makes every field but timestamps repeatable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Zipf exponent of the keys.
    #[serde(default)]
    pub key_skew: f64,
    /// Size in bytes that payloads are padded to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<usize>,
    /// The URL of the backend that the events are ordered through; absent: they are sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<BackendRole, String>,
    /// Whether the workload creates missing topics; not where somebody else manages them.
    pub create_topics: bool,
}

/// Derives both documents of a producer.
#[must_use]
pub fn producer_documents(spec: &OrderProducerSpec, placement: Placement) -> Documents {
    let mut tuning = Tuning::common(&spec.common, default_error_rate(spec.model));
    tuning.producer = Some(ProducerTuning {
        pacing: pacing(spec),
        arrival: spec.arrival.unwrap_or_default(),
        faults: spec.faults.clone().unwrap_or_default(),
    });
    let backends = placement.urls(spec.required_backends().keys());
    let settings = settings(spec, placement.create_topics, backends);
    let settings = WorkloadSettings::Producer(settings);
    placement.documents(spec.kafka(), settings, tuning)
}

/// Every topic that a producer sends to and that should exist, also where a backend sends on its behalf. Each name is
/// there once.
#[must_use]
pub fn producer_topics(spec: &OrderProducerSpec) -> Vec<Topic> {
    unique(topics(spec.model, spec.topics.as_ref()).into_values())
}

/// The error rate where a spec names none.
pub(crate) fn default_error_rate(model: ProducerModel) -> Fraction {
    let rate = match model {
        ProducerModel::WoodOrder | ProducerModel::WoodStock => 0.1,
        ProducerModel::FoodOrder => 0.05,
        ProducerModel::RetailSale | ProducerModel::DrinkOrder => 0.0,
    };
    Fraction::try_from(rate).unwrap_or_default()
}

/// The pace where a spec names none.
pub(crate) const fn default_interval(model: ProducerModel) -> Duration {
    match model {
        ProducerModel::WoodOrder | ProducerModel::WoodStock => Duration::from_mins(1),
        ProducerModel::RetailSale | ProducerModel::FoodOrder | ProducerModel::DrinkOrder => {
            Duration::from_secs(1)
        }
    }
}

fn pacing(spec: &OrderProducerSpec) -> Pacing {
    if let Some(rate) = spec.rate {
        Pacing::Rate(rate.get())
    } else if let Some(stages) = &spec.stages {
        Pacing::Stages(stages.clone())
    } else {
        let interval = spec.interval.map(ordermill_crds::values::Interval::get);
        Pacing::interval(interval.unwrap_or(default_interval(spec.model)))
    }
}

fn settings(
    spec: &OrderProducerSpec,
    create_topics: bool,
    backends: BTreeMap<BackendRole, String>,
) -> ProducerSettings {
    let model = model_settings(spec);
    let topics = topics(spec.model, spec.topics.as_ref());
    let payload_bytes = spec
        .payload_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes > 0);
    let seed = spec.seed.and_then(|seed| u64::try_from(seed).ok());
    let key_skew = spec.key_skew.unwrap_or_default().get();
    let bounded = spec.max_events.map(|max_events| {
        let instances = u32::try_from(spec.common.replicas).unwrap_or(1).max(1);
        // What is ordered through another backend, and not sent, is other work.
        let through = spec.required_backends();
        let names: Vec<_> = topics
            .values()
            .map(|topic| topic.name.as_str())
            .chain(through.values().map(BackendReference::as_str))
            .collect();
        let description = (&model, names, seed, key_skew.to_bits(), payload_bytes);
        Bounded::new(max_events.unsigned_abs(), instances, &description)
    });
    ProducerSettings {
        model,
        topics,
        bounded,
        seed,
        key_skew,
        payload_bytes,
        backends,
        create_topics,
    }
}

fn model_settings(spec: &OrderProducerSpec) -> ModelSettings {
    match spec.model {
        ProducerModel::WoodOrder => ModelSettings::WoodOrder,
        ProducerModel::WoodStock => ModelSettings::WoodStock,
        ProducerModel::FoodOrder => ModelSettings::FoodOrder,
        ProducerModel::RetailSale => {
            let options = spec.retail_sale.clone().unwrap_or_default();
            let RetailSaleOptions { refund_probability } = options;
            ModelSettings::RetailSale {
                refund_probability: refund_probability.map_or(0.1, Fraction::get),
            }
        }
        ProducerModel::DrinkOrder => {
            let options = spec.drink_order.clone().unwrap_or_default();
            let customers = options
                .customers
                .and_then(|count| u16::try_from(count).ok());
            ModelSettings::DrinkOrder {
                customers: customers.unwrap_or(200),
                preparation_mean: options
                    .preparation
                    .map_or(Duration::from_secs(2), ordermill_crds::values::Delay::get),
                cancel_probability: options.cancel_probability.map_or(0.08, Fraction::get),
            }
        }
    }
}

/// The topic of each event that a model sends: as given, or named as the order system's own page does.
pub(crate) fn topics(
    model: ProducerModel,
    given: Option<&ProducerTopics>,
) -> BTreeMap<EventType, Topic> {
    let topic = |given: Option<&Option<Topic>>, default: &str| {
        let given = given.and_then(Option::as_ref).cloned();
        // The defaults are valid names, so a topic is never left out here; a test counts them.
        given.or_else(|| default.parse::<TopicName>().ok().map(Topic::named))
    };
    let entries = match model {
        ProducerModel::WoodOrder => {
            vec![(
                EventType::WoodOrder,
                topic(given.map(|it| &it.orders), "orders"),
            )]
        }
        ProducerModel::WoodStock => {
            vec![(
                EventType::WoodDelivery,
                topic(given.map(|it| &it.stocks), "stocks"),
            )]
        }
        ProducerModel::RetailSale => vec![
            (
                EventType::RetailTransaction,
                topic(given.map(|it| &it.transactions), "transactions"),
            ),
            (
                EventType::RetailRefund,
                topic(given.map(|it| &it.refunds), "refunds"),
            ),
        ],
        ProducerModel::FoodOrder => vec![(
            EventType::FoodOrderPlaced,
            topic(given.map(|it| &it.order_events), "order-events"),
        )],
        ProducerModel::DrinkOrder => vec![
            (
                EventType::DrinkOrderPlaced,
                topic(given.map(|it| &it.order_placed), "order.placed"),
            ),
            (
                EventType::DrinkOrderCompleted,
                topic(given.map(|it| &it.order_completed), "order.completed"),
            ),
            (
                EventType::DrinkOrderCancelled,
                topic(given.map(|it| &it.order_cancelled), "order.cancelled"),
            ),
            (
                EventType::DrinkPaymentProcessed,
                topic(given.map(|it| &it.payment_processed), "payment.processed"),
            ),
        ],
    };
    entries
        .into_iter()
        .filter_map(|(event_type, topic)| Some((event_type, topic?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::placement;
    use crate::{TuningDocument, WorkloadDocument};

    fn documents(spec: &str) -> Documents {
        let spec: OrderProducerSpec = serde_yaml::from_str(spec).unwrap();
        producer_documents(&spec, placement("OrderProducer"))
    }

    fn producer(documents: &Documents) -> &ProducerSettings {
        documents.workload.workload.producer().unwrap()
    }

    #[test]
    fn each_model_has_its_topics_and_defaults() {
        for (model, topics, error_rate, seconds) in [
            ("WoodOrder", vec!["orders"], 0.1, 60),
            ("WoodStock", vec!["stocks"], 0.1, 60),
            ("RetailSale", vec!["transactions", "refunds"], 0.0, 1),
            ("FoodOrder", vec!["order-events"], 0.05, 1),
            (
                "DrinkOrder",
                vec![
                    "order.placed",
                    "order.completed",
                    "order.cancelled",
                    "payment.processed",
                ],
                0.0,
                1,
            ),
        ] {
            let documents = documents(&format!("model: {model}"));
            let names: Vec<_> = producer(&documents)
                .topics
                .values()
                .map(|topic| topic.name.as_str())
                .collect();
            assert_eq!(names, topics);
            let tuning = &documents.tuning.tuning;
            assert!(
                (tuning.error_rate.get() - error_rate).abs() < f64::EPSILON,
                "{model}"
            );
            let pacing = &tuning.producer.as_ref().unwrap().pacing;
            assert_eq!(*pacing, Pacing::interval(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn an_edit_of_a_tunable_field_changes_only_the_tuning() {
        let base = "{model: WoodOrder, rate: 5, maxEvents: 10, seed: 1}";
        let tuned = "{model: WoodOrder, interval: 10ms, arrival: Poisson, errorRate: 0.9, paused: true, \
            faults: {late: {rate: 1, duration: 1m}}, telemetry: {logLevel: Debug, traceSampling: 0.5}, \
            maxEvents: 10, seed: 1}";
        let (base, tuned) = (documents(base), documents(tuned));
        assert_eq!(base.workload, tuned.workload);
        assert_ne!(base.tuning, tuned.tuning);
    }

    #[test]
    fn an_edit_of_anything_else_leaves_the_tuning() {
        let base = documents("{model: RetailSale}");
        for spec in [
            "{model: RetailSale, seed: 1}",
            "{model: RetailSale, payloadBytes: 500}",
            "{model: RetailSale, keySkew: 1}",
            "{model: RetailSale, retailSale: {refundProbability: 0.5}}",
            "{model: RetailSale, topics: {refunds: {name: other}}}",
            "{model: RetailSale, maxEvents: 5}",
        ] {
            let other = documents(spec);
            assert_eq!(base.tuning, other.tuning, "{spec}");
            assert_ne!(base.workload, other.workload, "{spec}");
        }
    }

    #[test]
    fn documents_read_back_as_they_were_written() {
        let documents = documents(
            "{model: DrinkOrder, stages: [{duration: 10s, rate: 5}], faults: {drop: {rate: 0.1, after: 1s, for: 2s}}, \
            maxEvents: 7, drinkOrder: {preparation: 500ms}}",
        );
        let text = serde_json::to_string(&documents.workload).unwrap();
        assert_eq!(
            serde_json::from_str::<WorkloadDocument>(&text).unwrap(),
            documents.workload
        );
        let text = serde_json::to_string(&documents.tuning).unwrap();
        assert_eq!(
            serde_json::from_str::<TuningDocument>(&text).unwrap(),
            documents.tuning
        );
    }
}
