//! What the operator asks of the API server, by its audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use ordermill_crds::OrderProducer;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::{AuditEvent, Cluster, Node};
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, http, unique};

use crate::support::stage::{SOON, Stage, has, operator_from};

/// Writes of the operator in the stage's namespace but those that keep its Lease.
fn writes(stage: &Stage) -> Vec<AuditEvent> {
    let mut events = stage.cluster.audit_events().unwrap();
    events.retain(|event| {
        event.namespace == stage.namespace.name()
            && event.user_agent.contains("ordermill-operator")
            && !["get", "list", "watch"].contains(&event.verb.as_str())
            && event.resource != "leases"
    });
    events
}

/// How many of each, such as `patch configmaps`.
fn counted(events: &[AuditEvent]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let resource = match event.subresource.as_str() {
            "" => event.resource.clone(),
            part => format!("{}/{part}", event.resource),
        };
        *counts
            .entry(format!("{} {resource}", event.verb))
            .or_default() += 1;
    }
    counts
}

/// Waits for a request that comes last, which is answered before it is logged; counts all from the `first` on.
async fn settled(
    stage: &Stage,
    first: usize,
    (last, count): (&str, usize),
) -> BTreeMap<String, usize> {
    eventually_ok(SOON, last, async || {
        let counts = counted(&writes(stage)[first..]);
        if counts.get(last).is_some_and(|found| *found >= count) {
            Ok(counts)
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await
}

/// Reconciles that have ended, by the operator's own count.
async fn reconciles(address: &str) -> TestResult<u64> {
    let metrics = http::get(&format!("http://{address}/metrics")).await?.body;
    let name = "ordermill_operator_reconciles_total{kind=\"OrderProducer\"} ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.map_or(0, |count| count.parse().unwrap()))
}

#[tokio::test]
async fn a_look_that_changes_nothing_writes_nothing_and_a_tuning_one_file() -> TestResult {
    let broker = Broker::shared().await?;
    let mut stage = Stage::set("requests").await?;
    let address = stage.admin_address().await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let topic = unique("orders");
    // It sends nothing, so nothing that it counts changes.
    let spec = format!(
        "{{model: WoodOrder, rate: 0, topics: {{orders: {{name: {topic}, partitions: 1}}}}, \
            kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    );
    stage.create::<OrderProducer>("wood", &spec).await?;
    stage.ready("wood", "Running").await;
    let created = settled(&stage, 0, ("create events", 2)).await;
    println!("from create to ready: {created:?}");
    for (request, count) in [
        ("patch serviceaccounts", 1),
        ("patch configmaps", 1),
        ("patch deployments", 1),
        ("create secrets", 1),
    ] {
        assert_eq!(created[request], count, "{request}: {created:?}");
    }
    // One for each step that a person sees: made, rolling, starting, ready, tuned.
    assert!(created["patch orderproducers/status"] <= 8, "{created:?}");

    let quiet = writes(&stage).len();
    let before = reconciles(&address).await?;
    eventually_ok(SOON, "two more looks", async || {
        let now = reconciles(&address).await.map_err(|it| it.to_string())?;
        (now >= before + 2)
            .then_some(())
            .ok_or(format!("{before} and {now}"))
    })
    .await;
    let since = writes(&stage).split_off(quiet);
    // What the pod counted may have been seen for the first time.
    let status = since.iter().filter(|it| it.subresource == "status").count();
    assert!(
        status <= 1 && since.len() == status,
        "{:?}",
        counted(&since)
    );

    let quiet = writes(&stage).len();
    let generation = stage.edit("wood", "{errorRate: 0.5}").await?;
    stage
        .status("wood", "the tuning applied", |status| {
            status.tuned_generation == Some(generation)
                && has(status, "TuningApplied", "True", "Applied")
        })
        .await;
    let edit = settled(&stage, quiet, ("patch orderproducers/status", 1)).await;
    println!("a tuning: {edit:?}");
    // The status tells that it is applied, and where the pod is slow to answer, before that that it is not yet.
    let status = edit["patch orderproducers/status"];
    assert!((1..=2).contains(&status), "{edit:?}");
    assert_eq!((edit["patch configmaps"], edit.len()), (1, 2), "{edit:?}");
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_is_deleted_is_not_fought() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("terminating").await?;
    // Its Lease is elsewhere, so that it goes on.
    let home = cluster.namespace("home").await?;
    let operator = operator_from(&cluster, &namespace, &home).await?.start()?;
    let stage = Stage {
        cluster,
        namespace,
        operator,
    };
    let _node = stage.idle_node().await?;
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(1))
        .await;
    // It holds the namespace up, as finalizers of others do.
    let mut producer = stage.api::<OrderProducer>().get("wood").await?;
    producer.metadata.finalizers = Some(vec!["example.com/held".to_owned()]);
    producer.metadata.managed_fields = None;
    let api = stage.api::<OrderProducer>();
    api.replace("wood", &kube::api::PostParams::default(), &producer)
        .await?;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(stage.cluster.client()?);
    namespaces
        .delete(stage.namespace.name(), &DeleteParams::default())
        .await?;
    eventually_ok(SOON, "no Deployment", async || {
        match stage.api::<Deployment>().get_opt("wood-producer").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // A child that goes away is looked at once; what is fought for would come again and again.
    let mut before = writes(&stage).len();
    eventually_ok(SOON, "five seconds without a write", async || {
        // Nothing will happen, which can only be seen by waiting.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = writes(&stage);
        let since = after.len() - before;
        let counts = counted(&after[before..]);
        before = after.len();
        if since == 0 {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await;
    api.patch(
        "wood",
        &kube::api::PatchParams::default(),
        &kube::api::Patch::Merge(serde_json::json!({"metadata": {"finalizers": null}})),
    )
    .await?;
    Ok(())
}
