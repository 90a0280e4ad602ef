//! From what a user declared and what was found around it to what can be built: no more checks come after this.

mod kafka;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use ordermill_config::{
    Bounded, CACHE_URL, DATABASE_URL, Documents, Pacing, Placement, ResourceReference,
    TelemetrySettings, TuningDocument, WorkloadSettings,
};
use ordermill_crds::values::{ObjectName, Rate};
use ordermill_crds::{Connection, SecretKey, Topic, Workload};

use self::kafka::{KafkaFiles, kafka_files};
use super::dereference::Dereferenced;
use crate::error::{Category, ReconcileError};
use crate::kinds::{Kind, Needs};
use crate::labels;
use crate::names::child_name;
use crate::policy::Policy;

/// Where Secrets with credentials are mounted, each in a folder of its own.
const SECRETS_FOLDER: &str = "/etc/ordermill-secrets";

/// Which resource it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Kind, namespace, name and uid.
    pub resource: ResourceReference,
    /// `producer`, `consumer`, `worker` or `backend`.
    pub component: &'static str,
    /// The generation that all of this speaks of.
    pub generation: i64,
    /// What children carry so that they go with the resource.
    pub owner: OwnerReference,
    /// The name that all children have or begin with.
    pub child_name: String,
}

impl Identity {
    /// The identity of a resource.
    ///
    /// # Errors
    /// When it has no namespace or uid, which the API server excludes.
    pub fn of<K: Kind>(resource: &K) -> Result<Self, ReconcileError> {
        let kind = K::kind(&()).into_owned();
        let name = resource.name_any();
        let incomplete = || {
            let message = format!("{kind} {name} has no namespace or uid");
            ReconcileError::declared(Category::Undecodable, message)
        };
        let namespace = resource.namespace().ok_or_else(incomplete)?;
        let uid = resource.uid().ok_or_else(incomplete)?;
        let owner = resource.controller_owner_ref(&()).ok_or_else(incomplete)?;
        Ok(Self {
            component: K::COMPONENT,
            generation: resource.meta().generation.unwrap_or_default(),
            owner: OwnerReference {
                block_owner_deletion: Some(true),
                ..owner
            },
            child_name: child_name(&name, K::COMPONENT),
            resource: ResourceReference {
                kind,
                namespace,
                name,
                uid,
            },
        })
    }

    /// Labels of every child.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        labels::labels(&self.child_name, self.component)
    }

    /// Labels that select the pods.
    #[must_use]
    pub fn selector(&self) -> BTreeMap<String, String> {
        labels::selector(&self.child_name, self.component)
    }
}

/// A workload that can be built.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// Which resource it is of.
    pub identity: Identity,
    /// What the pods run with.
    pub documents: Documents,
    /// More files beside the documents.
    pub files: BTreeMap<&'static str, String>,
    /// Secrets that the pods mount.
    pub secrets: Vec<SecretMount>,
    /// Variables of the container, besides those that every pod has.
    pub environment: Vec<Variable>,
    /// How long the work takes.
    pub work: Work,
    /// What it needs around it.
    pub needs: Needs,
    /// The image.
    pub image: String,
    /// How its pods are made.
    pub workload: Workload,
    /// Topics that Strimzi is to manage.
    pub topics: Option<ManagedTopics>,
    /// When it is paused by `expiresAfter`, if that is still to come.
    pub expires_at: Option<Timestamp>,
    /// What the user should know though nothing is wrong.
    pub notes: Vec<String>,
}

/// How long the work takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Without end: a Deployment.
    Continuous {
        /// Number of pods.
        replicas: i32,
    },
    /// Until everything is sent: an Indexed Job.
    Bounded {
        /// The work.
        bounded: Bounded,
        /// Number of pods; 0 holds it up.
        replicas: i32,
    },
}

/// A Secret's keys as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMount {
    /// Name of the volume.
    pub volume: &'static str,
    /// The Secret.
    pub secret: ObjectName,
    /// Its keys that are mounted.
    pub keys: Vec<String>,
}

impl SecretMount {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{SECRETS_FOLDER}/{}", self.volume)
    }

    fn file(&self, key: &str) -> PathBuf {
        PathBuf::from(self.folder()).join(key)
    }
}

/// A variable of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub value: VariableValue,
}

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableValue {
    /// A text.
    Literal(String),
    /// The key of a Secret.
    Secret(SecretKey),
}

/// Topics that Strimzi is to manage.
#[derive(Debug, Clone, PartialEq)]
pub struct ManagedTopics {
    /// Namespace of the cluster.
    pub namespace: String,
    /// The cluster.
    pub cluster: String,
    /// The topics.
    pub topics: Vec<Topic>,
}

