//! What is in the cluster already: examples as they are, and objects from before today's rules.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use ordermill_crds::{OrderProducer, definitions};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::Cluster;
use ordermill_tests::wait::eventually_ok;
use serde_json::json;

use crate::support::stage::{SOON, Stage, has, message, operator};

/// The definition of `OrderProducer` as it might have been: any text is a model.
fn older() -> TestResult<CustomResourceDefinition> {
    let mut all = definitions()?.into_iter();
    let today = all.find(|definition| definition.spec.names.kind == "OrderProducer");
    let mut older = serde_json::to_value(today)?;
    let spec = &mut older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["model"] = json!({"type": "string"});
    spec.as_object_mut()
        .unwrap()
        .remove("x-kubernetes-validations");
    Ok(serde_json::from_value(older)?)
}

#[tokio::test]
async fn one_from_before_todays_rules_is_told_so_and_the_others_go_on() -> TestResult {
    let cluster = Cluster::start().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client()?);
    let older = older()?;
    let apply = PatchParams::apply("older");
    definitions
        .patch(&older.name_any(), &apply, &Patch::Apply(&older))
        .await?;
    let namespace = cluster.namespace("stored").await?;
    let file = cluster.folder().join("old.yaml");
    std::fs::write(
        &file,
        "{apiVersion: ordermill.dev/v1alpha1, kind: OrderProducer, metadata: {name: old}, spec: {model: Rusks}}",
    )?;
    let file = file.display().to_string();
    let apply = [
        "--namespace",
        namespace.name(),
        "apply",
        "--filename",
        &file,
    ];
    eventually_ok(SOON, "an object under the older definition", async || {
        cluster.kubectl(apply).await.map_err(|it| it.to_string())
    })
    .await;
    cluster.install_crds().await?;
    let operator = operator(&cluster, &namespace).await?.start()?;
    let stage = Stage {
        cluster: cluster.into(),
        namespace,
        operator,
    };
    let _node = stage.idle_node().await?;
    let spec = "{model: WoodOrder, kafka: {bootstrapServers: 'kafka:9092'}}";
    stage.create::<OrderProducer>("good", spec).await?;
    stage
        .status("good", "pods", |status| status.ready_replicas == Some(1))
        .await;
    // It cannot be read as what it is, so it is read as anything.
    let output = "--output=jsonpath={.status.conditions[?(@.type==\"Stalled\")].message}";
    let get = [
        "--namespace",
        stage.namespace.name(),
        "get",
        "oprod/old",
        output,
    ];
    let told = eventually_ok(SOON, "what is wrong with the old one", async || {
        let told = stage
            .cluster
            .kubectl(get)
            .await
            .map_err(|it| it.to_string())?;
        if told.contains("Rusks") {
            Ok(told)
        } else {
            Err(told)
        }
    })
    .await;
    println!("{told}");
    assert!(told.contains("apply it anew"), "{told}");
    Ok(())
}

#[tokio::test]
async fn every_example_becomes_its_pods() -> TestResult {
    let stage = Stage::set_with("examples", |launch| {
        launch.args(["--bootstrap-servers", "kafka:9092"])
    })
    .await?;
    let _node = stage.idle_node().await?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let apply = [
        "--namespace",
        stage.namespace.name(),
        "apply",
        "--recursive",
        "--filename",
        folder,
    ];
    stage.cluster.kubectl(apply).await?;
    let producers = stage
        .api::<OrderProducer>()
        .list(&ListParams::default())
        .await?;
    assert!(producers.items.len() >= 5, "{:?}", producers.items.len());
    for producer in producers {
        let name = producer.name_any();
        let status = stage
            .status(&name, "pods", |status| {
                status.ready_replicas == Some(producer.spec.common.replicas)
            })
            .await;
        assert!(
            !has(&status, "Stalled", "True", "InvalidSpec"),
            "{name}: {}",
            message(&status, "Ready")
        );
    }
    Ok(())
}
