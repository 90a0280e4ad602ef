//! What a namespace allows: admission and quotas.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, PostParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::{TestResult, unique};
use serde_json::json;

use super::release::{broker, install};

#[tokio::test]
async fn a_quota_that_stops_it_is_named_and_more_room_is_used() -> TestResult {
    // Every namespace here enforces PodSecurity's restricted profile.
    let stage = install("quota").await?;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "small"},
        // The operator's own pod takes some.
        "spec": {"hard": {"pods": "2", "limits.memory": "16Gi", "requests.memory": "16Gi", "requests.cpu": "8"}},
    }))?;
    let quotas = stage.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: WoodOrder, rate: 5, replicas: 2, topics: {{orders: {{name: {topic}, partitions: 1}}}}, \
          kafka: {{bootstrapServers: '{}'}}}}",
        broker().await?.inside()
    );
    stage.create::<OrderProducer>("wood", &spec).await?;
    stage.all_ready("wood", 1).await;
    stage
        .not_ready_because("wood", "PodsRefused", "small")
        .await;
    quotas.delete("small", &DeleteParams::default()).await?;
    stage.all_ready("wood", 2).await;
    stage.ready("wood", "Running").await;
    Ok(())
}