/// Checks a resource against what was found around it and what the operator allows.
///
/// # Errors
/// What a person has to change.
pub fn validate<K: Kind>(
    resource: &K,
    dereferenced: &Dereferenced,
    policy: &Policy,
    now: Timestamp,
) -> Result<Validated, ReconcileError> {
    let identity = Identity::of(resource)?;
    resource
        .check()
        .map_err(|message| ReconcileError::declared(Category::InvalidSpec, message))?;
    let common = resource.common();
    let needs = resource.needs();
    let mut notes = Vec::new();
    let kafka = kafka_files(resource, needs.kafka, dereferenced, policy)?;
    let (connection, files, mut secrets) = match kafka {
        Some(KafkaFiles {
            connection,
            files,
            secrets,
        }) => (Some(connection), files, secrets),
        None => (None, BTreeMap::new(), Vec::new()),
    };
    secrets.sort_by_key(|mount| mount.volume);
    let placement = Placement {
        resource: identity.resource.clone(),
        generation: identity.generation,
        revision: 0,
        kafka: connection,
        telemetry: telemetry(resource, policy),
        // Strimzi's own operator would undo what a workload makes.
        create_topics: dereferenced.strimzi.is_none(),
        backends: dereferenced.backends.clone(),
    };
    let mut documents = resource.documents(placement);
    if let Some(note) = cap_rate(&mut documents, policy, common.replicas) {
        notes.push(note);
    }
    let expires_at = expiry(resource);
    let expired = expires_at.is_some_and(|at| at <= now);
    if expired {
        documents.tuning.tuning.paused = true;
        notes.push("paused: spec.expiresAfter is over; raise it to go on".to_owned());
    }
    documents.tuning = number(documents.tuning, dereferenced.previous_tuning.as_ref());
    if needs.disk == crate::kinds::Disk::Ephemeral {
        notes.push(
            "its data ends with its pod: set spec.storage or spec.database to keep it".to_owned(),
        );
    }
    let workload = common.workload.clone().unwrap_or_default();
    Ok(Validated {
        work: work(&documents, common.replicas),
        environment: environment(&needs),
        image: workload
            .image
            .clone()
            .unwrap_or_else(|| policy.workload_image.clone()),
        topics: dereferenced.strimzi.as_ref().map(|strimzi| ManagedTopics {
            namespace: strimzi.namespace.clone(),
            cluster: strimzi.cluster.clone(),
            topics: needs.topics.clone(),
        }),
        expires_at: expires_at.filter(|_| !expired),
        identity,
        documents,
        files,
        secrets,
        needs,
        workload,
        notes,
    })
}

/// The number of a tuning document: the generation, and a revision where the same generation gives another document.
fn number(next: TuningDocument, previous: Option<&TuningDocument>) -> TuningDocument {
    let Some(previous) =
        previous.filter(|it| it.uid == next.uid && it.generation == next.generation)
    else {
        return next;
    };
    let revision = if previous.tuning == next.tuning {
        previous.revision
    } else {
        previous.revision.saturating_add(1)
    };
    TuningDocument { revision, ..next }
}

fn work(documents: &Documents, replicas: i32) -> Work {
    match &documents.workload.workload {
        WorkloadSettings::Producer(settings) => match &settings.bounded {
            Some(bounded) => Work::Bounded {
                bounded: bounded.clone(),
                replicas,
            },
            None => Work::Continuous { replicas },
        },
        _ => Work::Continuous { replicas },
    }
}

fn expiry<K: Kind>(resource: &K) -> Option<Timestamp> {
    let created = resource.meta().creation_timestamp.as_ref()?.0;
    let after: Duration = resource.common().expires_after?.get();
    created.checked_add(after).ok()
}

fn telemetry<K: Kind>(resource: &K, policy: &Policy) -> TelemetrySettings {
    let declared = resource.common().telemetry.clone().unwrap_or_default();
    let (endpoint, protocol) = match (declared.endpoint, &policy.telemetry) {
        (Some(endpoint), _) => (Some(endpoint), declared.protocol.unwrap_or_default()),
        (None, Some((endpoint, protocol))) => (
            Some(endpoint.clone()),
            declared.protocol.unwrap_or(*protocol),
        ),
        (None, None) => (None, declared.protocol.unwrap_or_default()),
    };
    TelemetrySettings {
        endpoint,
        protocol,
        service_name: resource.name_any(),
        log_format: declared.log_format.unwrap_or_default(),
    }
}

fn environment(needs: &Needs) -> Vec<Variable> {
    let variable = |name, connection: &Option<Connection>| {
        let connection = connection.as_ref()?;
        let value = match (&connection.url, &connection.secret) {
            (_, Some(secret)) => VariableValue::Secret(secret.clone()),
            (Some(url), None) => VariableValue::Literal(url.clone()),
            (None, None) => return None,
        };
        Some(Variable { name, value })
    };
    let database = variable(DATABASE_URL, &needs.database);
    let cache = variable(CACHE_URL, &needs.cache);
    database.into_iter().chain(cache).collect()
}

/// Keeps a producer within the operator's cap; tells of it where that changes something.
fn cap_rate(documents: &mut Documents, policy: &Policy, replicas: i32) -> Option<String> {
    let maximum = policy.maximum_rate?;
    let producer = documents.tuning.tuning.producer.as_mut()?;
    let each = maximum / f64::from(replicas.max(1));
    let capped = capped(&producer.pacing, each);
    if capped == producer.pacing {
        return None;
    }
    producer.pacing = capped;
    Some(format!(
        "the operator caps a producer at {maximum} events per second, {each} for each replica"
    ))
}

/// A pace that is nowhere faster than `maximum` events per second.
fn capped(pacing: &Pacing, maximum: f64) -> Pacing {
    match pacing {
        Pacing::Rate(rate) => Pacing::Rate(rate.min(maximum)),
        Pacing::IntervalNanoseconds(_) if maximum <= 0.0 => Pacing::Rate(0.0),
        Pacing::IntervalNanoseconds(nanoseconds) => {
            let least = Duration::from_secs_f64((1.0 / maximum).min(1e9));
            let Pacing::IntervalNanoseconds(least) = Pacing::interval(least) else {
                return pacing.clone();
            };
            Pacing::IntervalNanoseconds((*nanoseconds).max(least))
        }
        Pacing::Stages(stages) => {
            let cap = |mut stage: ordermill_crds::Stage| {
                // The lower of two valid rates is valid.
                stage.rate = Rate::try_from(stage.rate.get().min(maximum)).unwrap_or(stage.rate);
                stage
            };
            Pacing::Stages(stages.iter().copied().map(cap).collect())
        }
    }
}

#[cfg(test)]
mod tests;
