//! From apply to delete.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::Node;
use ordermill_tests::reader::{Isolation, Until, read_all};
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};
use serde_json::json;

use crate::support::stage::{SOON, Stage, has};

#[tokio::test]
async fn a_producer_lives_from_apply_to_delete() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set("life").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: FoodOrder, rate: 20, errorRate: 0, topics: {{orderEvents: {{name: {topic}, partitions: 1}}}}, \
            kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    );
    stage.create::<OrderProducer>("food", &spec).await?;
    let status = stage.ready("food", "Running").await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(
        has(&status, "TuningApplied", "True", "Applied"),
        "{status:?}"
    );
    assert!(
        status
            .conditions
            .iter()
            .all(|it| it.type_ != "Reconciling" && it.type_ != "Stalled")
    );
    let status = stage
        .status("food", "observed events", |status| {
            let observed = status.observed.as_ref();
            observed.is_some_and(|it| it.events > Some(0) && it.rate_per_second.is_some())
        })
        .await;
    assert_eq!(status.observed.unwrap().injected, Some(0));

    stage.edit("food", "{replicas: 2}").await?;
    let status = stage
        .status("food", "two pods", |status| {
            status.ready_replicas == Some(2)
        })
        .await;
    assert_eq!(status.replicas, Some(2));
    stage.edit("food", "{paused: true}").await?;
    stage.ready("food", "Paused").await;
    assert!(
        !read_all(
            broker.bootstrap(),
            &topic,
            Isolation::ReadCommitted,
            Until::end()
        )
        .await?
        .is_empty()
    );
    stage.edit("food", "{replicas: 0}").await?;
    stage.ready("food", "ScaledToZero").await;

    stage
        .api::<OrderProducer>()
        .delete("food", &DeleteParams::default())
        .await?;
    let all = ListParams::default().labels("app.kubernetes.io/managed-by=ordermill");
    eventually_ok(SOON, "nothing left", async || {
        let deployments = stage.api::<Deployment>().list(&all).await;
        let config_maps = stage.api::<ConfigMap>().list(&all).await;
        let accounts = stage.api::<ServiceAccount>().list(&all).await;
        let left = deployments.map_err(|it| it.to_string())?.items.len()
            + config_maps.map_err(|it| it.to_string())?.items.len()
            + accounts.map_err(|it| it.to_string())?.items.len();
        if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} objects"))
        }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_bounded_producer_ends_with_its_count_and_is_never_run_again() -> TestResult {
    const COUNT: usize = 300;
    let broker = Broker::shared().await?;
    let stage = Stage::set("bounded").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let topic = unique("sales");
    let spec = format!(
        "{{model: WoodOrder, rate: 200, errorRate: 0, maxEvents: {COUNT}, replicas: 3, \
            topics: {{orders: {{name: {topic}, partitions: 1}}}}, kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    );
    stage.create::<OrderProducer>("wood", &spec).await?;
    let status = stage.ready("wood", "Completed").await;
    assert_eq!(status.phase.as_deref(), Some("Completed"));
    assert_eq!(status.observed.unwrap().events, Some(300));
    let sent = async || {
        let read = read_all(
            broker.bootstrap(),
            &topic,
            Isolation::ReadCommitted,
            Until::end(),
        );
        read.await.map(|records| records.len())
    };
    assert_eq!(sent().await?, COUNT);
    let jobs = stage.api::<Job>();
    let before = jobs.list(&ListParams::default()).await?.items;

    let generation = stage
        .edit("wood", "{workload: {image: 'another:1'}, errorRate: 0.5}")
        .await?;
    stage
        .status("wood", "completed after the edit", |status| {
            status.observed_generation == Some(generation)
                && has(status, "Ready", "True", "Completed")
        })
        .await;
    let after = jobs.list(&ListParams::default()).await?.items;
    let uids = |jobs: &[Job]| {
        jobs.iter()
            .map(|job| job.metadata.uid.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(uids(&before), uids(&after));
    assert_eq!(sent().await?, COUNT);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_with_its_reason() -> TestResult {
    let stage = Stage::set("away").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let spec = "{model: WoodOrder, rate: 1, kafka: {bootstrapServers: '127.0.0.1:1'}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    stage
        .not_ready_because("wood", "KafkaUnreachable", "1 of 1 pods cannot work")
        .await;
    Ok(())
}

#[tokio::test]
async fn a_users_mistake_stalls_with_what_to_do_until_it_is_mended() -> TestResult {
    let stage = Stage::set("mistake").await?;
    let _node = stage.idle_node().await?;
    stage
        .create::<OrderProducer>("wood", "{model: WoodOrder}")
        .await?;
    stage
        .not_ready_because(
            "wood",
            "KafkaNotConfigured",
            "spec.kafka: set bootstrapServers or strimzi",
        )
        .await;
    let status = stage
        .status("wood", "stalled", |status| {
            has(status, "Stalled", "True", "KafkaNotConfigured")
        })
        .await;
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    stage
        .edit("wood", "{kafka: {bootstrapServers: 'kafka:9092'}}")
        .await?;
    let status = stage
        .status("wood", "pods", |status| status.ready_replicas == Some(1))
        .await;
    assert!(
        !status.conditions.iter().any(|it| it.type_ == "Stalled"),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_quota_that_refuses_pods_is_told() -> TestResult {
    let stage = Stage::set("quota").await?;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}
    }))?;
    let quotas = stage.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await?;
    // Only one whose use is counted is enforced.
    eventually_ok(SOON, "the quota is enforced", async || {
        let quota = quotas
            .get("none")
            .await
            .map_err(|error| error.to_string())?;
        let used = quota.status.and_then(|status| status.used);
        used.map(drop).ok_or("its use is not counted".to_owned())
    })
    .await;
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    stage
        .not_ready_because("wood", "PodsRefused", "exceeded quota")
        .await;
    Ok(())
}
