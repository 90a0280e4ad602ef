//! The harness's own control plane.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Error};
use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Identity, run_kubectl};
use serde_json::json;

use super::support::{SOON, configmap, create, deployment, producer};
use ordermill_tests::wait::eventually;

#[tokio::test]
async fn the_api_server_returns_with_its_data() -> TestResult {
    let mut cluster = Cluster::start().await?;
    let (url, client) = (cluster.url().to_owned(), cluster.client()?);
    let namespace = cluster.namespace("kept").await?;
    cluster.kill_api_server()?;
    let namespaces: Api<Namespace> = Api::all(client);
    assert!(namespaces.get(namespace.name()).await.is_err());
    cluster.restart_api_server().await?;
    assert_eq!(cluster.url(), url);
    // The same client: it connects anew.
    namespaces.get(namespace.name()).await?;
    // The controllers have waited for it.
    cluster.namespace("next").await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_is_deleted_after_its_test() -> TestResult {
    let cluster = Cluster::start().await?;
    let first = cluster.namespace("first").await?;
    let name = first.name().to_owned();
    drop(first);
    let second = cluster.namespace("second").await?;
    let namespaces: Api<Namespace> = Api::all(second.client());
    eventually(SOON, "the end of the first namespace", async || {
        matches!(namespaces.get_opt(&name).await, Ok(None)).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn others_have_the_rights_they_are_given() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("rights").await?;
    cluster
        .kubectl([
            "create",
            "serviceaccount",
            "reader",
            "--namespace",
            namespace.name(),
        ])
        .await?;
    for identity in [
        Identity::service_account(namespace.name(), "reader"),
        Identity::user("alice"),
        Identity::User {
            name: "bob".to_owned(),
            groups: vec!["readers".to_owned()],
        },
    ] {
        let maps: Api<ConfigMap> =
            Api::namespaced(cluster.client_as(&identity).await?, namespace.name());
        let refused = maps.list(&ListParams::default()).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Api(status) if status.code == 403),
            "{identity:?}: {refused}"
        );
        let subject = match &identity {
            Identity::ServiceAccount { namespace, name } => {
                format!("--serviceaccount={namespace}:{name}")
            }
            Identity::User { name, groups } if groups.is_empty() => format!("--user={name}"),
            Identity::User { groups, .. } => format!("--group={}", groups[0]),
        };
        let binding = subject.replace(['-', '=', ':'], "");
        cluster
            .kubectl([
                "create",
                "rolebinding",
                &binding,
                "--clusterrole=view",
                &subject,
                "--namespace",
                namespace.name(),
            ])
            .await?;
        eventually(SOON, "the right to list", async || {
            maps.list(&ListParams::default()).await.ok()
        })
        .await;
        let created = maps
            .create(&PostParams::default(), &configmap("refused", &[]))
            .await;
        assert!(created.is_err(), "{identity:?} may only look");
        let kubeconfig = cluster.kubeconfig_as(&identity).await?;
        let can = cluster
            .kubectl_launch()
            .env("KUBECONFIG", kubeconfig)
            .args([
                "auth",
                "can-i",
                "list",
                "configmaps",
                "--namespace",
                namespace.name(),
            ]);
        assert_eq!(run_kubectl(can).await?.trim(), "yes");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_counted() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("audit").await?;
    let maps: Api<ConfigMap> = namespace.api();
    for name in ["one", "two"] {
        maps.create(&PostParams::default(), &configmap(name, &[]))
            .await?;
    }
    cluster
        .kubectl(["get", "configmap", "one", "--namespace", namespace.name()])
        .await?;
    // The log is written after the answer.
    let events = eventually(SOON, "three requests in the log", async || {
        let mut events = cluster.audit_events().ok()?;
        events
            .retain(|event| event.namespace == namespace.name() && event.resource == "configmaps");
        (events.len() == 3).then_some(events)
    })
    .await;
    let created: Vec<_> = events
        .iter()
        .filter(|event| event.verb == "create" && event.code == 201)
        .collect();
    assert_eq!(created.len(), 2);
    let [got] = &events
        .iter()
        .filter(|event| event.verb == "get")
        .collect::<Vec<_>>()[..]
    else {
        panic!("{events:?}")
    };
    assert!(got.user_agent.starts_with("kubectl/"), "{got:?}");
    assert_eq!((got.name.as_str(), got.user.as_str()), ("one", "admin"));
    Ok(())
}

#[tokio::test]
async fn pods_must_keep_to_the_restricted_standard() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("restricted").await?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": "root", "securityContext": {"runAsUser": 0}}]},
    }))?;
    let refused = namespace
        .api::<Pod>()
        .create(&PostParams::default(), &pod)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_resource_owns_goes_with_it() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("garbage").await?;
    let producers: Api<OrderProducer> = namespace.api();
    let owner = producers
        .create(&PostParams::default(), &producer("customer"))
        .await?;
    let mut child: Deployment = deployment("child", json!({}));
    child.metadata.owner_references = Some(vec![
        kube::Resource::controller_owner_ref(&owner, &()).unwrap(),
    ]);
    create(&namespace, &child).await?;
    let pods: Api<Pod> = namespace.api();
    eventually(SOON, "the Deployment's pod", async || {
        (!pods
            .list(&ListParams::default())
            .await
            .ok()?
            .items
            .is_empty())
        .then_some(())
    })
    .await;
    producers
        .delete("customer", &DeleteParams::default())
        .await?;
    let deployments: Api<Deployment> = namespace.api();
    eventually(SOON, "the end of the Deployment", async || {
        matches!(deployments.get_opt("child").await, Ok(None)).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn strimzis_resources_are_served() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_strimzi_crds().await?;
    let namespace = cluster.namespace("strimzi").await?;
    let topic = json!({
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": "orders", "labels": {"strimzi.io/cluster": "shop"}},
        "spec": {"partitions": 3, "replicas": 1},
    });
    let file = cluster.folder().join(format!("{namespace}.json"));
    std::fs::write(&file, topic.to_string())?;
    let file = file.to_string_lossy();
    cluster
        .kubectl([
            "apply",
            "--server-side",
            "--namespace",
            namespace.name(),
            "--filename",
            &*file,
        ])
        .await?;
    let table = cluster
        .kubectl([
            "get",
            "kafkatopics,kafkas,kafkausers,kafkanodepools",
            "--namespace",
            namespace.name(),
        ])
        .await?;
    assert!(table.contains("orders   shop      3"), "{table}");
    Ok(())
}

#[tokio::test]
async fn a_failed_kubectl_tells_why() -> TestResult {
    let cluster = Cluster::shared().await?;
    let error = cluster.kubectl(["get", "unicorns"]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the server doesn't have a resource type \"unicorns\""),
        "{error}"
    );
    Ok(())
}
