//! Spans, data points and log records as the file exporter writes them: OTLP's JSON form.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::values::{Attributes, attributes, integer, integers, optional_integer, value};

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

/// One data point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// The metric's name.
    pub name: String,
    /// Its unit, for instance `s` or `{message}`.
    pub unit: String,
    /// What was measured.
    pub value: PointValue,
    /// The point's own attributes.
    pub attributes: Attributes,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Attributes of the process (`service.name`).
    pub resource: Attributes,
    /// The instrumentation's name.
    pub scope: String,
}

/// What a data point holds.
#[derive(Debug, Clone, PartialEq)]
pub enum PointValue {
    /// A level.
    Gauge(f64),
    /// A counter.
    Sum {
        /// Since the start when `cumulative`, else since the last point.
        total: f64,
        /// Whether it only grows.
        monotonic: bool,
        /// Whether it counts from the start.
        cumulative: bool,
    },
    /// A distribution, with fixed or exponential buckets.
    Histogram {
        /// How many values.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Counts of the fixed buckets; empty for exponential ones.
        buckets: Vec<u64>,
        /// Upper bounds of the fixed buckets, one fewer than counts.
        bounds: Vec<f64>,
    },
}

impl MetricPoint {
    /// The number of a gauge or a sum, or the count of a histogram.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "no test counts to 2 to the power of 53"
    )]
    pub fn number(&self) -> f64 {
        match self.value {
            PointValue::Gauge(number) => number,
            PointValue::Sum { total, .. } => total,
            PointValue::Histogram { count, .. } => count as f64,
        }
    }
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

/// The three signals share their two outer levels and differ in the names alone.
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
fn items<'line, T: Deserialize<'line>>(
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

pub(super) fn metric_points(line: &str) -> Result<Vec<MetricPoint>, serde_json::Error> {
    let metrics = items::<Metric>(line)?;
    let points = metrics.flat_map(|(Metric { name, unit, data }, resource, scope)| {
        data.points()
            .into_iter()
            .map(move |(point, value)| MetricPoint {
                name: name.clone(),
                unit: unit.clone(),
                value,
                attributes: point.attributes,
                time: point.time,
                resource: resource.clone(),
                scope: scope.clone(),
            })
    });
    Ok(points.collect())
}

#[derive(Deserialize)]
struct Metric {
    #[serde(default)]
    name: String,
    #[serde(default)]
    unit: String,
    #[serde(flatten)]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Data {
    Gauge(Points),
    Sum(Points),
    Histogram(Points),
    ExponentialHistogram(Points),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Points {
    data_points: Vec<Point>,
    is_monotonic: bool,
    /// 2 is cumulative.
    aggregation_temporality: u8,
}

/// Fields of every kind of data point; a kind leaves those of the others out.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Point {
    #[serde(deserialize_with = "attributes")]
    attributes: Attributes,
    #[serde(rename = "timeUnixNano", deserialize_with = "integer")]
    time: u64,
    #[serde(deserialize_with = "optional_integer")]
    as_int: Option<i64>,
    as_double: Option<f64>,
    #[serde(deserialize_with = "integer")]
    count: u64,
    sum: f64,
    #[serde(deserialize_with = "integers")]
    bucket_counts: Vec<u64>,
    explicit_bounds: Vec<f64>,
}

impl Point {
    #[expect(
        clippy::cast_precision_loss,
        reason = "no test counts to 2 to the power of 53"
    )]
    fn number(&self) -> f64 {
        self.as_double
            .or(self.as_int.map(|integer| integer as f64))
            .unwrap_or_default()
    }

    fn histogram(&mut self) -> PointValue {
        PointValue::Histogram {
            count: self.count,
            sum: self.sum,
            buckets: std::mem::take(&mut self.bucket_counts),
            bounds: std::mem::take(&mut self.explicit_bounds),
        }
    }
}

impl Data {
    fn points(self) -> Vec<(Point, PointValue)> {
        let (points, value): (Points, fn(&mut Point, bool, bool) -> PointValue) = match self {
            Self::Gauge(points) => (points, |point, _, _| PointValue::Gauge(point.number())),
            Self::Sum(points) => (points, |point, monotonic, cumulative| PointValue::Sum {
                total: point.number(),
                monotonic,
                cumulative,
            }),
            Self::Histogram(points) | Self::ExponentialHistogram(points) => {
                (points, |point, _, _| point.histogram())
            }
        };
        let (monotonic, cumulative) = (points.is_monotonic, points.aggregation_temporality == 2);
        let with_value = |mut point: Point| {
            let value = value(&mut point, monotonic, cumulative);
            (point, value)
        };
        points.data_points.into_iter().map(with_value).collect()
    }
}
