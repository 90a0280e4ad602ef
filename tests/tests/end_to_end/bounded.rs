//! A bounded producer delivers exactly its count, whatever dies meanwhile.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::kind::Broker;
use ordermill_tests::{TestResult, unique};

use super::producer::{read_topic, sequence, totals};
use super::release::{OnKind, delivered, install};
use super::stage::has;

const EVENTS: u64 = 3_000;

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
    for round in 1..=2 {
        delivered(&broker, &topic, 300 * round).await?;
        kill_a_pod(&stage).await?;
    }
    broker.kill(&stage.cluster).await?;
    delivered(&broker, &topic, 1_200).await?;
    kill_a_pod(&stage).await?;
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

/// Kills one that runs, as a node that is lost would.
async fn kill_a_pod(stage: &OnKind) -> TestResult {
    let pods = stage.pods("wood").await?;
    let runs = |pod: &&Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        phase == Some("Running")
    };
    let pod = pods.iter().find(runs).ok_or("no pod runs any more")?;
    let at_once = DeleteParams::default().grace_period(0);
    stage.api::<Pod>().delete(&pod.name_any(), &at_once).await?;
    Ok(())
}
