//! The metrics of one workload. Counters are observed from [`Counters`]; only durations are recorded per event.

mod observed;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use self::observed::observe;
use super::counters::{Counters, TopicCounters};
use super::exporter::Dropped;
use super::names;

/// Bucket bounds of `messaging.client.operation.duration` in seconds, as the semantic conventions advise.
const OPERATION_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Bucket bounds of lateness in seconds: from a timer's jitter to a long outage of the broker.
const LATENESS_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
];

/// The instruments of one workload and the counters behind them.
#[derive(Debug, Clone)]
pub struct WorkloadMetrics {
    counters: Arc<Counters>,
    lateness: Histogram<f64>,
    operation_duration: Histogram<f64>,
    request_duration: Histogram<f64>,
    call_duration: Histogram<f64>,
    process_duration: Histogram<f64>,
}

/// A histogram of how long operations take, in seconds.
fn operation_seconds(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(OPERATION_SECONDS.to_vec())
        .build()
}

impl WorkloadMetrics {
    /// Registers every instrument with the workload's own provider; without a reader there, all but counting is free.
    pub(super) fn register(provider: &SdkMeterProvider, dropped: &Arc<Dropped>) -> Self {
        let meter = provider.meter(names::SCOPE);
        let counters = Arc::new(Counters::default());
        observe(&meter, &counters, dropped);
        Self {
            counters,
            lateness: meter
                .f64_histogram(names::EVENT_LATENESS)
                .with_unit("s")
                .with_description("How long after its planned time an event was sent.")
                .with_boundaries(LATENESS_SECONDS.to_vec())
                .build(),
            operation_duration: operation_seconds(
                &meter,
                names::MESSAGING_CLIENT_OPERATION_DURATION,
                "Duration of messaging operation initiated by a producer or consumer client.",
            ),
            request_duration: operation_seconds(
                &meter,
                names::HTTP_SERVER_REQUEST_DURATION,
                "Duration of HTTP server requests.",
            ),
            call_duration: operation_seconds(
                &meter,
                names::HTTP_CLIENT_REQUEST_DURATION,
                "Duration of HTTP client requests.",
            ),
            process_duration: operation_seconds(
                &meter,
                names::MESSAGING_PROCESS_DURATION,
                "Duration of processing operation.",
            ),
        }
    }

    /// Takes how long the answer to a request took, with the attributes that tell requests apart.
    pub fn record_request(&self, took: Duration, attributes: &[KeyValue]) {
        self.request_duration.record(took.as_secs_f64(), attributes);
    }

    /// Takes how long a call to an API took, with the attributes that tell calls apart.
    pub fn record_call(&self, took: Duration, attributes: &[KeyValue]) {
        self.call_duration.record(took.as_secs_f64(), attributes);
    }

    /// What counts the messages that a group gets from one topic; to be made once and kept.
    #[must_use]
    pub fn consuming_from(&self, topic: &str, group: &str) -> ConsumeMetrics {
        ConsumeMetrics {
            counters: self.counters.source(topic),
            duration: self.process_duration.clone(),
            attributes: process_attributes(topic, group).into(),
        }
    }

    /// The exact numbers, which the exported counters are read from.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Takes how long after its planned time an event was sent.
    pub fn record_lateness(&self, late: Duration) {
        self.counters.record_lateness(late);
        self.lateness.record(late.as_secs_f64(), &[]);
    }

    /// What counts sending to one topic; to be made once and kept.
    #[must_use]
    pub fn sending_to(&self, topic: &str) -> SendMetrics {
        SendMetrics {
            counters: self.counters.destination(topic),
            duration: self.operation_duration.clone(),
            attributes: send_attributes(topic, None).into(),
        }
    }
}

/// Counts what is sent to one topic, and how long the broker takes to acknowledge it.
#[derive(Debug, Clone)]
pub struct SendMetrics {
    counters: Arc<TopicCounters>,
    duration: Histogram<f64>,
    attributes: Arc<[KeyValue]>,
}

impl SendMetrics {
    /// A message was acknowledged, `took` after it was handed to the client.
    pub fn acknowledged(&self, took: Duration) {
        self.counters.add();
        self.duration.record(took.as_secs_f64(), &self.attributes);
    }

    /// A message was given up, `took` after it was handed to the client.
    pub fn failed(&self, error_type: &'static str, took: Duration) {
        self.counters.add_failed(error_type);
        let attributes = send_attributes(&self.counters.topic, Some(error_type));
        self.duration.record(took.as_secs_f64(), &attributes);
    }
}

/// Counts what is received from one topic, and how long the handling of a message takes.
#[derive(Debug, Clone)]
pub struct ConsumeMetrics {
    counters: Arc<TopicCounters>,
    duration: Histogram<f64>,
    attributes: Arc<[KeyValue]>,
}

impl ConsumeMetrics {
    /// A message came.
    pub fn received(&self) {
        self.counters.add();
    }

    /// A message was handled, or given up for an error of this type, `took` after the handling began.
    pub fn processed(&self, took: Duration, error_type: Option<&'static str>) {
        let Some(error_type) = error_type else {
            return self.duration.record(took.as_secs_f64(), &self.attributes);
        };
        let mut attributes = self.attributes.to_vec();
        attributes.push(KeyValue::new(names::ERROR_TYPE, error_type));
        self.duration.record(took.as_secs_f64(), &attributes);
    }
}

fn process_attributes(topic: &str, group: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new(names::MESSAGING_SYSTEM, names::MESSAGING_SYSTEM_KAFKA),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::OPERATION_PROCESS),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::OPERATION_PROCESS),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, topic.to_owned()),
        KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, group.to_owned()),
    ]
}

