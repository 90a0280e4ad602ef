//! What to run for a pod.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, Probe as PodProbe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::text::{expanded, with_address, with_paths};

/// Where the admin server listens in a container that says nothing of it.
const ADMIN_PORT: u16 = 8081;

/// The variable that tells the workload where its admin server listens.
const ADMIN_ADDRESS: &str = "ADMIN_ADDRESS";

/// The one container of a pod.
pub(super) fn container(pod: &Pod) -> Option<&Container> {
    pod.spec.as_ref()?.containers.first()
}

/// What tells whether a container is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) path: String,
    pub(super) port: u16,
}

/// The readiness probe, if it is one by HTTP.
pub(super) fn readiness(container: &Container) -> Option<Probe> {
    probe(container, container.readiness_probe.as_ref()?)
}

fn probe(container: &Container, probe: &PodProbe) -> Option<Probe> {
    let get = probe.http_get.as_ref()?;
    let number = match &get.port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports
                .find(|port| port.name.as_ref() == Some(name))?
                .container_port
        }
    };
    Some(Probe {
        path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
        port: number.try_into().ok()?,
    })
}

/// The port of the admin server.
pub(super) fn admin_port(container: &Container) -> u16 {
    readiness(container).map_or(ADMIN_PORT, |probe| probe.port)
}

/// How long a pod that is deleted may take.
pub(super) fn grace(pod: &Pod) -> Duration {
    let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

/// Whether a container that ended with this code is to be started again.
pub(super) fn is_restarted(pod: &Pod, exit_code: i32) -> bool {
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref());
    match policy {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// What of a pod makes a kubelet look at its volumes again: a change of its status does not.
pub(super) fn nudge(pod: &Pod) -> impl PartialEq + use<> {
    let metadata = &pod.metadata;
    (
        metadata.labels.clone(),
        metadata.annotations.clone(),
        pod.spec.clone(),
    )
}

/// The program's arguments and environment on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// Where a pod is on this machine.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The address that the process listens on.
    pub(super) listens: Ipv4Addr,
    /// The address that the cluster is told.
    pub(super) told: &'a str,
    /// Where each mount path is.
    pub(super) mounts: &'a BTreeMap<String, String>,
}

/// What to start for `pod`; `given` holds the variables that come from Secrets and `ConfigMaps`.
pub(super) fn command(
    pod: &Pod,
    container: &Container,
    place: &Place<'_>,
    given: &BTreeMap<String, String>,
) -> Command {
    let mut environment = BTreeMap::new();
    for variable in container.env.iter().flatten() {
        let value = match &variable.value {
            Some(value) => Some(expanded(value, &environment)),
            None => field(pod, variable, place).or_else(|| given.get(&variable.name).cloned()),
        };
        environment.extend(value.map(|value| (variable.name.clone(), value)));
    }
    let here =
        |text: &str| with_address(&with_paths(text, place.mounts), &place.listens.to_string());
    let arguments = container.args.iter().flatten();
    let arguments = arguments
        .map(|argument| here(&expanded(argument, &environment)))
        .collect();
    for value in environment.values_mut() {
        *value = here(value);
    }
    let admin = format!("{}:{}", place.listens, admin_port(container));
    environment.insert(ADMIN_ADDRESS.to_owned(), admin);
    Command {
        arguments,
        environment,
    }
}

/// The value of a variable that is taken from the pod itself.
fn field(pod: &Pod, variable: &EnvVar, place: &Place<'_>) -> Option<String> {
    let path = &variable.value_from.as_ref()?.field_ref.as_ref()?.field_path;
    let metadata = &pod.metadata;
    match path.as_str() {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "status.podIP" => Some(place.told.to_owned()),
        "status.hostIP" => Some(Ipv4Addr::LOCALHOST.to_string()),
        "spec.nodeName" => pod.spec.as_ref()?.node_name.clone(),
        path => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            let map = match map {
                "metadata.labels" => &metadata.labels,
                "metadata.annotations" => &metadata.annotations,
                _ => return None,
            };
            map.as_ref()?.get(key).cloned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(container: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "till-0", "namespace": "shop", "annotations": {"index": "3"}},
            "spec": {"containers": [container]},
        }))
        .unwrap()
    }

    fn command_of(container: &Value) -> Command {
        let pod = pod(container);
        let mounts = BTreeMap::from([("/etc/ordermill".to_owned(), "/tmp/x".to_owned())]);
        let place = Place {
            listens: Ipv4Addr::new(127, 1, 2, 3),
            told: "192.0.2.1",
            mounts: &mounts,
        };
        let secrets = BTreeMap::from([("PASSWORD".to_owned(), "geheim".to_owned())]);
        command(&pod, super::container(&pod).unwrap(), &place, &secrets)
    }

    #[test]
    fn variables_come_from_values_fields_and_secrets() {
        let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let command = command_of(&json!({
            "name": "workload",
            "env": [
                field("POD", "metadata.name"),
                field("POD_IP", "status.podIP"),
                field("INDEX", "metadata.annotations['index']"),
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "FILE", "value": "/etc/ordermill/$(POD)"},
            ],
        }));
        let expected = [
            ("ADMIN_ADDRESS", "127.1.2.3:8081"),
            ("FILE", "/tmp/x/till-0"),
            ("INDEX", "3"),
            ("PASSWORD", "geheim"),
            ("POD", "till-0"),
            ("POD_IP", "192.0.2.1"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(command.environment, BTreeMap::from(expected));
    }

    #[test]
    fn arguments_are_said_of_this_machine() {
        let command = command_of(&json!({
            "name": "workload",
            "args": ["run", "--config=/etc/ordermill", "--admin", "0.0.0.0:9000"],
            "ports": [{"name": "admin", "containerPort": 9000}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}},
        }));
        assert_eq!(
            command.arguments,
            ["run", "--config=/tmp/x", "--admin", "127.1.2.3:9000"]
        );
        assert_eq!(command.environment["ADMIN_ADDRESS"], "127.1.2.3:9000");
    }

    #[test]
    fn a_probe_may_name_its_port() {
        let with_port = |port: Value| {
            let pod = pod(&json!({
                "name": "workload",
                "ports": [{"name": "admin", "containerPort": 9000}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": port}},
            }));
            readiness(super::container(&pod).unwrap()).map(|probe| probe.port)
        };
        assert_eq!(with_port(json!(80)), Some(80));
        assert_eq!(with_port(json!("admin")), Some(9000));
        assert_eq!(with_port(json!("other")), None);
    }

    #[test]
    fn the_policy_decides_over_restarts() {
        let with_policy = |policy: &str| {
            let mut pod = pod(&json!({"name": "workload"}));
            pod.spec.as_mut().unwrap().restart_policy = Some(policy.to_owned());
            [is_restarted(&pod, 0), is_restarted(&pod, 1)]
        };
        assert_eq!(with_policy("Always"), [true, true]);
        assert_eq!(with_policy("OnFailure"), [false, true]);
        assert_eq!(with_policy("Never"), [false, false]);
    }

    #[test]
    fn a_status_is_no_nudge_but_an_annotation_is() {
        let mut pod = pod(&json!({"name": "workload"}));
        let before = nudge(&pod);
        pod.status = Some(k8s_openapi::api::core::v1::PodStatus::default());
        assert!(before == nudge(&pod));
        pod.metadata.annotations.get_or_insert_default().clear();
        assert!(before != nudge(&pod));
    }
}
