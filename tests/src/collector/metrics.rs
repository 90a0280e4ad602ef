//! Data points as the file exporter writes them: OTLP's JSON form.

use serde::Deserialize;

use super::exported::items;
use super::values::{Attributes, attributes, integer, integers, optional_integer};

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

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Points {
    #[serde(rename = "dataPoints")]
    list: Vec<Point>,
    is_monotonic: bool,
    /// 1 is delta, 2 is cumulative.
    #[serde(rename = "aggregationTemporality")]
    temporality: u8,
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
        match self {
            Self::Gauge(points) => points.with(|point| PointValue::Gauge(point.number())),
            Self::Histogram(points) | Self::ExponentialHistogram(points) => {
                points.with(Point::histogram)
            }
            Self::Sum(points) => {
                let (monotonic, cumulative) = (points.is_monotonic, points.temporality == 2);
                points.with(|point| PointValue::Sum {
                    total: point.number(),
                    monotonic,
                    cumulative,
                })
            }
        }
    }
}

impl Points {
    fn with(self, value: impl Fn(&mut Point) -> PointValue) -> Vec<(Point, PointValue)> {
        let with_value = |mut point: Point| {
            let value = value(&mut point);
            (point, value)
        };
        self.list.into_iter().map(with_value).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(kind: &str, data: serde_json::Value) -> PointValue {
        let mut metric = json!({"name": "m"});
        metric[kind] = data;
        let line = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
        let mut points = metric_points(&line.to_string()).unwrap();
        assert_eq!(points.len(), 1);
        points.remove(0).value
    }

    #[test]
    fn every_kind_of_metric_is_read() {
        let gauge = value("gauge", json!({"dataPoints": [{"asDouble": 1.5}]}));
        assert_eq!(gauge, PointValue::Gauge(1.5));
        let delta = json!({"aggregationTemporality": 1, "dataPoints": [{"asInt": "7"}]});
        let sum = PointValue::Sum {
            total: 7.0,
            monotonic: false,
            cumulative: false,
        };
        assert_eq!(value("sum", delta), sum);
        let fixed = json!({"aggregationTemporality": 2, "dataPoints": [
            {"count": "2", "sum": 3.5, "bucketCounts": ["1", "1"], "explicitBounds": [1]},
        ]});
        let (buckets, bounds) = (vec![1, 1], vec![1.0]);
        let histogram = PointValue::Histogram {
            count: 2,
            sum: 3.5,
            buckets,
            bounds,
        };
        assert_eq!(value("histogram", fixed), histogram);
        let exponential = json!({"dataPoints": [{"count": "2", "sum": 3.5, "scale": 1}]});
        let (buckets, bounds) = (vec![], vec![]);
        let histogram = PointValue::Histogram {
            count: 2,
            sum: 3.5,
            buckets,
            bounds,
        };
        assert_eq!(value("exponentialHistogram", exponential), histogram);
    }
}