fn send_attributes(topic: &str, error_type: Option<&'static str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(names::MESSAGING_SYSTEM, names::MESSAGING_SYSTEM_KAFKA),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::OPERATION_SEND),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::OPERATION_SEND),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, topic.to_owned()),
    ];
    attributes.extend(error_type.map(|name| KeyValue::new(names::ERROR_TYPE, name)));
    attributes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader};

    use super::super::exporter::Signal;
    use super::super::outcome::Outcome;
    use super::*;

    struct Fixture {
        provider: SdkMeterProvider,
        exporter: InMemoryMetricExporter,
        metrics: WorkloadMetrics,
        dropped: Arc<Dropped>,
    }

    impl Fixture {
        fn new() -> Self {
            let exporter = InMemoryMetricExporter::default();
            let reader = PeriodicReader::builder(exporter.clone())
                .with_interval(Duration::from_hours(1))
                .build();
            let provider = SdkMeterProvider::builder().with_reader(reader).build();
            let dropped = Arc::new(Dropped::default());
            let metrics = WorkloadMetrics::register(&provider, &dropped);
            Self {
                provider,
                exporter,
                metrics,
                dropped,
            }
        }

        /// Every series, `name{key=value,…}` with its attributes sorted, and its value as text (a histogram's count).
        fn series(&self) -> BTreeMap<String, String> {
            self.exporter.reset();
            self.provider.force_flush().unwrap();
            let mut all = BTreeMap::new();
            for resource in self.exporter.get_finished_metrics().unwrap() {
                for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
                    let mut put = |attributes: Vec<&KeyValue>, value: String| {
                        let mut text = attributes
                            .iter()
                            .map(|pair| format!("{}={}", pair.key, pair.value))
                            .collect::<Vec<_>>();
                        text.sort();
                        all.insert(format!("{}{{{}}}", metric.name(), text.join(",")), value);
                    };
                    match metric.data() {
                        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                            assert!(sum.is_monotonic());
                            for point in sum.data_points() {
                                put(point.attributes().collect(), point.value().to_string());
                            }
                        }
                        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                            for point in gauge.data_points() {
                                put(point.attributes().collect(), point.value().to_string());
                            }
                        }
                        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                            for point in histogram.data_points() {
                                put(point.attributes().collect(), point.count().to_string());
                            }
                        }
                        other => panic!("unexpected {other:?}"),
                    }
                }
            }
            all
        }
    }

    #[test]
    fn the_metrics_are_the_numbers_of_the_counters() {
        let fixture = Fixture::new();
        let counters = fixture.metrics.counters();
        for number in 0..1000_u32 {
            counters.record(match number % 10 {
                0 => Outcome::Injected("drop"),
                1 | 2 => Outcome::Injected("late"),
                3 => Outcome::Failed("timeout"),
                _ => Outcome::Ok,
            });
            fixture
                .metrics
                .record_lateness(Duration::from_micros(number.into()));
        }
        counters.set_planned_rate(12.5);

        let (series, snapshot) = (fixture.series(), counters.snapshot());
        assert_eq!(
            series["ordermill.events{outcome=ok}"],
            snapshot.ok.to_string()
        );
        for (fault, count) in &snapshot.injected {
            let name = format!("ordermill.events{{fault={fault},outcome=injected}}");
            assert_eq!(series[&name], count.to_string());
        }
        let failed = "ordermill.events{error.type=timeout,outcome=failed}";
        assert_eq!(series[failed], snapshot.failed["timeout"].to_string());
        assert_eq!(
            series["ordermill.event.lateness{}"],
            snapshot.lateness.count.to_string()
        );
        assert_eq!(series["ordermill.rate.planned{}"], "12.5");
        let events = series
            .iter()
            .filter(|(name, _)| name.starts_with("ordermill.events"));
        let total = events
            .map(|(_, value)| value.parse::<u64>().unwrap())
            .sum::<u64>();
        assert_eq!(total, 1000);
    }

    #[test]
    fn sending_is_counted_by_topic_and_error() {
        let fixture = Fixture::new();
        let orders = fixture.metrics.sending_to("orders");
        orders.acknowledged(Duration::from_millis(3));
        orders.acknowledged(Duration::from_millis(4));
        orders.failed("message_timed_out", Duration::from_secs(1));

        let series = fixture.series();
        let base = "messaging.destination.name=orders,messaging.operation.name=send,\
                    messaging.operation.type=send,messaging.system=kafka";
        for metric in [
            "messaging.client.sent.messages",
            "messaging.client.operation.duration",
        ] {
            assert_eq!(series[&format!("{metric}{{{base}}}")], "2");
            assert_eq!(
                series[&format!("{metric}{{error.type=message_timed_out,{base}}}")],
                "1"
            );
        }
    }

    #[test]
    fn a_new_workload_shows_zero_and_not_nothing() {
        let series = Fixture::new().series();
        assert_eq!(series["ordermill.events{outcome=ok}"], "0");
        for signal in ["traces", "metrics", "logs"] {
            assert_eq!(
                series[&format!("ordermill.telemetry.dropped{{signal={signal}}}")],
                "0"
            );
        }
    }

    #[test]
    fn what_was_dropped_is_counted_by_signal() {
        let fixture = Fixture::new();
        fixture.dropped.add(Signal::Traces, 3);
        fixture.dropped.add(Signal::Logs, 2);
        let series = fixture.series();
        assert_eq!(series["ordermill.telemetry.dropped{signal=traces}"], "3");
        assert_eq!(series["ordermill.telemetry.dropped{signal=logs}"], "2");
        assert_eq!(series["ordermill.telemetry.dropped{signal=metrics}"], "0");
    }
}
