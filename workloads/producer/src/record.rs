//! From an event to the record on the wire: `CloudEvents` binary mode, W3C trace context, our own headers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ordermill_config::{ProducerSettings, ResourceReference};
use ordermill_events::{Event, EventType};
use ordermill_runtime::faults::ProducerFault;
use ordermill_runtime::kafka::Record;
use ordermill_runtime::telemetry::{TraceContext, names};
use rdkafka::message::{Header, OwnedHeaders};

use crate::decision::Decision;

const CONTENT_TYPE: &str = "application/json";
const CLOUD_EVENTS_VERSION: &str = "1.0";
/// Room for the headers of one record without growing.
const HEADERS: usize = 12;

/// Builds the records of one producer instance.
#[derive(Debug, Clone)]
pub(crate) struct RecordBuilder {
    topics: BTreeMap<EventType, Arc<str>>,
    source: String,
    instance: String,
    payload_bytes: Option<usize>,
    /// Size that the broker refuses, for the oversized fault.
    oversized_bytes: Arc<AtomicUsize>,
}

/// What of a record is not in its event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub decision: Decision,
    pub trace: &'a TraceContext,
    pub now_unix_ms: u64,
    /// How far in the past the event time lies, for the late fault.
    pub late_by: Duration,
    /// Sequence numbers before this one that were held back on purpose.
    pub suppressed: u64,
}

impl RecordBuilder {
    pub(crate) fn new(
        settings: &ProducerSettings,
        resource: &ResourceReference,
        instance: &str,
        oversized_bytes: Arc<AtomicUsize>,
    ) -> Self {
        let topics = settings
            .topics
            .iter()
            .map(|(event_type, topic)| (*event_type, Arc::from(topic.name.as_str())))
            .collect();
        Self {
            topics,
            source: format!("/ordermill/{}/{}", resource.namespace, resource.name),
            instance: instance.to_owned(),
            payload_bytes: settings.payload_bytes,
            oversized_bytes,
        }
    }

    /// The record of an event; `None` for a type of event that the model has no topic for, which none has.
    pub(crate) fn record(&self, event: &Event, circumstances: Circumstances<'_>) -> Option<Record> {
        let Circumstances {
            decision,
            now_unix_ms,
            late_by,
            ..
        } = circumstances;
        let late_by = if decision.has(ProducerFault::Late) {
            late_by
        } else {
            Duration::ZERO
        };
        let late_ms = u64::try_from(late_by.as_millis()).unwrap_or(u64::MAX);
        let event_time = now_unix_ms.saturating_sub(late_ms);
        let payload = if decision.has(ProducerFault::Oversized) {
            event.render(
                event_time,
                Some(self.oversized_bytes.load(Ordering::Relaxed)),
            )
        } else if decision.has(ProducerFault::Malformed) {
            event.render_malformed(event_time, self.payload_bytes)
        } else {
            event.render(event_time, self.payload_bytes)
        };
        Some(Record {
            topic: Arc::clone(self.topics.get(&event.event_type)?),
            key: event.key.clone(),
            payload,
            headers: self.headers(event, event_time, circumstances),
            timestamp: i64::try_from(event_time).unwrap_or(i64::MAX),
        })
    }

    fn headers(&self, event: &Event, event_time: u64, it: Circumstances<'_>) -> OwnedHeaders {
        let traceparent = it.trace.traceparent();
        let time = i64::try_from(event_time)
            .ok()
            .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default();
        let sequence = event.sequence.to_string();
        let suppressed = it.suppressed.to_string();
        let all = [
            (names::HEADER_TRACEPARENT, traceparent.as_str()),
            (names::HEADER_CONTENT_TYPE, CONTENT_TYPE),
            (names::HEADER_CE_SPECVERSION, CLOUD_EVENTS_VERSION),
            (names::HEADER_CE_ID, &event.id),
            (names::HEADER_CE_SOURCE, &self.source),
            (names::HEADER_CE_TYPE, event.event_type.cloud_event_type()),
            (names::HEADER_CE_TIME, &time),
            (names::HEADER_SEQUENCE, &sequence),
            (names::HEADER_INSTANCE, &self.instance),
            (names::HEADER_SUPPRESSED, &suppressed),
        ];
        let headers = all.into_iter().fold(
            OwnedHeaders::new_with_capacity(HEADERS),
            |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            },
        );
        // The first copy of a doubled event is the event itself.
        let faults = it.decision.faults.without(ProducerFault::Duplicate);
        if faults.is_empty() {
            headers
        } else {
            mark(headers, faults.label())
        }
    }
}

/// The second copy of a doubled event: the same, with the mark.
pub(crate) fn duplicate_of(record: &Record) -> Record {
    let mut copy = record.clone();
    copy.headers = mark(copy.headers, ProducerFault::Duplicate.name());
    copy
}

fn mark(headers: OwnedHeaders, faults: &str) -> OwnedHeaders {
    let value = Some(faults);
    headers.insert(Header {
        key: names::HEADER_INJECTED,
        value,
    })
}
