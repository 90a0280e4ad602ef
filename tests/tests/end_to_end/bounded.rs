//! A bounded producer delivers exactly its count, whatever dies meanwhile.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::kind::Broker;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

use super::release::{OnKind, SOON, delivered, install};
use crate::support::producer::{read_topic, sequence, totals};
use crate::support::stage::has;

const EVENTS: u64 = 3_000;
/// A Job waits 10 s, 20 s, then 40 s after failures in a row before it makes another pod.
const AFTER_FAILURES: Duration = Duration::from_secs(40 + 120);
/// Where Kubernetes tells which index of a Job a pod is.
const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

#[tokio::test]
async fn three_indexes_deliver_their_count_though_pods_and_broker_are_killed() -> TestResult {
    let stage = install("bounded").await?;
    // Its own, as it is killed.
    let broker = Broker::start(&stage.cluster, &stage.namespace).await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: WoodOrder, rate: 50, errorRate: 0, maxEvents: {EVENTS}, replicas: 3, \
          topics: {{orders: {{name: {topic}, partitions: 3}}}}, kafka: {{bootstrapServers: '{}'}}}}",
        broker.inside()
    );
    stage.create::<OrderProducer>("wood", &spec).await?;
    // All of them before the broker: what is due after its outage may be the whole rest of a run.
    for index in 0..3 {
        delivered(&broker, &topic, 300 * (index + 1)).await?;
        kill_pod(&stage, index).await?;
    }
    broker.kill(&stage.cluster).await?;
    eventually_ok(AFTER_FAILURES, "a Job that is complete", async || {
        let list = stage.api::<Job>().list(&ListParams::default()).await;
        let jobs = list.map_err(|error| error.to_string())?.items;
        let status = jobs.first().and_then(|job| job.status.clone());
        let complete = status.as_ref().is_some_and(|it| it.succeeded == Some(3));
        complete.then_some(()).ok_or(format!("{status:?}"))
    })
    .await;
    stage.ready("wood", "Completed").await;

    let records = read_topic(broker.outside(), &topic).await?;
    let totals = totals(&records);
    assert_eq!(totals.len(), 3, "{totals:?}");
    assert_eq!(
        totals.values().map(|it| it.events).sum::<u64>(),
        EVENTS,
        "{totals:?}"
    );
    assert_eq!(records.iter().filter(|it| sequence(it) == 0).count(), 3);

    // Another image is no other work.
    let jobs = stage.api::<Job>().list(&ListParams::default()).await?.items;
    assert_eq!(jobs.len(), 1);
    let image = "{workload: {image: 'ordermill-workload:another'}}";
    let generation = stage.edit("wood", image).await?;
    stage
        .status("wood", "the edit is seen", |status| {
            status.observed_generation == Some(generation)
                && has(status, "Ready", "True", "Completed")
        })
        .await;
    let now = stage.api::<Job>().list(&ListParams::default()).await?.items;
    assert_eq!(
        now.iter().map(Job::uid).collect::<Vec<_>>(),
        [jobs[0].uid()]
    );
    assert_eq!(
        read_topic(broker.outside(), &topic).await?.len(),
        records.len()
    );
    Ok(())
}

/// Kills the pod of an index, as a node that is lost would.
async fn kill_pod(stage: &OnKind, index: usize) -> TestResult {
    let index = index.to_string();
    let at_work = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        pod.labels().get(COMPLETION_INDEX) == Some(&index) && phase == Some("Running")
    };
    let pod = eventually_ok(SOON, "a pod of the index at work", async || {
        let pods = stage.pods("wood").await.map_err(|it| it.to_string())?;
        let names: Vec<String> = pods.iter().map(Pod::name_any).collect();
        let found = pods.into_iter().find(at_work);
        found.ok_or(format!("none of {names:?} is of index {index}"))
    })
    .await;
    let at_once = DeleteParams::default().grace_period(0);
    stage.api::<Pod>().delete(&pod.name_any(), &at_once).await?;
    Ok(())
}
