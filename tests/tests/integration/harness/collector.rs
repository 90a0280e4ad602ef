//! The OpenTelemetry Collector: what it was sent can be read, over its deaths too.

use std::time::Duration;

use ordermill_tests::collector::{Collector, PointValue};
use ordermill_tests::{TestResult, eventually, http};
use serde_json::json;

use super::SOON;

/// One span, one counter and one log record in OTLP's JSON form, and the paths they go to.
fn signals(name: &str) -> [(&'static str, serde_json::Value); 3] {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [text("service.name", "harness")]});
    let (trace, span) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    [
        (
            "/v1/traces",
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{
                "scope": {"name": "scope"},
                "spans": [{
                    "traceId": trace, "spanId": span, "name": name, "kind": 4,
                    "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1250000000",
                    "attributes": [
                        text("messaging.system", "kafka"),
                        {"key": "messaging.batch.message_count", "value": {"intValue": "3"}},
                    ],
                    "status": {"code": 2, "message": "injected"},
                }],
            }]}]}),
        ),
        (
            "/v1/metrics",
            json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{
                "scope": {"name": "scope"},
                "metrics": [{"name": name, "unit": "{event}", "sum": {
                    "isMonotonic": true, "aggregationTemporality": 2,
                    "dataPoints": [{"asInt": "7", "timeUnixNano": "5", "attributes": [text("outcome", "ok")]}],
                }}],
            }]}]}),
        ),
        (
            "/v1/logs",
            json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{
                "logRecords": [{
                    "timeUnixNano": "9", "severityNumber": 13, "severityText": "WARN",
                    "body": {"stringValue": name}, "traceId": trace, "spanId": span,
                }],
            }]}]}),
        ),
    ]
}

async fn export(collector: &Collector, name: &str) -> TestResult {
    for (path, signal) in signals(name) {
        let url = format!("{}{path}", collector.endpoint_http());
        let response = http::post_json(&url, &signal).await?;
        assert!(response.is_success(), "{path}: {response:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_collector_shows_what_it_was_sent() -> TestResult {
    let collector = Collector::start().await?;
    export(&collector, "first").await?;
    let (span, point, record) = eventually(SOON, "the three signals", async || {
        let span = collector.spans().ok()?.pop()?;
        let point = collector.metric_points().ok()?.pop()?;
        let record = collector.log_records().ok()?.pop()?;
        Some((span, point, record))
    })
    .await;

    assert_eq!(
        (span.name.as_str(), span.kind, span.is_error()),
        ("first", 4, true)
    );
    assert_eq!(span.duration(), Duration::from_millis(250));
    assert_eq!(span.attributes["messaging.system"], "kafka");
    assert_eq!(span.attributes["messaging.batch.message_count"], 3);
    assert_eq!(
        (span.resource["service.name"].as_str(), span.scope.as_str()),
        (Some("harness"), "scope")
    );
    assert_eq!(
        point.value,
        PointValue::Sum {
            total: 7.0,
            monotonic: true,
            cumulative: true
        }
    );
    assert_eq!((point.unit.as_str(), point.time), ("{event}", 5));
    assert_eq!(point.attributes["outcome"], "ok");
    assert_eq!(point.resource["service.name"], "harness");
    assert_eq!(
        (record.body.as_str(), record.severity_text.as_str()),
        (Some("first"), "WARN")
    );
    assert_eq!(
        (record.trace_id, record.span_id),
        (span.trace_id, span.span_id)
    );
    Ok(())
}

#[tokio::test]
async fn a_collector_that_returns_keeps_what_it_had() -> TestResult {
    let mut collector = Collector::start().await?;
    let endpoints = (collector.endpoint(), collector.endpoint_http());
    export(&collector, "before").await?;
    collector.stop().await?;
    assert!(
        http::get(&endpoints.1).await.is_err(),
        "nobody listens while it is down"
    );
    collector.restart().await?;
    assert_eq!((collector.endpoint(), collector.endpoint_http()), endpoints);
    export(&collector, "after").await?;
    collector.stop().await?;
    let names: Vec<String> = collector
        .spans()?
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["before", "after"]);
    Ok(())
}
