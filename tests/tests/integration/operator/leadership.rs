//! Two operators, one that dies, one that is cut off, one that is asked to end.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace};
use ordermill_tests::wait::eventually_ok;

use crate::support::stage::{SOON, Stage, operator};

const SPEC: &str = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";

async fn holder(namespace: &Namespace) -> Option<String> {
    let lease = namespace
        .api::<Lease>()
        .get("ordermill-operator")
        .await
        .ok()?;
    lease.spec?.holder_identity
}

async fn some_holder(namespace: &Namespace) -> String {
    eventually_ok(SOON, "a leader", async || {
        holder(namespace).await.ok_or("nobody leads")
    })
    .await
}

#[tokio::test]
async fn the_second_acts_within_fifteen_seconds_of_the_firsts_death() -> TestResult {
    let mut stage = Stage::set("takeover").await?;
    let _node = stage.idle_node().await?;
    let first = some_holder(&stage.namespace).await;
    let mut second = operator(&stage.cluster, &stage.namespace).await?.start()?;
    second.wait_for_line(SOON, "another operator leads").await?;
    stage.create::<OrderProducer>("one", SPEC).await?;
    stage
        .status("one", "pods", |status| status.ready_replicas == Some(1))
        .await;
    stage.operator.kill()?;
    let died = Instant::now();
    stage.create::<OrderProducer>("two", SPEC).await?;
    eventually_ok(SOON, "the ConfigMap of the second resource", async || {
        stage.api::<ConfigMap>().get("two-producer").await
    })
    .await;
    let took = died.elapsed();
    println!("the second operator acted {took:.1?} after the death of the first");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_ne!(some_holder(&stage.namespace).await, first);
    Ok(())
}

#[tokio::test]
async fn one_that_is_asked_to_end_gives_the_lease_back_and_ends_well() -> TestResult {
    let mut stage = Stage::set("asked").await?;
    let line = "this operator leads";
    stage.operator.wait_for_line(SOON, line).await?;
    stage.create::<OrderProducer>("one", SPEC).await?;
    stage.operator.terminate()?;
    let _exit = stage.operator.wait(SOON).await?.assert_code(0);
    assert_eq!(holder(&stage.namespace).await, None);
    Ok(())
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ends_and_its_successor_converges() -> TestResult {
    let mut cluster = Cluster::start().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("cut").await?;
    let mut leader = operator(&cluster, &namespace).await?.start()?;
    // Not its Lease: the API server's answer may be on its way yet, and who has not got it does not lead.
    leader.wait_for_line(SOON, "this operator leads").await?;
    cluster.kill_api_server()?;
    let cut = Instant::now();
    let exit = leader.wait(SOON).await?;
    println!(
        "the leader ended {:.1?} after the API server",
        cut.elapsed()
    );
    assert!(
        cut.elapsed() < Duration::from_secs(10),
        "its Lease may be another's by then"
    );
    let _exit = exit.assert_code(1);
    // One that starts meanwhile waits.
    let mut next = operator(&cluster, &namespace).await?.start()?;
    next.wait_for_line(SOON, "waiting for the API server")
        .await?;
    cluster.restart_api_server().await?;
    let producers = namespace.api::<OrderProducer>();
    let spec: serde_json::Value = serde_yaml::from_str(SPEC)?;
    let producer: OrderProducer = serde_json::from_value(serde_json::json!({
        "apiVersion": "ordermill.dev/v1alpha1", "kind": "OrderProducer", "metadata": {"name": "late"}, "spec": spec,
    }))?;
    producers
        .create(&kube::api::PostParams::default(), &producer)
        .await?;
    eventually_ok(SOON, "the ConfigMap", async || {
        namespace.api::<ConfigMap>().get("late-producer").await
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn before_the_definitions_are_there_it_waits() -> TestResult {
    let cluster = Cluster::start().await?;
    let namespace = cluster.namespace("bare").await?;
    let mut operator = operator(&cluster, &namespace).await?.start()?;
    operator
        .wait_for_line(SOON, "waiting for the definitions of OrderProducer")
        .await?;
    cluster.install_crds().await?;
    operator.wait_for_line(SOON, "this operator leads").await?;
    Ok(())
}
