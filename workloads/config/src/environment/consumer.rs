//! A consumer by hand.

use std::collections::BTreeMap;

use ordermill_crds::values::Delay;
use ordermill_crds::{ConsumerHandler, StreamConsumerSpec};

use super::kafka::kafka_connection;
use super::reader::{EnvironmentErrors, Reader};
use super::{api_urls, common_spec, placement, seconds, telemetry_settings};
use crate::{Documents, Needs as _, consumer_documents};

/// Derives both documents of a consumer from environment variables.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn consumer_from_environment(
    handler: ConsumerHandler,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let kafka = kafka_connection(&mut reader);
    let spec = StreamConsumerSpec {
        handler,
        topics: reader.topic("KAFKA_TOPIC").map(|topic| vec![topic]),
        group: reader.value(&["KAFKA_GROUP_ID"]),
        group_protocol: None,
        output: None,
        processing_delay: processing_delay(&mut reader),
        on_failure: None,
        start_from: None,
        replay: None,
        report: None,
        autoscaling: None,
        backends: None,
        database: None,
        cache: None,
        faults: None,
        common: common_spec(&mut reader),
    };
    let backends = api_urls(&mut reader, spec.required_backends().into_keys());
    let telemetry = telemetry_settings(service_name(handler), &mut reader);
    match kafka {
        Some(kafka) if reader.errors.is_empty() => {
            let mut placement = placement("StreamConsumer", telemetry);
            placement.kafka = Some(kafka);
            placement.backends = backends;
            Ok(consumer_documents(&spec, placement))
        }
        _ => Err(EnvironmentErrors(reader.errors)),
    }
}

/// The name that the original service had.
const fn service_name(handler: ConsumerHandler) -> &'static str {
    match handler {
        ConsumerHandler::OrderCheck => "ordercheck",
        ConsumerHandler::StockCheck => "stockcheck",
        ConsumerHandler::Inventory => "inventory",
        ConsumerHandler::OrderAnalytics => "analytics",
        ConsumerHandler::RetailAnalytics => "retail-analytics",
        ConsumerHandler::CustomerStats => "customer-stats",
    }
}

fn processing_delay(reader: &mut Reader<'_>) -> Option<Delay> {
    reader.read(&["PROCESSING_DELAY_SECONDS"], |text| {
        let delay = seconds(text).and_then(|delay| Delay::try_from(delay).ok());
        delay.ok_or_else(|| "must be seconds between 0 and 86400".to_owned())
    })
}
