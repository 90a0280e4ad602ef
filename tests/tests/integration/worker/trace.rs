//! One trace for each order.

use ordermill_tests::TestResult;
use ordermill_tests::collector::{Collector, Span};

use super::shop::{Shop, order, post_with};
use crate::support::SOON;

/// The one span of this name and service.
#[track_caller]
fn the<'a>(spans: &'a [Span], service: &str, name: &str) -> &'a Span {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.name == name && span.resource["service.name"] == service)
        .collect();
    assert_eq!(found.len(), 1, "{service}: {name}: {spans:?}");
    found[0]
}

#[tokio::test]
async fn an_order_is_one_trace_through_the_whole_system() -> TestResult {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";
    let mut collector = Collector::start().await?;
    let endpoint = collector.endpoint();
    let telemetry = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut shop = Shop::open(&telemetry).await?;
    shop.deliver(10).await?;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let url = format!("{}/orders", shop.orders.url);
    let status = post_with(&url, ("traceparent", &traceparent), &order(1)).await?;
    assert_eq!(status, 201);
    let variables = [
        ("INTERVAL_SECONDS", "3600"),
        ("ERROR_RATE", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ];
    let mut worker = shop.worker(&variables).await?;
    worker.wait_for_events(1).await?;
    let _ = worker.process.stop(SOON).await?.assert_code(0);
    shop.orders.stop().await?;
    shop.stock.stop().await?;
    collector.stop().await?;

    let all = collector.spans()?;
    let (mine, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|span| span.trace_id == TRACE);
    let order = the(&mine, "ordermanagement", "process order");
    assert_eq!(order.parent_span_id, CALLER);
    assert_eq!(order.attributes["ordermill.order.status"], "processed");
    assert_eq!(the(&mine, "order", "POST /orders").parent_span_id, CALLER);
    for (service, call) in [
        ("stock", "POST /stocks/decrease"),
        ("order", "PUT /orders/{id}/status"),
    ] {
        let client = the(&mine, "ordermanagement", call);
        assert_eq!(client.parent_span_id, order.span_id, "{call}");
        assert_eq!(the(&mine, service, call).parent_span_id, client.span_id);
    }
    // The claim is of many orders, and so a trace of its own that the order's span refers to.
    let claim = the(&others, "ordermanagement", "claim orders");
    assert_eq!(claim.parent_span_id, "");
    let linked: Vec<_> = order.links.iter().map(|link| &link.span_id).collect();
    assert_eq!(linked, [&claim.span_id]);
    Ok(())
}
