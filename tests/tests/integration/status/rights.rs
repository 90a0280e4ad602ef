//! What people with few rights get.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Identity, Node};
use ordermill_tests::wait::eventually_ok;
use serde_json::json;

use super::command::run;
use super::show::running_producer;
use crate::support::stage::{SOON, Stage};

/// Makes a role over our kinds.
pub async fn may(
    stage: &Stage,
    role: &str,
    verbs: &[&str],
    resources: &[&str],
    names: &[&str],
) -> TestResult {
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": role},
        "rules": [{"apiGroups": ["ordermill.dev"], "resources": resources, "resourceNames": names, "verbs": verbs}],
    }))?;
    stage
        .api::<Role>()
        .create(&PostParams::default(), &role)
        .await?;
    Ok(())
}

/// Gives a role to a user, and waits until the API server follows it.
pub async fn bind(stage: &Stage, role: &str, user: &str) -> TestResult {
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": format!("{role}-{user}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }))?;
    stage
        .api::<RoleBinding>()
        .create(&PostParams::default(), &binding)
        .await?;
    let rules = stage.api::<Role>().get(role).await?.rules;
    let granted = &rules.ok_or("a role without rules")?[0];
    let first = |values: &Option<Vec<String>>| values.iter().flatten().next().cloned();
    let review: SubjectAccessReview = serde_json::from_value(json!({
        "metadata": {},
        "spec": {"user": user, "resourceAttributes": {
            "namespace": stage.namespace.name(), "group": first(&granted.api_groups), "resource": first(&granted.resources),
            "name": first(&granted.resource_names), "verb": granted.verbs[0],
        }},
    }))?;
    let reviews: Api<SubjectAccessReview> = Api::all(stage.namespace.client());
    eventually_ok(SOON, "a right that is in force", async || {
        let answer = reviews.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|error| error.to_string())?.status;
        let status = status.ok_or("no answer")?;
        status
            .allowed
            .then_some(())
            .ok_or_else(|| status.reason.unwrap_or_default())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_reader_of_our_kinds_alone_has_a_status_and_is_told_the_rest() -> TestResult {
    let stage = Stage::set("reader").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let _broker = running_producer(&stage, "food").await?;
    may(&stage, "reader", &["get", "list", "watch"], &["*"], &[]).await?;
    bind(&stage, "reader", "reader").await?;
    let kubeconfig = stage
        .cluster
        .kubeconfig_as(&Identity::user("reader"))
        .await?;
    let namespace = stage.namespace.name();

    let shown = run(&kubeconfig, &["status", "-n", namespace])
        .await?
        .assert_code(0);
    assert!(
        shown.stdout.ends_with("1 resource, ready\n"),
        "{}",
        shown.stdout
    );
    let one = run(&kubeconfig, &["status", "oprod/food", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    assert!(one.contains("TuningApplied  True"), "{one}");
    assert!(
        one.contains("note: not shown: pods: you may not list pods in namespace"),
        "{one}"
    );
    assert!(
        one.contains("note: not shown: events: you may not list events in namespace"),
        "{one}"
    );

    let everywhere = run(&kubeconfig, &["status", "-A"]).await?.assert_code(1);
    assert!(
        everywhere
            .stderr
            .contains("list orderproducers in any namespace: you may not"),
        "{}",
        everywhere.stderr
    );
    assert!(everywhere.stderr.contains("-n"), "{}", everywhere.stderr);
    Ok(())
}

#[tokio::test]
async fn a_reader_of_some_kinds_sees_these() -> TestResult {
    let stage = Stage::set("some").await?;
    may(&stage, "some", &["list"], &["orderproducers"], &[]).await?;
    bind(&stage, "some", "some").await?;
    let kubeconfig = stage.cluster.kubeconfig_as(&Identity::user("some")).await?;
    let namespace = stage.namespace.name();
    let shown = run(&kubeconfig, &["status", "-n", namespace])
        .await?
        .assert_code(0)
        .stdout;
    assert!(
        shown.contains("note: not shown: list workers in namespace"),
        "{shown}"
    );
    Ok(())
}
