//! What servers as pods have in common.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Error;
use crate::kubernetes::{self, Namespace};
use crate::wait::until;

/// A server on a machine that is busy with other pods.
const READY_DEADLINE: Duration = Duration::from_mins(3);

/// A pod of this name with one container, which keeps its data in `/data` as long as the pod is there.
pub(super) fn pod(name: &str, container: &Value, port: i32) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "fsGroup": 1001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "settings", "configMap": {"name": name}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    });
    let container = &mut pod["spec"]["containers"][0];
    container["name"] = json!(name);
    container["imagePullPolicy"] = json!("Never");
    container["readinessProbe"] = json!({"tcpSocket": {"port": port}, "periodSeconds": 1});
    container["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    container["volumeMounts"] = json!([
        {"name": "settings", "mountPath": "/etc/server"},
        {"name": "data", "mountPath": "/data"},
    ]);
    pod
}

/// The files of a pod, in `/etc/server`.
pub(super) fn settings(name: &str, files: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files})
}

/// A Service for the pod of its name, with a port of the node for each of its own.
pub(super) fn service(name: &str, ports: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "NodePort",
            "selector": {"app": name},
            // A server is asked for before it is ready by those who wait for it.
            "publishNotReadyAddresses": true,
            "ports": ports,
        },
    })
}

/// The port of the node that leads to a port of a Service.
pub(super) fn node_port(service: &Service, port: i32) -> Result<i32, Error> {
    let spec = service.spec.as_ref();
    let mut ports = spec
        .into_iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let found = ports.find(|it| it.port == port).and_then(|it| it.node_port);
    found.ok_or_else(|| Error::NoNodePort(service.metadata.name.clone().unwrap_or_default()))
}

/// Waits until a pod is ready after so many restarts.
pub(super) async fn ready(pods: &Api<Pod>, name: &str, restarts: i32) -> Result<(), Error> {
    let ready = until(READY_DEADLINE, async || {
        let pod = pods.get(name).await.map_err(|error| error.to_string())?;
        let status = pod.status.unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let serves = containers
            .iter()
            .any(|container| container.ready && container.restart_count >= restarts);
        serves.then_some(()).ok_or(format!("{containers:?}"))
    });
    ready.await.map_err(|timed_out| {
        Error::Kubernetes(kubernetes::Error::Waiting {
            what: "a server in a pod",
            why: format!("{name}: {timed_out}"),
        })
    })
}

pub(super) async fn create<K>(namespace: &Namespace, object: Value) -> Result<K, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).map_err(kubernetes::Error::Json)?;
    let created = namespace
        .api()
        .create(&PostParams::default(), &object)
        .await;
    Ok(created.map_err(kubernetes::Error::client("making a server"))?)
}
