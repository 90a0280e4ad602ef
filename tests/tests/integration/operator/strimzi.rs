//! A Kafka that Strimzi runs. Its operators are played by the test, which writes the status that they would write.

use std::sync::Arc;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace, Node};
use ordermill_tests::wait::eventually_ok;
use serde_json::{Value, json};

use crate::support::stage::{SOON, Stage, has};

fn api(namespace: &Namespace, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("kafka.strimzi.io", "v1", kind));
    Api::namespaced_with(namespace.client(), namespace.name(), &resource)
}

async fn put(namespace: &Namespace, kind: &str, name: &str, mut object: Value) -> TestResult {
    let status = object.as_object_mut().unwrap().remove("status");
    object["apiVersion"] = json!("kafka.strimzi.io/v1");
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!(name);
    let parameters = PatchParams::apply("strimzi").force();
    let api = api(namespace, kind);
    api.patch(name, &parameters, &Patch::Apply(&object)).await?;
    if let Some(status) = status {
        let patch = Patch::Merge(json!({"status": status}));
        api.patch_status(name, &PatchParams::default(), &patch)
            .await?;
    }
    Ok(())
}

/// A cluster with one TLS listener, as Strimzi tells of it when it is ready, or before.
async fn kafka(namespace: &Namespace, is_ready: bool) -> TestResult {
    let listeners = json!([{"name": "tls", "bootstrapServers": "mill-kafka-bootstrap:9093", "certificates": ["PEM"]}]);
    let status = if is_ready {
        json!({"observedGeneration": 1, "listeners": listeners, "conditions": [{"type": "Ready", "status": "True"}]})
    } else {
        json!({"observedGeneration": 1, "conditions": [
            {"type": "NotReady", "status": "True", "reason": "Creating", "message": "pods are being made"}]})
    };
    let listeners = json!([{"name": "tls", "port": 9093, "type": "internal", "tls": true}]);
    put(namespace, "Kafka", "mill", json!({
        "metadata": {}, "spec": {"kafka": {"listeners": listeners}, "entityOperator": {}}, "status": status,
    }))
    .await
}

async fn stage(prefix: &str) -> TestResult<(Stage, Node)> {
    let cluster: Arc<Cluster> = Cluster::shared().await?;
    cluster.install_strimzi_crds().await?;
    let stage = Stage::set(prefix).await?;
    let node = stage.idle_node().await?;
    Ok((stage, node))
}

#[tokio::test]
async fn a_cluster_is_waited_for_and_its_topics_are_made() -> TestResult {
    let (stage, _node) = stage("strimzi").await?;
    let namespace = &stage.namespace;
    let spec = "{model: RetailSale, kafka: {strimzi: {cluster: mill, listener: tls, user: miller}}, \
        topics: {transactions: {name: sales, partitions: 6, config: {retention.ms: '3600000'}}}}";
    stage.create::<OrderProducer>("sales", spec).await?;
    stage
        .not_ready_because("sales", "KafkaNotFound", "there is no Kafka mill")
        .await;
    kafka(namespace, false).await?;
    stage
        .not_ready_because("sales", "KafkaNotReady", "Creating: pods are being made")
        .await;
    kafka(namespace, true).await?;
    stage
        .not_ready_because("sales", "KafkaNotFound", "there is no KafkaUser miller")
        .await;
    put(
        namespace,
        "KafkaUser",
        "miller",
        json!({
            "metadata": {"labels": {"strimzi.io/cluster": "mill"}},
            "spec": {"authentication": {"type": "tls"}},
            "status": {"observedGeneration": 1, "secret": "miller", "username": "CN=miller",
                "conditions": [{"type": "Ready", "status": "True"}]},
        }),
    )
    .await?;
    stage
        .status("sales", "pods", |status| status.replicas == Some(1))
        .await;

    let topics = api(namespace, "KafkaTopic");
    let sales = eventually_ok(SOON, "the topic", async || topics.get("sales").await).await;
    assert_eq!(
        sales.data["spec"],
        json!({"partitions": 6, "config": {"retention.ms": "3600000"}})
    );
    assert_eq!(sales.metadata.labels.unwrap()["strimzi.io/cluster"], "mill");
    assert!(
        sales.metadata.owner_references.is_none(),
        "collecting it would delete data"
    );
    eventually_ok(SOON, "the other topic", async || {
        topics.get("refunds").await
    })
    .await;

    let refusal = json!({"status": {"observedGeneration": 1, "conditions": [
        {"type": "NotReady", "status": "True", "reason": "NotSupported", "message": "fewer partitions"}]}});
    topics
        .patch_status("sales", &PatchParams::default(), &Patch::Merge(refusal))
        .await?;
    stage
        .not_ready_because(
            "sales",
            "TopicNotReady",
            "KafkaTopic sales is not ready: NotSupported: fewer partitions",
        )
        .await;
    Ok(())
}

#[tokio::test]
async fn one_resource_alone_configures_a_topic() -> TestResult {
    let (stage, _node) = stage("conflict").await?;
    kafka(&stage.namespace, true).await?;
    let spec = |partitions: u32| {
        format!(
            "{{model: WoodOrder, kafka: {{strimzi: {{cluster: mill, listener: tls}}}}, \
                topics: {{orders: {{name: orders, partitions: {partitions}}}}}}}"
        )
    };
    stage.create::<OrderProducer>("first", &spec(3)).await?;
    let topics = api(&stage.namespace, "KafkaTopic");
    eventually_ok(SOON, "the topic", async || topics.get("orders").await).await;
    stage.create::<OrderProducer>("second", &spec(9)).await?;
    stage
        .not_ready_because(
            "second",
            "TopicConflict",
            "KafkaTopic orders is configured differently",
        )
        .await;
    assert_eq!(topics.get("orders").await?.data["spec"]["partitions"], 3);
    // One that only uses it has nothing to agree on.
    let plain = "{model: WoodOrder, kafka: {strimzi: {cluster: mill, listener: tls}}}";
    stage.create::<OrderProducer>("third", plain).await?;
    stage
        .status("third", "pods", |status| {
            status.replicas == Some(1) && !has(status, "Ready", "False", "TopicConflict")
        })
        .await;
    Ok(())
}
