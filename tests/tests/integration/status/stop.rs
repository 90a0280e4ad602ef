//! Everything is paused at once, and comes back as it was.

use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::http;
use ordermill_tests::kubernetes::{Identity, Node};
use ordermill_tests::wait::eventually_ok;
use serde_json::Value;

use super::command::run;
use super::rights::may;
use super::show::running_producer;
use crate::support::stage::{SOON, Stage};

const KAFKA: &str = "kafka: {bootstrapServers: '127.0.0.1:1'}";

/// Events that the one running process has sent.
async fn sent(node: &Node) -> TestResult<i64> {
    let response = http::get(&format!("http://{}/state", node.running()[0].admin)).await?;
    let state: Value = serde_json::from_str(&response.body)?;
    Ok(state["observed"]["events"].as_i64().unwrap())
}

async fn spec(stage: &Stage, name: &str) -> TestResult<Value> {
    let producer = stage.api::<OrderProducer>().get(name).await?;
    Ok(serde_json::to_value(producer.spec)?)
}

#[tokio::test]
async fn stop_pauses_what_works_and_start_brings_back_only_that() -> TestResult {
    let stage = Stage::set("stop").await?;
    let node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let (kubeconfig, namespace) = (stage.cluster.kubeconfig(), stage.namespace.name());
    let _broker = running_producer(&stage, "food").await?;
    let paused = format!("{{model: WoodOrder, paused: true, replicas: 0, {KAFKA}}}");
    stage.create::<OrderProducer>("paused", &paused).await?;
    let before = node.running();

    let stopped = run(&kubeconfig, &["stop", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    assert_eq!(
        stopped,
        "OrderProducer/food: paused\nOrderProducer/paused: was paused already\n1 paused, 1 paused already\n"
    );
    stage.ready("food", "Paused").await;
    let at_rest = sent(&node).await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        sent(&node).await?,
        at_rest,
        "it sends although it is paused"
    );
    assert_eq!(node.running(), before, "the pods stay");

    let again = run(&kubeconfig, &["stop", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    assert!(again.ends_with("0 paused, 2 paused already\n"), "{again}");

    let started = run(&kubeconfig, &["start", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    assert!(
        started.starts_with("OrderProducer/food: started\nOrderProducer/paused: stays paused"),
        "{started}"
    );
    eventually_ok(SOON, "events again", async || {
        let now = sent(&node).await.map_err(|error| error.to_string())?;
        if now > at_rest {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    let food = stage.api::<OrderProducer>().get("food").await?;
    assert!(
        !food
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("ordermill.dev/stopped-at")
    );
    assert_eq!(
        spec(&stage, "food").await?["paused"],
        Value::Null,
        "nobody owns the field"
    );
    assert_eq!(spec(&stage, "paused").await?["paused"], true);

    let named = ["start", "oprod/paused", "oprod/none", "-n", namespace];
    let named = run(&kubeconfig, &named).await?.assert_code(1);
    assert!(
        named.stdout.contains("OrderProducer/paused: started\n"),
        "{}",
        named.stdout
    );
    assert!(
        named.stderr.contains("there is no OrderProducer/none"),
        "{}",
        named.stderr
    );
    assert_eq!(spec(&stage, "paused").await?["paused"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn an_apply_that_says_nothing_of_it_leaves_the_pause() -> TestResult {
    let stage = Stage::set("apply").await?;
    let (kubeconfig, namespace) = (stage.cluster.kubeconfig(), stage.namespace.name());
    let file = stage
        .cluster
        .folder()
        .join(ordermill_tests::unique("manifest"));
    let apply = async |way: &str, paused: &str| {
        let manifest = format!(
            "{{apiVersion: ordermill.dev/v1alpha1, kind: OrderProducer, metadata: {{name: wood}}, \
                spec: {{model: WoodOrder, {KAFKA}{paused}}}}}"
        );
        std::fs::write(&file, manifest).unwrap();
        let file = file.to_string_lossy().into_owned();
        let arguments = ["apply", way, "-f", &file, "-n", namespace];
        stage.cluster.kubectl(arguments).await
    };
    for way in ["--server-side=false", "--server-side=true"] {
        apply(way, "").await?;
        let _ = run(&kubeconfig, &["stop", "oprod/wood", "-n", namespace])
            .await?
            .assert_code(0);
        apply(way, "").await?;
        assert_eq!(spec(&stage, "wood").await?["paused"], true, "{way}");
        let against = apply(way, ", paused: false").await;
        if way == "--server-side=true" {
            let told = format!("{:?}", against.unwrap_err());
            assert!(
                told.contains("conflict") && told.contains("ordermill-cli"),
                "{told}"
            );
        } else {
            against?;
            assert_eq!(spec(&stage, "wood").await?["paused"], false);
        }
        let _ = run(&kubeconfig, &["start", "-n", namespace])
            .await?
            .assert_code(0);
        // Whoever declares it next has it.
        apply(way, ", paused: true").await?;
        apply(way, "").await?;
        assert_eq!(spec(&stage, "wood").await?["paused"], Value::Null, "{way}");
        stage
            .cluster
            .kubectl(["delete", "oprod/wood", "-n", namespace])
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_changed_is_named() -> TestResult {
    let stage = Stage::set("refused").await?;
    let spec = format!("{{model: WoodOrder, {KAFKA}}}");
    stage.create::<OrderProducer>("one", &spec).await?;
    stage.create::<OrderProducer>("two", &spec).await?;
    let namespace = stage.namespace.name();
    may(&stage, "reader", &["get", "list"], &["*"], &[]).await?;
    may(
        &stage,
        "reader-of-one",
        &["patch"],
        &["orderproducers"],
        &["one"],
    )
    .await?;
    let reader = Identity::user("reader");
    super::rights::bind(&stage, "reader", "reader").await?;
    super::rights::bind(&stage, "reader-of-one", "reader").await?;
    let kubeconfig = stage.cluster.kubeconfig_as(&reader).await?;
    let stopped = run(&kubeconfig, &["stop", "-n", namespace])
        .await?
        .assert_code(1);
    assert!(
        stopped
            .stdout
            .contains("OrderProducer/one: paused\n1 paused, 1 failed\n"),
        "{}",
        stopped.stdout
    );
    assert!(
        stopped.stderr.contains("OrderProducer/two in namespace"),
        "{}",
        stopped.stderr
    );
    assert!(stopped.stderr.contains("you may not"), "{}", stopped.stderr);
    Ok(())
}
