//! Children that somebody edits, deletes or owns, and objects that cannot be read.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use ordermill_crds::{Backend, OrderProducer, Worker};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::Node;
use ordermill_tests::wait::eventually_ok;
use serde_json::json;

use crate::support::stage::{SOON, Stage, has};

const PRODUCER: &str = "{model: WoodOrder, replicas: 2, kafka: {bootstrapServers: 'kafka:9092'}, workload: {networkPolicy: true}}";

async fn stage(prefix: &str) -> TestResult<(Stage, Node)> {
    let stage = Stage::set(prefix).await?;
    let node = stage.idle_node().await?;
    Ok((stage, node))
}

#[tokio::test]
async fn what_a_person_edits_or_deletes_is_restored() -> TestResult {
    let (stage, _node) = stage("restored").await?;
    stage.create::<OrderProducer>("wood", PRODUCER).await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(2))
        .await;
    let name = "wood-producer";
    let deployments = stage.api::<Deployment>();
    let edits = json!({"spec": {"replicas": 7, "template": {"spec": {"containers": [{"name": "workload", "image": "evil:1"}]}}}});
    deployments
        .patch(name, &PatchParams::default(), &Patch::Strategic(edits))
        .await?;
    eventually_ok(SOON, "the Deployment as declared", async || {
        let spec = deployments
            .get(name)
            .await
            .map_err(|it| it.to_string())?
            .spec
            .unwrap();
        let image = spec.template.spec.unwrap().containers[0]
            .image
            .clone()
            .unwrap();
        let as_declared = spec.replicas == Some(2) && image.starts_with("ordermill-workload:");
        if as_declared {
            Ok(())
        } else {
            Err(format!("{:?} {image}", spec.replicas))
        }
    })
    .await;
    macro_rules! deleted_comes_back {
        ($($kind:ty),*) => {$({
            let api = stage.api::<$kind>();
            let uid = api.get(name).await?.metadata.uid;
            api.delete(name, &DeleteParams::default()).await?;
            eventually_ok(SOON, stringify!($kind), async || {
                let there = api.get(name).await.map_err(|it| it.to_string())?.metadata.uid;
                if there == uid { Err("the old one".to_owned()) } else { Ok(()) }
            })
            .await;
        })*};
    }
    deleted_comes_back!(
        ConfigMap,
        ServiceAccount,
        PodDisruptionBudget,
        NetworkPolicy,
        Deployment
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_declared_any_more_goes() -> TestResult {
    let (stage, _node) = stage("orphans").await?;
    stage.create::<OrderProducer>("wood", PRODUCER).await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(2))
        .await;
    stage
        .edit("wood", "{replicas: 1, workload: {networkPolicy: false}}")
        .await?;
    let (budgets, policies) = (
        stage.api::<PodDisruptionBudget>(),
        stage.api::<NetworkPolicy>(),
    );
    eventually_ok(SOON, "neither budget nor policy", async || {
        let budget = budgets
            .get_opt("wood-producer")
            .await
            .map_err(|it| it.to_string())?;
        let policy = policies
            .get_opt("wood-producer")
            .await
            .map_err(|it| it.to_string())?;
        if budget.is_none() && policy.is_none() {
            Ok(())
        } else {
            Err("still there".to_owned())
        }
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_backend_may_keep_its_data_elsewhere() -> TestResult {
    let (stage, _node) = stage("databases").await?;
    let database = "{secret: {name: databases, key: orders}}";
    let rolls = async |strategy: &str| {
        eventually_ok(SOON, strategy, async || {
            let deployment = stage.api::<Deployment>().get("order-backend").await;
            let spec = deployment.map_err(|error| error.to_string())?.spec.unwrap();
            let found = spec.strategy.unwrap().type_;
            (found.as_deref() == Some(strategy))
                .then_some(())
                .ok_or(format!("{found:?}"))
        })
        .await;
    };
    // A file in a pod is one pod's; a server is every pod's.
    stage.create::<Backend>("order", "{app: Order}").await?;
    rolls("Recreate").await;
    for (database, strategy) in [(database, "RollingUpdate"), ("null", "Recreate")] {
        let spec = format!("{{database: {database}}}");
        stage.edit_of::<Backend>("order", &spec).await?;
        rolls(strategy).await;
    }
    Ok(())
}

#[tokio::test]
async fn what_somebody_else_owns_is_left_and_told() -> TestResult {
    let (stage, _node) = stage("foreign").await?;
    let mine: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "wood-producer"}, "data": {"precious": "yes"}
    }))?;
    let config_maps = stage.api::<ConfigMap>();
    config_maps.create(&PostParams::default(), &mine).await?;
    stage.create::<OrderProducer>("wood", PRODUCER).await?;
    stage
        .not_ready_because(
            "wood",
            "NameTaken",
            "ConfigMap wood-producer belongs to nobody that it names",
        )
        .await;
    assert_eq!(config_maps.get("wood-producer").await?.data, mine.data);
    config_maps
        .delete("wood-producer", &DeleteParams::default())
        .await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(2))
        .await;
    Ok(())
}

#[tokio::test]
async fn a_backend_is_found_by_name_and_waited_for() -> TestResult {
    let (stage, _node) = stage("backends").await?;
    stage
        .create::<Worker>("manager", "{task: OrderManagement}")
        .await?;
    let status = stage
        .status_of::<Worker>("manager", "a missing backend", |status| {
            has(status, "Ready", "False", "BackendNotFound")
        })
        .await;
    assert!(crate::support::stage::message(&status, "Ready").contains("there is no Backend order"));
    stage.create::<Backend>("order", "{app: Order}").await?;
    stage
        .create::<Backend>("stock", "{app: Stock, port: 6001}")
        .await?;
    stage
        .status_of::<Worker>("manager", "pods", |status| status.ready_replicas == Some(1))
        .await;
    let config_map = stage.api::<ConfigMap>().get("manager-worker").await?;
    let document = &config_map.data.unwrap()["workload.json"];
    let namespace = stage.namespace.name();
    for url in [
        format!("http://order-backend.{namespace}.svc.cluster.local:5000"),
        format!("http://stock-backend.{namespace}.svc.cluster.local:6001"),
    ] {
        assert!(document.contains(&url), "{url} in {document}");
    }
    let service = stage.api::<Service>().get("stock-backend").await?;
    assert_eq!(service.spec.unwrap().ports.unwrap()[0].port, 6001);
    let status = stage
        .status_of::<Backend>("stock", "ready", |status| {
            has(status, "Ready", "True", "Running")
        })
        .await;
    // Nobody is to lose orders without having been told.
    assert!(
        crate::support::stage::message(&status, "Ready").contains("its data ends with its pod")
    );
    Ok(())
}
