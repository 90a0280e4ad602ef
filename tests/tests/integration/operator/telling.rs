//! What the operator tells of itself: health, metrics, traces.

use kube::api::DeleteParams;
use ordermill_crds::OrderProducer;
use ordermill_tests::collector::Collector;
use ordermill_tests::kubernetes::Cluster;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, http};

use crate::support::stage::{SOON, Stage, admin_address, operator};

#[tokio::test]
async fn its_admin_port_tells_health_and_counts() -> TestResult {
    let mut stage = Stage::set("telling").await?;
    let address = stage.admin_address().await?;
    let _node = stage.idle_node().await?;
    let get = async |path: &str| http::get(&format!("http://{address}{path}")).await;
    assert!(get("/livez").await?.is_success());
    eventually_ok(SOON, "ready", async || match get("/readyz").await {
        Ok(answer) if answer.is_success() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(1))
        .await;
    stage
        .create::<OrderProducer>("lost", "{model: WoodOrder}")
        .await?;
    stage
        .not_ready_because("lost", "KafkaNotConfigured", "bootstrapServers")
        .await;
    // The status is seen before the reconcile that wrote it has ended and counted itself.
    eventually_ok(SOON, "these lines", async || {
        let answer = get("/metrics").await.map_err(|error| error.to_string())?;
        let lines = [
            "ordermill_operator_reconcile_duration_seconds_count{kind=\"OrderProducer\"}",
            "ordermill_operator_reconcile_errors_total{kind=\"OrderProducer\",category=\"KafkaNotConfigured\"} 1",
            // ServiceAccount, ConfigMap and Deployment.
            "ordermill_operator_api_writes_total{verb=\"apply\"} 3",
            "ordermill_operator_queue_depth 0",
            "ordermill_operator_leader 1",
            "# TYPE ordermill_operator_tuning_push_latency_seconds histogram",
        ];
        match lines.iter().find(|line| !answer.body.contains(**line)) {
            None => Ok(()),
            Some(line) => Err(format!("{line} in\n{}", answer.body)),
        }
    })
    .await;
    stage
        .api::<OrderProducer>()
        .delete("wood", &DeleteParams::default())
        .await?;
    Ok(())
}

#[tokio::test]
async fn before_it_can_work_it_is_alive_and_not_ready() -> TestResult {
    let cluster = Cluster::start().await?;
    let namespace = cluster.namespace("bare").await?;
    let mut process = operator(&cluster, &namespace).await?.start()?;
    let address = admin_address(&mut process).await?;
    assert!(
        http::get(&format!("http://{address}/livez"))
            .await?
            .is_success()
    );
    let ready =
        eventually_ok(
            SOON,
            "an answer that names what is missing",
            async || match http::get(&format!("http://{address}/readyz")).await {
                Ok(answer) if answer.body.contains("OrderProducer") => Ok(answer),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
    assert_eq!(ready.status, 503);
    Ok(())
}

#[tokio::test]
async fn reconciles_are_traces() -> TestResult {
    let collector = Collector::start().await?;
    let mut stage = Stage::set_with("traces", |launch| {
        launch.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
    })
    .await?;
    stage
        .create::<OrderProducer>("lost", "{model: WoodOrder}")
        .await?;
    stage
        .not_ready_because("lost", "KafkaNotConfigured", "bootstrapServers")
        .await;
    stage.operator.terminate()?;
    let _exit = stage.operator.wait(SOON).await?.assert_code(0);
    let span = eventually_ok(SOON, "the span of the reconcile", async || {
        let spans = collector.spans().map_err(|it| it.to_string())?;
        let found = spans.iter().find(|span| span.name == "reconcile").cloned();
        found.ok_or_else(|| format!("{:?}", spans.iter().map(|it| &it.name).collect::<Vec<_>>()))
    })
    .await;
    assert!(span.is_error(), "{span:?}");
    assert!(span.status.message.contains("spec.kafka"), "{span:?}");
    for (name, value) in [
        ("ordermill.resource.kind", "OrderProducer"),
        ("ordermill.resource.name", "lost"),
        ("k8s.namespace.name", stage.namespace.name()),
        ("error.type", "KafkaNotConfigured"),
    ] {
        assert_eq!(span.attributes[name], value, "{name} of {span:?}");
    }
    assert_eq!(span.resource["service.name"], "ordermill-operator");
    Ok(())
}
