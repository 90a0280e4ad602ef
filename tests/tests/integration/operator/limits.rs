//! The limits that whoever runs the operator sets, and those that a resource sets itself.

use ordermill_crds::OrderProducer;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::Node;
use ordermill_tests::{TestResult, unique};

use crate::support::stage::{Stage, has, message};

fn spec(broker: &Broker, more: &str) -> String {
    let topic = unique("orders");
    format!(
        "{{model: WoodOrder, errorRate: 0, {more}, topics: {{orders: {{name: {topic}, partitions: 1}}}}, \
            kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    )
}

#[tokio::test]
async fn a_producer_is_held_to_the_operators_rate_and_brokers() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set_with("caps", |launch| {
        let allowed = broker.bootstrap();
        launch.args([
            "--maximum-rate",
            "8",
            "--allowed-bootstrap-servers",
            allowed,
        ])
    })
    .await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let fast = spec(broker.as_ref(), "rate: 1000, replicas: 2");
    stage.create::<OrderProducer>("fast", &fast).await?;
    let status = stage
        .status("fast", "the rate that it may have", |status| {
            let rate = status
                .observed
                .as_ref()
                .and_then(|it| it.rate_per_second.as_deref());
            let rate = rate.and_then(|rate| rate.parse::<f64>().ok());
            // In its first second a pod's rate is of one event more than its plan.
            has(status, "Ready", "True", "Running")
                && rate.is_some_and(|rate| (4.0..=9.0).contains(&rate))
        })
        .await;
    assert!(
        message(&status, "Ready")
            .contains("caps a producer at 8 events per second, 4 for each replica"),
        "{status:?}"
    );

    let elsewhere = "{model: WoodOrder, kafka: {bootstrapServers: 'prod-kafka:9092'}}";
    stage.create::<OrderProducer>("stray", elsewhere).await?;
    stage
        .not_ready_because(
            "stray",
            "BootstrapNotAllowed",
            "does not allow prod-kafka:9092",
        )
        .await;
    Ok(())
}

#[tokio::test]
async fn a_resource_that_expires_is_paused_and_says_so() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set("expiry").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let brief = spec(broker.as_ref(), "rate: 20");
    stage.create::<OrderProducer>("brief", &brief).await?;
    stage.ready("brief", "Running").await;
    // Counted from its creation, so that this is over at once, or in a second.
    stage.edit("brief", "{expiresAfter: 1s}").await?;
    let status = stage.ready("brief", "Paused").await;
    assert!(
        message(&status, "Ready").contains("spec.expiresAfter is over; raise it to go on"),
        "{status:?}"
    );
    stage
        .status("brief", "its pods paused", |status| {
            has(status, "TuningApplied", "True", "Applied")
        })
        .await;
    stage.edit("brief", "{expiresAfter: 1h}").await?;
    stage.ready("brief", "Running").await;
    Ok(())
}
