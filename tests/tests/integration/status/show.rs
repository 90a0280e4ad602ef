//! What `ordermill status` shows of something that runs.

use std::sync::Arc;

use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::Node;
use ordermill_tests::process::Signal;
use ordermill_tests::unique;
use serde_json::Value;

use super::command::{command, run};
use crate::support::stage::{SOON, Stage};

/// A producer that sends 20 events a second to a real Kafka, which is kept by what is returned.
pub async fn running_producer(stage: &Stage, name: &str) -> TestResult<Arc<Broker>> {
    let broker = Broker::shared().await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: FoodOrder, rate: 20, errorRate: 0.25, topics: {{orderEvents: {{name: {topic}, partitions: 1}}}}, \
            kafka: {{bootstrapServers: '{}'}}}}",
        broker.bootstrap()
    );
    stage.create::<OrderProducer>(name, &spec).await?;
    stage
        .status(name, "events", |status| {
            status
                .observed
                .as_ref()
                .is_some_and(|it| it.events > Some(0))
                && status.conditions.iter().any(|it| it.reason == "Running")
        })
        .await;
    Ok(broker)
}

#[tokio::test]
async fn a_running_producer_is_shown_on_one_line_and_in_full() -> TestResult {
    let stage = Stage::set("show").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let _broker = running_producer(&stage, "food").await?;
    let (kubeconfig, namespace) = (stage.cluster.kubeconfig(), stage.namespace.name());
    let label = [
        "label",
        "oprod/food",
        "app.kubernetes.io/part-of=food-ordering",
        "-n",
        namespace,
    ];
    stage.cluster.kubectl(label).await?;

    let shown = run(&kubeconfig, &["status", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(
        lines[0],
        format!("System food-ordering, namespace {namespace}"),
        "{shown}"
    );
    let cells: Vec<_> = lines[2].split_whitespace().take(4).collect();
    assert_eq!(
        cells,
        ["OrderProducer/food", "Running", "1/1", "20/s"],
        "{shown}"
    );
    assert!(lines[2].contains(" 25% "), "{shown}");
    assert_eq!(lines.last(), Some(&"1 resource, ready"), "{shown}");

    let everywhere = run(&kubeconfig, &["status", "-A", "--output", "json"]).await?;
    let everywhere: Value = serde_json::from_str(&everywhere.stdout)?;
    let systems = everywhere["systems"].as_array().unwrap();
    let system = systems
        .iter()
        .find(|it| it["namespace"] == namespace)
        .unwrap();
    let food = &system["resources"][0];
    assert_eq!(
        (&system["name"], &food["kind"], &food["name"]),
        (
            &"food-ordering".into(),
            &"OrderProducer".into(),
            &"food".into()
        )
    );
    assert_eq!(food["declared"]["ratePerSecond"], 20.0);
    assert_eq!(food["declared"]["errorRate"], 0.25);
    assert!(food["observed"]["events"].as_i64().unwrap() > 0, "{food}");
    assert_eq!(food["tuning"]["generation"], food["generation"]);

    for name in ["orderproducers/food", "orderproducer/food", "OPROD/food"] {
        let shown = run(&kubeconfig, &["status", name, "-n", namespace])
            .await?
            .assert_code(0)
            .stdout;
        for part in [
            "OrderProducer/food (FoodOrder)",
            "system food-ordering",
            "TuningApplied  True",
            "Pods by tuning generation: 1 with 1 (newest)",
            "food-producer-",
            "PARTITIONS",
            // What the operator told when it became ready.
            "Running      1",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    let one = run(
        &kubeconfig,
        &["status", "oprod/food", "-n", namespace, "-o", "json"],
    )
    .await?;
    let one: Value = serde_json::from_str(&one.stdout)?;
    let pod = &one["resource"]["pods"][0];
    assert_eq!(
        (&pod["generation"], &pod["ready"]),
        (&1.into(), &true.into()),
        "{one}"
    );
    let events = one["resource"]["events"].as_array().unwrap();
    assert!(events.iter().any(|it| it["reason"] == "Running"), "{one}");

    let none = run(&kubeconfig, &["status", "oprod/drinks", "-n", namespace])
        .await?
        .assert_code(1);
    assert!(
        none.stderr
            .starts_with("error: there is no OrderProducer/drinks in namespace"),
        "{}",
        none.stderr
    );
    Ok(())
}

#[tokio::test]
async fn trouble_ends_with_1_and_is_told_in_words() -> TestResult {
    let stage = Stage::set("trouble").await?;
    let _node = stage.idle_node().await?;
    stage
        .create::<OrderProducer>("wood", "{model: WoodOrder}")
        .await?;
    stage
        .not_ready_because("wood", "KafkaNotConfigured", "bootstrapServers")
        .await;
    let kubeconfig = stage.cluster.kubeconfig();
    let shown = run(&kubeconfig, &["status", "-n", stage.namespace.name()])
        .await?
        .assert_code(1);
    assert!(
        shown.stdout.contains("not ready: KafkaNotConfigured"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("set bootstrapServers or strimzi"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.ends_with("1 resource, not ready\n"),
        "{}",
        shown.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_watch_shows_each_change_until_it_is_ended() -> TestResult {
    let stage = Stage::set("watch").await?;
    let _node = stage.idle_node().await?;
    let (kubeconfig, namespace) = (stage.cluster.kubeconfig(), stage.namespace.name());
    let arguments = ["status", "--watch", "-o", "json", "-n", namespace];
    let mut all = command(&kubeconfig, &arguments).await?.start()?;
    all.wait_for_line(SOON, r#""systems":[]"#).await?;
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    all.wait_for_line(SOON, r#""name":"wood""#).await?;
    stage
        .status("wood", "a pod", |status| status.ready_replicas == Some(1))
        .await;
    all.wait_for_line(SOON, r#""ready":1"#).await?;

    let arguments = ["status", "oprod/wood", "--watch", "-n", namespace];
    let mut one = command(&kubeconfig, &arguments).await?.start()?;
    one.wait_for_line(SOON, "OrderProducer/wood (WoodOrder)")
        .await?;
    let generation = stage.edit("wood", "{replicas: 2}").await?;
    one.wait_for_line(SOON, &format!("generation {generation},"))
        .await?;
    one.wait_for_line(SOON, "2 ready of 2").await?;

    for process in [&mut all, &mut one] {
        process.signal(Signal::INT)?;
        let exit = process.wait(SOON).await?;
        assert_eq!(exit.stderr, "");
        assert!(exit.code().is_some(), "{:?}", exit.status);
    }
    let documents = all.stdout()?;
    let documents: Result<Vec<Value>, _> = documents.lines().map(serde_json::from_str).collect();
    let mut documents = documents?;
    // Nothing is shown twice.
    for document in &mut documents {
        document["asOf"] = Value::Null;
    }
    assert!(documents.windows(2).all(|pair| pair[0] != pair[1]));
    Ok(())
}
