//! What rolls pods, what only starts and stops some, and what leaves nothing behind.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use ordermill_crds::OrderProducer;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

use super::release::{OnKind, SOON, broker, delivered, install, now};
use crate::support::producer::read_topic;
use crate::support::stage::has;

#[tokio::test]
async fn a_producer_is_rolled_scaled_paused_and_deleted() -> TestResult {
    let stage = install("changes").await?;
    let broker = broker().await?;
    let (first, second) = (unique("orders"), unique("orders"));
    let spec = format!(
        "{{model: WoodOrder, rate: 20, errorRate: 0, topics: {{orders: {{name: {first}, partitions: 1}}}}, \
          kafka: {{bootstrapServers: '{}'}}}}",
        broker.inside()
    );
    stage.create::<OrderProducer>("wood", &spec).await?;
    stage.ready("wood", "Running").await;
    let before = stage.lives("wood").await?;

    // Another topic is not a tuning: new pods, and the old ones lose nothing on their way out.
    stage
        .edit(
            "wood",
            &format!("{{topics: {{orders: {{name: {second}, partitions: 1}}}}}}"),
        )
        .await?;
    eventually_ok(SOON, "other pods", async || {
        let now = stage.lives("wood").await.map_err(|it| it.to_string())?;
        if now.len() == 1 && now.keys().all(|pod| !before.contains_key(pod)) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    stage.ready("wood", "Running").await;
    delivered(broker, &second, 20).await?;
    crate::support::producer::totals(&read_topic(broker.outside(), &first).await?);

    let rolled = stage.lives("wood").await?;
    stage
        .kubectl(&["scale", "orderproducer/wood", "--replicas=3"])
        .await?;
    let three = super::pods::lives(&stage.all_ready("wood", 3).await);
    assert!(
        rolled.iter().all(|life| three.get(life.0) == Some(life.1)),
        "{rolled:?} in {three:?}"
    );
    stage
        .kubectl(&["scale", "orderproducer/wood", "--replicas=1"])
        .await?;
    stage.all_ready("wood", 1).await;
    // Those on their way out send until they are told to end.
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=ordermill");
    eventually_ok(
        SOON,
        "one pod, and none on its way out",
        async || match stage.api::<Pod>().list(&ours).await {
            Ok(pods) if pods.items.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;

    let scaled = stage.lives("wood").await?;
    let generation = stage.edit("wood", "{paused: true}").await?;
    stage.applied("wood", generation).await;
    let paused = now();
    // The rate is that of the last ten seconds: two hundred events would be due in them.
    stage
        .status("wood", "paused, and no event for a while", |status| {
            let rate = status.observed.as_ref();
            let rate = rate.and_then(|it| it.rate_per_second.as_deref());
            has(status, "Ready", "True", "Paused") && rate == Some("0")
        })
        .await;
    let resumed = now();
    let silent = read_topic(broker.outside(), &second).await?;
    stage.edit("wood", "{paused: false}").await?;
    delivered(broker, &second, silent.len() + 20).await?;
    let moments = silent.iter().map(|record| record.timestamp.unwrap());
    let meanwhile: Vec<_> = moments
        .filter(|moment| (paused..resumed).contains(moment))
        .collect();
    assert!(
        meanwhile.is_empty(),
        "paused from {paused} to {resumed}, events at {meanwhile:?}"
    );
    assert_eq!(
        stage.lives("wood").await?,
        scaled,
        "a pause restarts nothing"
    );

    stage.kubectl(&["delete", "orderproducer/wood"]).await?;
    nothing_left(&stage).await;
    Ok(())
}

/// Waits until none of the operator's objects is there.
async fn nothing_left(stage: &OnKind) {
    let kinds = "deployments,replicasets,jobs,pods,services,configmaps,serviceaccounts,\
                 poddisruptionbudgets,networkpolicies,persistentvolumeclaims";
    let ours = "--selector=app.kubernetes.io/managed-by=ordermill";
    eventually_ok(SOON, "nothing left behind", async || {
        let left = stage.kubectl(&["get", kinds, ours, "--output=name"]).await;
        let left = left.map_err(|error| error.to_string())?;
        left.trim().is_empty().then_some(()).ok_or(left)
    })
    .await;
}
