//! Objects that several tests make.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;
use kube::api::PostParams;
use ordermill_crds::OrderProducer;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// For what takes a moment, also on a machine that compiles meanwhile.
pub const SOON: Duration = Duration::from_mins(1);

/// Runs kubectl in a namespace.
pub async fn kubectl(
    cluster: &Cluster,
    namespace: &Namespace,
    arguments: &[&str],
) -> TestResult<String> {
    let place = ["--namespace", namespace.name()];
    Ok(cluster.kubectl(arguments.iter().chain(&place)).await?)
}

/// Stores a new object.
pub async fn create<K>(namespace: &Namespace, object: &K) -> TestResult<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    Ok(namespace
        .api()
        .create(&PostParams::default(), object)
        .await?)
}

/// A `ConfigMap` with these files.
pub fn configmap(name: &str, files: &[(&str, &str)]) -> ConfigMap {
    let data: Value = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(text)))
        .collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
}

/// The smallest `OrderProducer`.
pub fn producer(name: &str) -> OrderProducer {
    serde_json::from_value(json!({
        "apiVersion": "ordermill.dev/v1alpha1",
        "kind": "OrderProducer",
        "metadata": {"name": name},
        "spec": {"model": "WoodOrder"},
    }))
    .unwrap()
}

/// A pod's spec that the restricted standard allows, with one container that has these fields besides.
pub fn pod_spec(container: Value) -> Value {
    let mut whole = json!({
        "name": "workload",
        "image": "ordermill-workload",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    let Value::Object(fields) = container else {
        panic!("{container}")
    };
    whole.as_object_mut().unwrap().extend(fields);
    json!({"containers": [whole], "automountServiceAccountToken": false})
}

/// The labels of the pods that a node runs.
pub fn labels(name: &str) -> Value {
    json!({"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "ordermill"})
}

/// A Deployment of one pod.
pub fn deployment(name: &str, container: Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels(name)},
            "template": {"metadata": {"labels": labels(name)}, "spec": pod_spec(container)},
        },
    }))
    .unwrap()
}
