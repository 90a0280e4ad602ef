//! Edits that reach running pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::Node;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, http, unique};
use serde_json::Value;

use crate::support::stage::{SOON, Stage, has};

fn spec(broker: &Broker) -> String {
    let topic = unique("orders");
    format!(
        "{{model: FoodOrder, rate: 20, errorRate: 0.1, topics: {{orderEvents: {{name: {topic}, partitions: 1}}}}, \
            kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    )
}

fn processes(node: &Node) -> BTreeSet<u32> {
    node.running().iter().map(|pod| pod.process).collect()
}

async fn answer(node: &Node) -> TestResult<Value> {
    let pods = node.running();
    let response = http::get(&format!("http://{}/state", pods[0].admin)).await?;
    Ok(serde_json::from_str(&response.body)?)
}

#[tokio::test]
async fn an_edit_reaches_the_running_processes_and_restarts_none() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set("tuning").await?;
    let node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let spec = spec(&broker).replace("rate: 20", "replicas: 2, rate: 20");
    stage.create::<OrderProducer>("food", &spec).await?;
    stage
        .status("food", "two pods", |status| {
            status.ready_replicas == Some(2)
        })
        .await;
    let before = processes(&node);
    for rate in [0.5, 0.2, 0.9] {
        let generation = stage
            .edit("food", &format!("{{errorRate: {rate}}}"))
            .await?;
        let status = stage
            .status("food", "the tuning applied", |status| {
                status.tuned_generation == Some(generation)
                    && has(status, "TuningApplied", "True", "Applied")
            })
            .await;
        assert_eq!(status.observed_generation, Some(generation));
        assert_eq!(answer(&node).await?["generation"], generation);
    }
    assert_eq!(processes(&node), before);
    let config_map = stage.api::<ConfigMap>().get("food-producer").await?;
    let tuning: Value = serde_json::from_str(&config_map.data.unwrap()["tuning.json"])?;
    assert_eq!(tuning["tuning"]["errorRate"], 0.9);

    // A key is not a tuning: it rolls.
    stage.edit("food", "{payloadBytes: 500}").await?;
    eventually_ok(SOON, "other processes", async || {
        let now = processes(&node);
        if now.len() == 2 && now.is_disjoint(&before) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn where_no_push_reaches_the_kubelet_is_asked() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set("nudge").await?;
    let node = Node::builder()
        .unreachable()
        .start(&stage.cluster, stage.namespace.name())
        .await?;
    stage
        .create::<OrderProducer>("food", &spec(&broker))
        .await?;
    stage
        .status("food", "a pod", |status| status.ready_replicas == Some(1))
        .await;
    let before = processes(&node);
    let generation = stage.edit("food", "{errorRate: 0.7}").await?;
    eventually_ok(SOON, "the process runs with the edit", async || {
        let now = answer(&node).await.map_err(|error| error.to_string())?;
        if now["generation"] == generation {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    assert_eq!(processes(&node), before);
    // Nobody told the operator so, and it does not claim it.
    stage
        .status("food", "unknown", |status| {
            has(status, "TuningApplied", "Unknown", "PodsUnreachable")
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_new_signing_key_restarts_nothing_and_the_next_edit_is_taken() -> TestResult {
    let broker = Broker::shared().await?;
    let stage =
        Stage::set_with("keys", |launch| launch.args(["--key-period-seconds", "3"])).await?;
    let node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    stage
        .create::<OrderProducer>("food", &spec(&broker))
        .await?;
    stage.ready("food", "Running").await;
    let before = processes(&node);
    let keys = async || -> TestResult<usize> {
        let secret = stage.api::<Secret>().get("ordermill-tuning-keys").await?;
        Ok(secret.data.unwrap_or_default().len())
    };
    eventually_ok(SOON, "three keys", async || {
        let keys = keys().await.map_err(|error| error.to_string())?;
        if keys == 3 {
            Ok(())
        } else {
            Err(keys.to_string())
        }
    })
    .await;
    let generation = stage.edit("food", "{errorRate: 0.7}").await?;
    stage
        .status("food", "the tuning applied", |status| {
            status.tuned_generation == Some(generation)
        })
        .await;
    assert_eq!(processes(&node), before);
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_replaced_begins_with_the_newest_tuning() -> TestResult {
    let broker = Broker::shared().await?;
    let stage = Stage::set("replaced").await?;
    let node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    stage
        .create::<OrderProducer>("food", &spec(&broker))
        .await?;
    stage.ready("food", "Running").await;
    let generation = stage.edit("food", "{errorRate: 0.7}").await?;
    stage
        .status("food", "the tuning applied", |status| {
            status.tuned_generation == Some(generation)
        })
        .await;
    let before = processes(&node);
    let pods = stage.api::<k8s_openapi::api::core::v1::Pod>();
    pods.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    eventually_ok(SOON, "another process", async || {
        let now = processes(&node);
        if now.len() == 1 && now.is_disjoint(&before) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    eventually_ok(SOON, "its state", async || {
        let now = answer(&node).await.map_err(|error| error.to_string())?;
        if now["generation"] == generation {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    Ok(())
}
