//! The only reads: what a resource refers to.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use ordermill_config::{BackendRole, KafkaUse, TUNING_FILE, TuningDocument};
use ordermill_crds::values::{BackendReference, ObjectName};

use super::validate::Identity;
use crate::cluster::caches::Caches;
use crate::cluster::child::ChildKind;
use crate::cluster::triggers::Reference;
use crate::error::{Category, ReconcileError};
use crate::kinds::{Kind, Needs};
use crate::names::{child_name, topic_object_name};
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

/// Whether a change of an object concerns a resource, because what it declares names that object.
pub fn refers_to<K: Kind>(resource: &K, object: &Reference) -> bool {
    let own = resource.namespace().unwrap_or_default();
    let name = object.name.as_str();
    if object.kind == "Backend" {
        let needs = resource.needs();
        let mut names = needs.backends.values().map(BackendReference::as_str);
        return own == object.namespace && names.any(|it| it == name);
    }
    let kafka = resource.common().kafka.as_ref();
    let Some(strimzi) = kafka.and_then(|kafka| kafka.strimzi.as_ref()) else {
        return false;
    };
    let clusters = strimzi.namespace.as_ref();
    let is_beside_cluster = object.namespace == clusters.map_or(own.as_str(), ObjectName::as_str);
    match object.kind {
        "Kafka" => is_beside_cluster && strimzi.cluster.as_str() == name,
        "KafkaTopic" => {
            let topics = resource.needs().topics;
            let mut names = topics
                .iter()
                .map(|topic| topic_object_name(topic.name.as_str()));
            is_beside_cluster && names.any(|it| it == name)
        }
        _ => {
            let user = strimzi.user.as_ref();
            own == object.namespace && user.is_some_and(|user| user.as_str() == name)
        }
    }
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

#[cfg(test)]
mod tests {
    use ordermill_crds::{OrderProducer, Worker};

    use super::*;
    use crate::fixtures::resource;

    fn reference(kind: &'static str, namespace: &str, name: &str) -> Reference {
        Reference {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_resource_is_concerned_by_what_it_names_and_nothing_else() {
        let spec = "{model: WoodOrder, topics: {orders: {name: Orders_1}}, \
            kafka: {strimzi: {cluster: mill, namespace: kafka, listener: tls, user: miller}}}";
        let producer = resource::<OrderProducer>("wood", spec);
        let topic = topic_object_name("Orders_1");
        for (kind, namespace, name, expected) in [
            ("Kafka", "kafka", "mill", true),
            ("Kafka", "shop", "mill", false),
            ("Kafka", "kafka", "other", false),
            // Pods mount a user's Secret, so it is beside them.
            ("KafkaUser", "shop", "miller", true),
            ("KafkaUser", "kafka", "miller", false),
            ("KafkaTopic", "kafka", topic.as_str(), true),
            ("KafkaTopic", "kafka", "payments", false),
            ("Backend", "shop", "order", false),
        ] {
            let object = reference(kind, namespace, name);
            assert_eq!(refers_to(&producer, &object), expected, "{object:?}");
        }
        let worker = resource::<Worker>("manager", "{task: OrderManagement}");
        assert!(refers_to(&worker, &reference("Backend", "shop", "order")));
        assert!(!refers_to(&worker, &reference("Backend", "else", "order")));
        assert!(!refers_to(&worker, &reference("Kafka", "shop", "mill")));
    }
}
