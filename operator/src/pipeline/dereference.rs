//! The only reads: what a resource refers to.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use ordermill_config::{BackendRole, KafkaUse, TUNING_FILE, TuningDocument};
use ordermill_crds::values::BackendReference;

use super::validate::Identity;
use crate::cluster::caches::Caches;
use crate::cluster::child::ChildKind;
use crate::error::{Category, ReconcileError};
use crate::kinds::{Kind, Needs};
use crate::names::child_name;
use crate::policy::Policy;
use crate::strimzi::{self, Listener, UserCredentials};

/// What was found around a resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dereferenced {
    /// The Strimzi cluster that it names.
    pub strimzi: Option<Strimzi>,
    /// The URLs of the backends that it calls.
    pub backends: BTreeMap<BackendRole, String>,
    /// The tuning that its `ConfigMap` holds now.
    pub previous_tuning: Option<TuningDocument>,
}

/// A Kafka cluster that Strimzi runs, as one resource uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strimzi {
    /// Namespace of the `Kafka` resource.
    pub namespace: String,
    /// Its name.
    pub cluster: String,
    /// How it is reached.
    pub listener: Listener,
    /// What the pods log in with.
    pub user: Option<UserCredentials>,
}

/// Reads what a resource refers to.
///
/// # Errors
/// When something is missing or not ready.
pub async fn dereference<K: Kind>(
    resource: &K,
    caches: &Caches,
    policy: &Policy,
) -> Result<Dereferenced, ReconcileError> {
    let identity = Identity::of(resource)?;
    let needs = resource.needs();
    Ok(Dereferenced {
        strimzi: if needs.kafka == KafkaUse::Unused {
            None
        } else {
            strimzi(resource, &identity, caches).await?
        },
        backends: backends(&identity, &needs, caches, policy)?,
        previous_tuning: previous_tuning(&identity, caches),
    })
}

async fn strimzi<K: Kind>(
    resource: &K,
    identity: &Identity,
    caches: &Caches,
) -> Result<Option<Strimzi>, ReconcileError> {
    let kafka = resource.common().kafka.as_ref();
    let Some(declared) = kafka.and_then(|kafka| kafka.strimzi.as_ref()) else {
        return Ok(None);
    };
    let own = &identity.resource.namespace;
    let namespace = declared
        .namespace
        .as_ref()
        .map_or_else(|| own.clone(), ToString::to_string);
    let cluster = declared.cluster.to_string();
    let not_found = |message: String| ReconcileError::declared(Category::KafkaNotFound, message);
    let object = caches
        .strimzi("Kafka", "kafkas", &namespace, &cluster)
        .await?;
    let object = object.ok_or_else(|| {
        not_found(format!(
            "spec.kafka.strimzi.cluster: there is no Kafka {cluster} in namespace {namespace}"
        ))
    })?;
    let listener = strimzi::listener(&object, &cluster, &declared.listener)?;
    let user = match &declared.user {
        None => None,
        Some(name) => {
            let name = name.as_str();
            let object = caches.strimzi("KafkaUser", "kafkausers", own, name).await?;
            // Pods mount Secrets of their own namespace only, so the user must be here.
            let object = object.ok_or_else(|| {
                not_found(format!(
                    "spec.kafka.strimzi.user: there is no KafkaUser {name} in namespace {own}; pods mount its Secret, so it must be in their own namespace"
                ))
            })?;
            Some(strimzi::credentials(&object, name)?)
        }
    };
    Ok(Some(Strimzi {
        namespace,
        cluster,
        listener,
        user,
    }))
}

fn backends(
    identity: &Identity,
    needs: &Needs,
    caches: &Caches,
    policy: &Policy,
) -> Result<BTreeMap<BackendRole, String>, ReconcileError> {
    let namespace = &identity.resource.namespace;
    let url = |(role, reference): (&BackendRole, &BackendReference)| {
        if let Some(url) = reference.url() {
            return Ok((*role, url.trim_end_matches('/').to_owned()));
        }
        let name = reference.as_str();
        let Some(backend) = caches.backend(namespace, name) else {
            return Err(ReconcileError::declared(
                Category::BackendNotFound,
                format!(
                    "spec.backends: there is no Backend {name} in namespace {namespace}: create it, or give a URL"
                ),
            ));
        };
        let port = crate::kinds::backend_port(&backend);
        let host = child_name(
            &backend.name_any(),
            <ordermill_crds::Backend as Kind>::COMPONENT,
        );
        let domain = &policy.cluster_domain;
        let url = format!("http://{host}.{namespace}.svc.{domain}:{port}");
        Ok((*role, url))
    };
    needs.backends.iter().map(url).collect()
}

/// A `ConfigMap` of somebody else, or one that a person broke, is as good as none.
fn previous_tuning(identity: &Identity, caches: &Caches) -> Option<TuningDocument> {
    let namespace = &identity.resource.namespace;
    let object = caches.child(ChildKind::ConfigMap, namespace, &identity.child_name)?;
    let text = object.data["data"][TUNING_FILE].as_str()?;
    serde_json::from_str(text).ok()
}
