//! What the operator may do: in one namespace it needs no right outside of it.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, PostParams};
use ordermill_crds::{Backend, OrderProducer};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Identity, Node};
use ordermill_tests::process::Program;
use serde_json::json;

use super::stage::{Stage, has};

fn role() -> serde_json::Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let children = ["get", "list", "watch", "create", "patch", "delete"];
    json!({"metadata": {"name": "operator"}, "rules": [
        rule("ordermill.dev", &["orderproducers", "streamconsumers", "workers", "backends"], &["list", "watch"]),
        rule("ordermill.dev", &["orderproducers/status", "streamconsumers/status", "workers/status", "backends/status"], &["patch"]),
        rule("", &["serviceaccounts", "configmaps", "persistentvolumeclaims", "services"], &children),
        rule("apps", &["deployments"], &children),
        rule("batch", &["jobs"], &children),
        rule("policy", &["poddisruptionbudgets"], &children),
        rule("networking.k8s.io", &["networkpolicies"], &children),
        rule("", &["pods"], &["list", "watch", "patch"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("coordination.k8s.io", &["leases"], &["create", "get", "update"]),
        rule("", &["secrets"], &["create"]),
        json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ordermill-tuning-keys"], "verbs": ["get", "update"]}),
    ]})
}

#[tokio::test]
async fn one_namespace_needs_no_right_elsewhere() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("rights").await?;
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "operator"}}))?;
    let role: Role = serde_json::from_value(role())?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace.name()}],
    }))?;
    let parameters = PostParams::default();
    namespace.api().create(&parameters, &account).await?;
    namespace.api().create(&parameters, &role).await?;
    namespace.api().create(&parameters, &binding).await?;
    let identity = Identity::service_account(namespace.name(), "operator");
    let kubeconfig = cluster.kubeconfig_as(&identity).await?;
    let operator = Program::operator()
        .await?
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .args([
            "--namespace",
            namespace.name(),
            "--operator-namespace",
            namespace.name(),
        ])
        .start()?;
    let stage = Stage {
        cluster,
        namespace,
        operator,
    };
    let _node = Node::builder()
        .without_processes()
        .start(&stage.cluster, stage.namespace.name())
        .await?;
    let spec = "{model: WoodOrder, replicas: 2, kafka: {bootstrapServers: 'kafka:9092'}, workload: {networkPolicy: true}}";
    stage.create::<OrderProducer>("wood", spec).await?;
    stage
        .create::<Backend>("stock", "{app: Stock, storage: {size: 1Gi}}")
        .await?;
    stage
        .status("wood", "pods", |status| status.ready_replicas == Some(2))
        .await;
    stage.edit("wood", "{replicas: 1, errorRate: 0.5}").await?;
    stage
        .status("wood", "one pod", |status| {
            status.ready_replicas == Some(1) && !has(status, "Ready", "False", "Refused")
        })
        .await;
    stage
        .api::<OrderProducer>()
        .delete("wood", &DeleteParams::default())
        .await?;

    let mut asked = stage.cluster.audit_events()?;
    let account = format!("system:serviceaccount:{}:operator", stage.namespace.name());
    asked.retain(|event| event.user == account);
    let refused: Vec<_> = asked.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let elsewhere: Vec<_> = asked
        .iter()
        .filter(|event| !event.resource.is_empty() && event.namespace != stage.namespace.name())
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    assert!(
        asked
            .iter()
            .any(|event| event.resource == "deployments" && event.verb == "patch")
    );
    Ok(())
}
