//! Instruments that are asked for their value: counters and gauges of what the workload counts anyway.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::super::counters::Counters;
use super::super::exporter::Dropped;
use super::super::names;
use super::send_attributes;

/// Registers all of them.
pub(super) fn observe(meter: &Meter, counters: &Arc<Counters>, dropped: &Arc<Dropped>) {
    observe_events(meter, counters);
    observe_planned_rate(meter, counters);
    observe_sent_messages(meter, counters);
    observe_dropped(meter, dropped);
    observe_consumption(meter, counters);
}

fn observe_events(meter: &Meter, counters: &Arc<Counters>) {
    let counters = Arc::clone(counters);
    meter
        .u64_observable_counter(names::EVENTS)
        .with_unit("{event}")
        .with_description("Events by outcome, those with an injected fault by its name.")
        .with_callback(move |observer| {
            for (outcome, count) in counters.outcomes() {
                observer.observe(count, &outcome.metric_attributes());
            }
        })
        .build();
}

fn observe_planned_rate(meter: &Meter, counters: &Arc<Counters>) {
    let counters = Arc::clone(counters);
    meter
        .f64_observable_gauge(names::RATE_PLANNED)
        .with_unit("{event}/s")
        .with_description("The rate that the plan asks for at the moment.")
        .with_callback(move |observer| observer.observe(counters.planned_rate(), &[]))
        .build();
}

fn observe_sent_messages(meter: &Meter, counters: &Arc<Counters>) {
    let counters = Arc::clone(counters);
    meter
        .u64_observable_counter(names::MESSAGING_CLIENT_SENT_MESSAGES)
        .with_unit("{message}")
        .with_description("Number of messages producer attempted to send to the broker.")
        .with_callback(move |observer| {
            for destination in counters.destinations() {
                for (error_type, count) in destination.iter() {
                    observer.observe(count, &send_attributes(&destination.topic, error_type));
                }
            }
        })
        .build();
}

fn observe_dropped(meter: &Meter, dropped: &Arc<Dropped>) {
    let dropped = Arc::clone(dropped);
    meter
        .u64_observable_counter(names::TELEMETRY_DROPPED)
        .with_unit("{item}")
        .with_description("Spans, log records and metric points that could not be exported.")
        .with_callback(move |observer| {
            for (signal, count) in dropped.by_signal() {
                observer.observe(count, &[KeyValue::new(names::SIGNAL, signal.name())]);
            }
        })
        .build();
}

fn observe_consumption(meter: &Meter, counters: &Arc<Counters>) {
    let consumed = Arc::clone(counters);
    meter
        .u64_observable_counter(names::MESSAGING_CLIENT_CONSUMED_MESSAGES)
        .with_unit("{message}")
        .with_description("Number of messages that were delivered to the application.")
        .with_callback(move |observer| {
            let Some(membership) = consumed.membership() else {
                return;
            };
            for source in consumed.sources() {
                let attributes = [
                    KeyValue::new(names::MESSAGING_SYSTEM, names::MESSAGING_SYSTEM_KAFKA),
                    KeyValue::new(names::MESSAGING_OPERATION_NAME, names::OPERATION_POLL),
                    KeyValue::new(
                        names::MESSAGING_OPERATION_TYPE,
                        names::OPERATION_TYPE_RECEIVE,
                    ),
                    KeyValue::new(names::MESSAGING_DESTINATION_NAME, source.topic.clone()),
                    KeyValue::new(
                        names::MESSAGING_CONSUMER_GROUP_NAME,
                        membership.group.clone(),
                    ),
                ];
                let count = source.iter().map(|(_, count)| count).sum();
                observer.observe(count, &attributes);
            }
        })
        .build();
    let lag = Arc::clone(counters);
    meter
        .i64_observable_gauge(names::CONSUMER_LAG)
        .with_unit("{message}")
        .with_description("Messages of a partition that its group has still to handle.")
        .with_callback(move |observer| {
            let Some(membership) = lag.membership() else {
                return;
            };
            for partition in &membership.partitions {
                let Some(lag) = partition.lag else { continue };
                let attributes = [
                    KeyValue::new(names::MESSAGING_DESTINATION_NAME, partition.topic.clone()),
                    KeyValue::new(
                        names::MESSAGING_DESTINATION_PARTITION_ID,
                        partition.partition.to_string(),
                    ),
                    KeyValue::new(
                        names::MESSAGING_CONSUMER_GROUP_NAME,
                        membership.group.clone(),
                    ),
                ];
                observer.observe(lag, &attributes);
            }
        })
        .build();
    let dead_lettered = Arc::clone(counters);
    meter
        .u64_observable_counter(names::DEAD_LETTERED)
        .with_unit("{message}")
        .with_description("Messages that were put on a dead-letter topic.")
        .with_callback(move |observer| {
            if dead_lettered.membership().is_some() {
                observer.observe(dead_lettered.dead_lettered(), &[]);
            }
        })
        .build();
}
