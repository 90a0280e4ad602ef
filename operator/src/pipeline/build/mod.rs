//! Every object that a validated resource becomes: pure functions, one file for each kind of object.

mod config_map;
mod network_policy;
mod pod;
mod service;
mod topic;
mod workload;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, ServiceAccount, VolumeResourceRequirements,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::DynamicObject;
use ordermill_config::VerifyingKeys;
use serde::Serialize;
use serde_json::Value;

pub use self::topic::{Topic, kafka_topic, resource};
use super::validate::{Identity, Validated, Work};
use crate::cluster::child::ChildKind;
use crate::error::ReconcileError;
use crate::kinds::Disk;
use crate::labels::APPLIED_HASH;
use crate::names::hash;

/// An object as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// The object.
    pub object: DynamicObject,
}

impl Child {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }
}

/// Everything that a resource becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Children {
    /// What goes with the resource, in the order in which it is applied.
    pub owned: Vec<Child>,
    /// What stays when the resource goes: it holds data.
    pub topics: Vec<Topic>,
}

/// Builds every object.
///
/// # Errors
/// When an object has no form as JSON.
pub fn build(validated: &Validated, keys: &VerifyingKeys) -> Result<Children, ReconcileError> {
    let mut owned = vec![
        child(
            ChildKind::ServiceAccount,
            &service_account(&validated.identity),
        )?,
        child(ChildKind::ConfigMap, &config_map::build(validated, keys)?)?,
    ];
    if let Disk::Volume(storage) = &validated.needs.disk {
        let claim = volume_claim(&validated.identity, storage);
        owned.push(child(ChildKind::PersistentVolumeClaim, &claim)?);
    }
    if let Some(port) = validated.needs.port {
        let service = service::build(&validated.identity, port);
        owned.push(child(ChildKind::Service, &service)?);
    }
    if validated.workload.network_policy == Some(true) {
        let policy = network_policy::build(validated);
        owned.push(child(ChildKind::NetworkPolicy, &policy)?);
    }
    match &validated.work {
        Work::Continuous { replicas } => {
            if *replicas > 1 {
                let budget = disruption_budget(&validated.identity);
                owned.push(child(ChildKind::PodDisruptionBudget, &budget)?);
            }
            let deployment = workload::deployment(validated, *replicas)?;
            owned.push(child(ChildKind::Deployment, &deployment)?);
        }
        Work::Bounded { bounded, replicas } => {
            let job = workload::job(validated, bounded, *replicas)?;
            owned.push(child(ChildKind::Job, &job)?);
        }
    }
    Ok(Children {
        owned,
        topics: topic::build(validated),
    })
}

/// An object in the form in which it is compared and applied, with the hash of what it was built as.
fn child<T: Serialize>(kind: ChildKind, object: &T) -> Result<Child, ReconcileError> {
    let failed = |source| ReconcileError::Serialize {
        what: kind.as_str().to_owned(),
        source,
    };
    let value = serde_json::to_value(object).map_err(failed)?;
    let digest = hash(value.to_string().as_bytes());
    let mut object: DynamicObject = serde_json::from_value(typed(kind, value)).map_err(failed)?;
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert(APPLIED_HASH.to_owned(), digest);
    Ok(Child { kind, object })
}

/// With `apiVersion` and `kind`, which k8s-openapi's objects leave to their type.
fn typed(kind: ChildKind, mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("apiVersion".to_owned(), kind.resource().api_version.into());
        fields.insert("kind".to_owned(), kind.as_str().into());
    }
    value
}

fn metadata(identity: &Identity, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(identity.resource.namespace.clone()),
        labels: Some(identity.labels()),
        owner_references: Some(vec![identity.owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn pod_selector(identity: &Identity) -> LabelSelector {
    LabelSelector {
        match_labels: Some(identity.selector()),
        ..LabelSelector::default()
    }
}

fn service_account(identity: &Identity) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(identity, identity.child_name.clone()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn disruption_budget(identity: &Identity) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(identity, identity.child_name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(pod_selector(identity)),
            // A pod that is not ready does no work, so evicting it costs nothing and may unblock a node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn volume_claim(identity: &Identity, storage: &ordermill_crds::Storage) -> PersistentVolumeClaim {
    let size = Quantity(storage.size.clone());
    PersistentVolumeClaim {
        metadata: metadata(identity, identity.child_name.clone()),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: storage.storage_class_name.as_ref().map(ToString::to_string),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

#[cfg(test)]
mod tests;
