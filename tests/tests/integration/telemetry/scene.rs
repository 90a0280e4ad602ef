//! What each of these tests is played on: a topic, a collector of its own, and producers by hand that use both.

use std::sync::Arc;

use ordermill_tests::collector::{Collector, Span};
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::Record;
use ordermill_tests::{TestResult, unique};

use crate::support::producer::{Run, read_topic};

pub struct Scene {
    pub broker: Arc<Broker>,
    pub collector: Collector,
    pub topic: String,
}

impl Scene {
    pub async fn new(topic: &str) -> TestResult<Self> {
        Ok(Self {
            broker: Broker::shared().await?,
            collector: Collector::start().await?,
            topic: unique(topic),
        })
    }

    /// A command with these variables, and those that name broker, topic and collector.
    pub fn run<const COUNT: usize>(
        &self,
        command: &'static str,
        variables: [(&'static str, &str); COUNT],
    ) -> Run {
        let (bootstrap, endpoint) = (self.broker.bootstrap(), self.collector.endpoint());
        let places = [
            ("KAFKA_BOOTSTRAP_SERVERS", bootstrap),
            ("KAFKA_TOPIC", &self.topic),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ];
        Run::by_hand(command, places.into_iter().chain(variables))
    }

    /// Ends the collector after all producers, so that its files are whole, and reads the topic.
    pub async fn finish(&mut self) -> TestResult<Vec<Record>> {
        self.collector.stop().await?;
        self.records().await
    }

    pub async fn records(&self) -> TestResult<Vec<Record>> {
        read_topic(self.broker.bootstrap(), &self.topic).await
    }
}

/// The number of a span's event.
pub fn number(span: &Span) -> u64 {
    span.attributes["ordermill.sequence"].as_u64().unwrap()
}

/// Trace id, span id and flags of a record's `traceparent`.
pub fn trace_of(record: &Record) -> (&str, &str, &str) {
    let header = record.header("traceparent").unwrap_or_default();
    match header.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => (trace, span, flags),
        _ => panic!("the traceparent of {record:?}"),
    }
}
