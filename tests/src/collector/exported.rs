//! Spans and log records as the file exporter writes them: OTLP's JSON form.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::values::{Attributes, attributes, integer, value};

/// A finished span.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent's id; empty for a root.
    #[serde(default)]
    pub parent_span_id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[serde(default)]
    pub kind: u8,
    /// Nanoseconds since 1970.
    #[serde(rename = "startTimeUnixNano", deserialize_with = "integer")]
    pub start: u64,
    /// Nanoseconds since 1970.
    #[serde(rename = "endTimeUnixNano", deserialize_with = "integer")]
    pub end: u64,
    /// Its own attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: Attributes,
    /// What happened meanwhile.
    #[serde(default)]
    pub events: Vec<SpanEvent>,
    /// Spans it belongs with.
    #[serde(default)]
    pub links: Vec<SpanLink>,
    /// How it went.
    #[serde(default)]
    pub status: SpanStatus,
    /// Attributes of the process (`service.name`).
    #[serde(skip)]
    pub resource: Attributes,
    /// The instrumentation's name.
    #[serde(skip)]
    pub scope: String,
}

impl Span {
    /// How long it lasted.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// Whether its status is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status.code == 2
    }
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SpanEvent {
    /// Its name, for instance `exception`.
    #[serde(default)]
    pub name: String,
    /// Its attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: Attributes,
}

/// A reference to another span.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpanLink {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Its attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: Attributes,
}

/// How a span went.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct SpanStatus {
    /// 0 unset, 1 ok, 2 error.
    pub code: u8,
    /// What went wrong.
    pub message: String,
}

/// A log record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRecord {
    /// Nanoseconds since 1970; 0 when unknown.
    #[serde(rename = "timeUnixNano", default, deserialize_with = "integer")]
    pub time: u64,
    /// 9 to 12 info, 13 to 16 warning, 17 to 20 error.
    #[serde(default)]
    pub severity_number: u8,
    /// In the source's own words.
    #[serde(default)]
    pub severity_text: String,
    /// The message.
    #[serde(default, deserialize_with = "value")]
    pub body: Value,
    /// Its own attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: Attributes,
    /// 32 hexadecimal digits; empty outside of a span.
    #[serde(default)]
    pub trace_id: String,
    /// 16 hexadecimal digits; empty outside of a span.
    #[serde(default)]
    pub span_id: String,
    /// The event's name, where there is one.
    #[serde(default)]
    pub event_name: String,
    /// Attributes of the process (`service.name`).
    #[serde(skip)]
    pub resource: Attributes,
    /// The instrumentation's name.
    #[serde(skip)]
    pub scope: String,
}

/// Attributes of who sent something.
#[derive(Deserialize, Default)]
struct Resource {
    #[serde(default, deserialize_with = "attributes")]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Scope {
    #[serde(default)]
    name: String,
}

/// What a line holds. The three signals share their two outer levels and differ in the names alone.
#[derive(Deserialize)]
struct Batch<T> {
    #[serde(
        alias = "resourceSpans",
        alias = "resourceMetrics",
        alias = "resourceLogs",
        default = "Vec::new"
    )]
    resources: Vec<OfResource<T>>,
}

#[derive(Deserialize)]
struct OfResource<T> {
    #[serde(default)]
    resource: Resource,
    #[serde(
        alias = "scopeSpans",
        alias = "scopeMetrics",
        alias = "scopeLogs",
        default = "Vec::new"
    )]
    scopes: Vec<OfScope<T>>,
}

#[derive(Deserialize)]
struct OfScope<T> {
    #[serde(default)]
    scope: Scope,
    #[serde(
        alias = "spans",
        alias = "metrics",
        alias = "logRecords",
        default = "Vec::new"
    )]
    items: Vec<T>,
}

/// Every item of a line with the attributes of its resource and the name of its scope.
pub(super) fn items<'line, T: Deserialize<'line>>(
    line: &'line str,
) -> Result<impl Iterator<Item = (T, Attributes, String)>, serde_json::Error> {
    let batch: Batch<T> = serde_json::from_str(line)?;
    Ok(batch
        .resources
        .into_iter()
        .flat_map(|OfResource { resource, scopes }| {
            scopes
                .into_iter()
                .flat_map(move |OfScope { scope, items }| {
                    let attributes = resource.attributes.clone();
                    items
                        .into_iter()
                        .map(move |item| (item, attributes.clone(), scope.name.clone()))
                })
        }))
}

pub(super) fn spans(line: &str) -> Result<Vec<Span>, serde_json::Error> {
    let spans = items::<Span>(line)?;
    Ok(spans
        .map(|(span, resource, scope)| Span {
            resource,
            scope,
            ..span
        })
        .collect())
}

pub(super) fn log_records(line: &str) -> Result<Vec<LogRecord>, serde_json::Error> {
    let records = items::<LogRecord>(line)?;
    Ok(records
        .map(|(record, resource, scope)| LogRecord {
            resource,
            scope,
            ..record
        })
        .collect())
}
