//! A producer by hand.

use std::collections::BTreeMap;

use ordermill_crds::{
    Arrival, OrderProducerSpec, ProducerModel, ProducerTopics, RetailSaleOptions,
};

use super::kafka::kafka_connection;
use super::reader::{EnvironmentErrors, Reader};
use super::{common_spec, interval, placement, telemetry_settings};
use crate::{Documents, producer_documents};

/// Derives both documents of a producer from environment variables.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn producer_from_environment(
    model: ProducerModel,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let kafka = kafka_connection(&mut reader);
    let spec = producer_spec(model, &mut reader);
    let telemetry = telemetry_settings(service_name(model), &mut reader);
    match kafka {
        Some(kafka) if reader.errors.is_empty() => {
            let mut placement = placement("OrderProducer", telemetry);
            placement.kafka = Some(kafka);
            let run = reader.text(&["RUN_ID"]);
            placement.resource.uid = run.map(|(_, id)| id).unwrap_or_default();
            Ok(producer_documents(&spec, placement))
        }
        _ => Err(EnvironmentErrors(reader.errors)),
    }
}

/// The name that the original service had.
const fn service_name(model: ProducerModel) -> &'static str {
    match model {
        ProducerModel::WoodOrder => "customer",
        ProducerModel::WoodStock => "supplier",
        ProducerModel::RetailSale => "retail-producer",
        ProducerModel::FoodOrder => "food-producer",
        ProducerModel::DrinkOrder => "drink-producer",
    }
}

fn producer_spec(model: ProducerModel, reader: &mut Reader<'_>) -> OrderProducerSpec {
    let interval = interval(reader, &["INTERVAL_SECONDS", "PRODUCER_SLEEP_SECONDS"]);
    let rate = reader.value(&["RATE"]);
    if let (Some(_), Some((name, found))) = (
        interval,
        rate.and_then(|_: ordermill_crds::values::Rate| reader.text(&["RATE"])),
    ) {
        reader.refuse(name, found, "set RATE or INTERVAL_SECONDS, not both");
    }
    let key_skew = reader.value(&["KEY_SKEW"]);
    if key_skew.is_some() && model == ProducerModel::FoodOrder {
        let found = reader
            .text(&["KEY_SKEW"])
            .map(|(_, text)| text)
            .unwrap_or_default();
        reader.refuse(
            "KEY_SKEW",
            found,
            "does not fit food orders: their key is the order's own id",
        );
    }
    OrderProducerSpec {
        model,
        interval,
        rate,
        stages: None,
        arrival: reader.choice(
            "ARRIVAL",
            &[
                ("Constant", Arrival::Constant),
                ("Poisson", Arrival::Poisson),
            ],
        ),
        max_events: reader.integer("NUM_EVENTS", 1, 1_000_000_000_000),
        seed: reader.integer("SEED", 0, 9_007_199_254_740_991),
        key_skew,
        payload_bytes: reader
            .integer("PAYLOAD_BYTES", 0, 900_000)
            .and_then(|bytes| i32::try_from(bytes).ok()),
        topics: Some(topics(model, reader)),
        retail_sale: (model == ProducerModel::RetailSale).then(|| RetailSaleOptions {
            refund_probability: reader.value(&["REFUND_PROBABILITY"]),
        }),
        drink_order: None,
        faults: None,
        common: common_spec(reader),
    }
}

fn topics(model: ProducerModel, reader: &mut Reader<'_>) -> ProducerTopics {
    let first = reader.topic("KAFKA_TOPIC");
    let mut topics = ProducerTopics::default();
    match model {
        ProducerModel::WoodOrder => topics.orders = first,
        ProducerModel::WoodStock => topics.stocks = first,
        ProducerModel::FoodOrder => topics.order_events = first,
        ProducerModel::DrinkOrder => topics.order_placed = first,
        ProducerModel::RetailSale => {
            topics.transactions = first;
            topics.refunds = reader.topic("KAFKA_TOPIC_REFUNDS");
        }
    }
    topics
}
