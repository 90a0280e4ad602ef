//! The pods: what they run, within `PodSecurity` `restricted`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, HTTPGetAction, KeyToPath, ObjectFieldSelector, PersistentVolumeClaimVolumeSource,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretKeySelector, SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ordermill_config::{ADMIN_PORT, CONFIGURATION_FOLDER, DATA_FOLDER};

use super::config_map::json;
use super::network_policy::ADMIN;
use super::pod_selector;
use crate::error::ReconcileError;
use crate::kinds::Disk;
use crate::labels::{RESOURCE, WORKLOAD_HASH};
use crate::names::hash;
use crate::pipeline::validate::{SecretMount, Validated, Variable, VariableValue};

/// Nobody's, and the same in the image.
const USER: i64 = 65_532;
/// Above the 20 s that a workload takes to finish what is in flight and the 5 s for its telemetry.
const GRACE_SECONDS: i64 = 40;
const CONFIGURATION: &str = "configuration";
const DATA: &str = "data";
/// The name of the container.
pub const CONTAINER: &str = "workload";

pub(super) fn template(
    validated: &Validated,
    restart_policy: &str,
) -> Result<PodTemplateSpec, ReconcileError> {
    let identity = &validated.identity;
    let workload = &validated.workload;
    let document = json("the workload document", &validated.documents.workload)?;
    let mut annotations = workload.pod_annotations.clone();
    annotations.insert(RESOURCE.to_owned(), identity.resource.name.clone());
    // Files that a running workload watches do not roll it; what it starts with does.
    annotations.insert(WORKLOAD_HASH.to_owned(), hash(document.as_bytes()));
    let mut labels = workload.pod_labels.clone();
    labels.extend(identity.labels());
    let pull_secrets = &workload.image_pull_secrets;
    Ok(PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(identity.child_name.clone()),
            automount_service_account_token: Some(false),
            // Dozens of variables for services that nobody asked for slow the start and hide what matters.
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            restart_policy: Some(restart_policy.to_owned()),
            security_context: Some(pod_security()),
            containers: vec![container(validated)],
            volumes: Some(volumes(validated)),
            image_pull_secrets: (!pull_secrets.is_empty()).then(|| pull_secrets.clone()),
            node_selector: non_empty(&workload.node_selector),
            tolerations: (!workload.tolerations.is_empty()).then(|| workload.tolerations.clone()),
            affinity: workload.affinity.clone(),
            priority_class_name: workload
                .priority_class_name
                .as_ref()
                .map(ToString::to_string),
            topology_spread_constraints: Some(
                workload
                    .topology_spread_constraints
                    .clone()
                    .unwrap_or_else(|| vec![over_nodes(validated)]),
            ),
            ..PodSpec::default()
        }),
    })
}

fn non_empty(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn over_nodes(validated: &Validated) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(pod_selector(&validated.identity)),
        ..TopologySpreadConstraint::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // Looking through a large volume at every start would take minutes.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn container(validated: &Validated) -> Container {
    let workload = &validated.workload;
    Container {
        name: CONTAINER.to_owned(),
        image: Some(validated.image.clone()),
        image_pull_policy: workload
            .image_pull_policy
            .map(|policy| format!("{policy:?}")),
        args: Some(
            ["run", "--config", CONFIGURATION_FOLDER]
                .map(str::to_owned)
                .into(),
        ),
        env: Some(environment(validated)),
        ports: Some(ports(validated)),
        resources: Some(workload.resources.clone().unwrap_or_else(default_resources)),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(6),
            ..probe("/livez")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(5),
            failure_threshold: Some(2),
            ..probe("/readyz")
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(validated)),
        ..Container::default()
    }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// As the resource's description says.
fn default_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())));
        Some(pairs.collect())
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "50m"), ("memory", "64Mi")]),
        limits: quantities(&[("memory", "256Mi")]),
        ..ResourceRequirements::default()
    }
}

fn ports(validated: &Validated) -> Vec<ContainerPort> {
    let port = |name: &str, number: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let served = validated.needs.port.map(|it| port(it.name, it.number));
    [port(ADMIN, ADMIN_PORT)]
        .into_iter()
        .chain(served)
        .collect()
}

fn environment(validated: &Validated) -> Vec<EnvVar> {
    let pod_name = EnvVarSource {
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: "metadata.name".to_owned(),
        }),
        ..EnvVarSource::default()
    };
    let own = [
        EnvVar {
            name: "POD_NAME".to_owned(),
            value_from: Some(pod_name),
            ..EnvVar::default()
        },
        EnvVar {
            name: "ADMIN_ADDRESS".to_owned(),
            value: Some(format!("0.0.0.0:{ADMIN_PORT}")),
            ..EnvVar::default()
        },
    ];
    own.into_iter()
        .chain(validated.environment.iter().map(variable))
        .collect()
}

fn variable(variable: &Variable) -> EnvVar {
    let name = variable.name.to_owned();
    match &variable.value {
        VariableValue::Literal(text) => EnvVar {
            name,
            value: Some(text.clone()),
            ..EnvVar::default()
        },
        VariableValue::Secret(key) => EnvVar {
            name,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: key.name.to_string(),
                    key: key.key.clone(),
                    ..SecretKeySelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        },
    }
}

fn volumes(validated: &Validated) -> Vec<Volume> {
    let name = &validated.identity.child_name;
    let configuration = Volume {
        name: CONFIGURATION.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: name.clone(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let data = match &validated.needs.disk {
        Disk::None => None,
        Disk::Ephemeral => Some(Volume {
            name: DATA.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity("1Gi".to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        }),
        Disk::Volume(_) => Some(Volume {
            name: DATA.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: name.clone(),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        }),
    };
    let secrets = validated.secrets.iter().map(secret_volume);
    [configuration]
        .into_iter()
        .chain(secrets)
        .chain(data)
        .collect()
}

fn secret_volume(mount: &SecretMount) -> Volume {
    let mut keys = mount.keys.clone();
    keys.sort();
    keys.dedup();
    let items = keys.into_iter().map(|key| KeyToPath {
        path: key.clone(),
        key,
        ..KeyToPath::default()
    });
    Volume {
        name: mount.volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(mount.secret.to_string()),
            items: Some(items.collect()),
            // Only the group of the pod reads it.
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn mounts(validated: &Validated) -> Vec<VolumeMount> {
    let mount = |name: &str, path: String, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let secrets = validated
        .secrets
        .iter()
        .map(|secret| mount(secret.volume, secret.folder(), true));
    let has_disk = validated.needs.disk != Disk::None;
    [mount(CONFIGURATION, CONFIGURATION_FOLDER.to_owned(), true)]
        .into_iter()
        .chain(secrets)
        .chain(has_disk.then(|| mount(DATA, DATA_FOLDER.to_owned(), false)))
        .collect()
}
