//! The operator, its node, its API server and its brokers die: everything returns by itself, and workloads go on meanwhile.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use ordermill_crds::OrderProducer;
use ordermill_tests::kind::Broker;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

use super::pods::is_ready;
use super::release::{OnKind, SOON, install_for_all, now, without_gap};
use crate::support::producer::{read_topic, totals};

#[tokio::test]
async fn whatever_dies_workloads_go_on_and_edits_arrive() -> TestResult {
    // It takes the API server away, so no other test runs beside it.
    let stage = install_for_all("faults").await?;
    let broker = Broker::start(&stage.cluster, &stage.namespace).await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: FoodOrder, rate: 50, errorRate: 0, replicas: 2, \
          topics: {{orderEvents: {{name: {topic}, partitions: 3}}}}, kafka: {{bootstrapServers: '{}'}}}}",
        broker.inside()
    );
    stage.create::<OrderProducer>("food", &spec).await?;
    stage.ready("food", "Running").await;
    let before = stage.lives("food").await?;

    kill_the_operator(&stage).await?;
    applied(&stage, 0.2).await?;

    stage
        .cluster
        .on_node(&["systemctl", "restart", "kubelet"])?;
    applied(&stage, 0.3).await?;

    stage
        .cluster
        .on_node(&["pkill", "-KILL", "kube-apiserver"])?;
    eventually_ok(SOON, "an API server that answers", async || {
        stage
            .edit("food", "{errorRate: 0.4}")
            .await
            .map_err(|it| it.to_string())
    })
    .await;
    applied(&stage, 0.1).await?;

    broker.kill(&stage.cluster).await?;
    let killed = now();
    eventually_ok(
        SOON,
        "events of both after the broker's death",
        async || {
            let records = read_topic(broker.outside(), &topic).await;
            let records = records.map_err(|error| error.to_string())?;
            let young = records
                .iter()
                .filter(|record| record.timestamp.unwrap() > killed);
            let instances: BTreeSet<_> = young
                .filter_map(|record| record.header("ordermill-instance"))
                .collect();
            (instances.len() == 2)
                .then_some(())
                .ok_or(format!("{instances:?}"))
        },
    )
    .await;
    stage.ready("food", "Running").await;
    applied(&stage, 0.0).await?;
    assert_eq!(
        stage.lives("food").await?,
        before,
        "no workload had to restart"
    );

    stage.edit("food", "{paused: true}").await?;
    stage.ready("food", "Paused").await;
    // What was due while the broker was away may still be on its way.
    let records = without_gap(&stage, &broker, &topic, "food", 1).await;
    let totals = totals(&records);
    assert_eq!(totals.len(), 2, "{totals:?}");
    Ok(())
}

/// Kills all its pods; waits until others are ready.
async fn kill_the_operator(stage: &OnKind) -> TestResult {
    let before = stage.operators().await?;
    assert_eq!(before.len(), 2);
    let at_once = DeleteParams::default().grace_period(0);
    for pod in &before {
        stage.api::<Pod>().delete(&pod.name_any(), &at_once).await?;
    }
    eventually_ok(SOON, "other operators", async || {
        let now = stage.operators().await.map_err(|it| it.to_string())?;
        let names: Vec<String> = now.iter().map(ResourceExt::name_any).collect();
        let other = before.iter().all(|pod| !names.contains(&pod.name_any()));
        (other && now.len() == 2 && now.iter().all(is_ready))
            .then_some(())
            .ok_or(format!("{names:?}"))
    })
    .await;
    Ok(())
}

/// Edits, and waits until the running processes work with it.
async fn applied(stage: &OnKind, rate: f64) -> TestResult {
    let generation = stage
        .edit("food", &format!("{{errorRate: {rate}}}"))
        .await?;
    stage.applied("food", generation).await;
    Ok(())
}
