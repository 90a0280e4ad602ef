//! One reconcile, the same for every kind: from what a resource declares to what is, and what is to its status.

mod children;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::backoff::Backoffs;
use crate::cluster::caches::Caches;
use crate::cluster::child::ChildKind;
use crate::cluster::events::transition;
use crate::cluster::writer::Writer;
use crate::error::{Category, ReconcileError, Retry};
use crate::kinds::Kind;
use crate::metrics::Metrics;
use crate::pipeline::build::build;
use crate::pipeline::dereference::dereference;
use crate::pipeline::status::{
    Situation, WorkloadStatus, status, undecodable_status, worth_writing,
};
use crate::pipeline::validate::{Identity, Validated, Work, validate};
use crate::policy::Policy;
use crate::queue::Queue;
use crate::strimzi::Readiness;
use crate::tuning::{Delivery, KeyStore, Order, PodReport, Tuned, tuned};

/// How often pods are asked what they do.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How soon a tuning that is on its way is looked after.
const TUNING_SOON: Duration = Duration::from_secs(1);

/// What reconciles share.
pub struct Context {
    /// Defaults and limits.
    pub policy: Policy,
    /// What is known of the cluster.
    pub caches: Caches,
    /// What writes to it.
    pub writer: Writer,
    /// What talks to pods.
    pub delivery: Delivery,
    /// What signs tunings.
    pub keys: KeyStore,
    /// What counts.
    pub metrics: Metrics,
    /// How often each object has failed in a row.
    pub(crate) backoffs: Backoffs,
    /// What waits for its turn.
    pub(crate) queue: Queue,
}

/// How far a reconcile came.
#[derive(Default)]
struct Progress {
    validated: Option<Validated>,
    topics: Vec<(String, Readiness)>,
    pods: Vec<PodReport>,
}

/// Brings the cluster closer to what a resource declares, and writes what is.
///
/// # Errors
/// What keeps it from becoming so; it stands in the status too.
#[tracing::instrument(
    skip_all,
    fields(
        k8s.namespace.name = resource.namespace(),
        ordermill.resource.kind = kind_name::<K>(),
        ordermill.resource.name = resource.name_any(),
        error.type,
        otel.status_code,
        otel.status_description,
    )
)]
pub async fn reconcile<K: Kind>(
    resource: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let _counted = context.metrics.reconcile(kind_name::<K>());
    context.queue.take(&key(&*resource));
    let result = match &resource.0 {
        Ok(resource) => attempt(resource, &context).await,
        Err(invalid) => undecodable::<K>(invalid, &context).await,
    };
    match &result {
        Ok(_) => context.backoffs.succeeded(&key(&*resource)),
        Err(error) => {
            let span = tracing::Span::current();
            span.record("error.type", error.category().as_str());
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.full_message());
        }
    }
    result
}

async fn attempt<K: Kind>(resource: &K, context: &Context) -> Result<Action, ReconcileError> {
    if resource.meta().deletion_timestamp.is_some() {
        // What belongs to it goes with it, by the cluster's own garbage collection.
        return Ok(Action::await_change());
    }
    let begun = Instant::now();
    let mut progress = Progress::default();
    let result = advance(resource, context, begun, &mut progress).await;
    let error = result.as_ref().err();
    // A status is the leader's to write, and nobody reads it in a namespace that goes.
    let is_silent = |error: &ReconcileError| {
        matches!(
            error.category(),
            Category::NotLeading | Category::NamespaceTerminating
        )
    };
    if !error.is_some_and(is_silent) {
        conclude(resource, context, &progress, error).await?;
    }
    result?;
    Ok(next_look(&progress))
}

/// The steps. Each needs the one before.
async fn advance<K: Kind>(
    resource: &K,
    context: &Context,
    begun: Instant,
    progress: &mut Progress,
) -> Result<(), ReconcileError> {
    let dereferenced = dereference(resource, &context.caches, &context.policy).await?;
    let validated = validate(resource, &dereferenced, &context.policy, Timestamp::now())?;
    let validated = &*progress.validated.insert(validated);
    let keys = context.keys.keys();
    let built = build(validated, &keys.verifying_keys())?;
    children::apply(validated, &built.owned, context).await?;
    let order = Order {
        document: &validated.documents.tuning,
        keys: &keys,
        begun,
    };
    let pods = pods_of(&validated.identity, context);
    progress.pods = context
        .delivery
        .deliver(&order, &pods, &context.writer)
        .await?;
    children::delete_orphans(validated, &built.owned, context).await?;
    progress.topics = children::apply_topics(validated, &built.topics, context).await?;
    Ok(())
}

fn pods_of(identity: &Identity, context: &Context) -> Vec<Arc<Pod>> {
    let namespace = &identity.resource.namespace;
    context.caches.pods_of(namespace, &identity.child_name)
}

/// Writes the status where that is worth it, and tells of a transition.
async fn conclude<K: Kind>(
    resource: &K,
    context: &Context,
    progress: &Progress,
    error: Option<&ReconcileError>,
) -> Result<(), ReconcileError> {
    let identity = Identity::of(resource)?;
    let previous = resource.status();
    let next = status(
        &Situation {
            workload: workload_status(&identity, progress.validated.as_ref(), context),
            identity: &identity,
            validated: progress.validated.as_ref(),
            error,
            pods: &progress.pods,
            topics: &progress.topics,
            previous,
        },
        Timestamp::now(),
    );
    if !worth_writing(previous, &next, Timestamp::now()) {
        return Ok(());
    }
    let written = context
        .writer
        .write_status::<K>(resource.meta(), &next)
        .await;
    match written {
        // It was deleted meanwhile, with its namespace or alone.
        Err(error) if error.is_about_a_missing_object() => return Ok(()),
        other => other?,
    }
    if let Some(event) = transition(previous, &next) {
        context.writer.tell(resource, &event).await;
    }
    Ok(())
}

fn workload_status(
    identity: &Identity,
    validated: Option<&Validated>,
    context: &Context,
) -> WorkloadStatus {
    let Some(validated) = validated else {
        return WorkloadStatus::default();
    };
    let namespace = &identity.resource.namespace;
    let object = match &validated.work {
        Work::Continuous { .. } => {
            context
                .caches
                .child(ChildKind::Deployment, namespace, &identity.child_name)
        }
        Work::Bounded { bounded, .. } => {
            let name = format!("{}-{}", identity.child_name, bounded.work);
            context.caches.child(ChildKind::Job, namespace, &name)
        }
    };
    WorkloadStatus::of(
        &validated.work,
        object.as_deref(),
        &pods_of(identity, context),
    )
}

/// When a resource is looked at again though nothing has changed.
fn next_look(progress: &Progress) -> Action {
    let Some(validated) = &progress.validated else {
        return Action::await_change();
    };
    let tuning = tuned(&validated.documents.tuning, &progress.pods);
    let look = match tuning {
        Tuned::NoPods => None,
        // One that cannot be asked is not asked more often for that.
        Tuned::Applied { .. } | Tuned::Unknown { .. } => Some(jittered(ASK_EVERY)),
        Tuned::Applying { .. } => Some(TUNING_SOON),
    };
    let expiry = validated.expires_at.map(|at| {
        let left = at.duration_since(Timestamp::now());
        Duration::try_from(left).unwrap_or_default() + Duration::from_millis(100)
    });
    match look.into_iter().chain(expiry).min() {
        Some(after) => Action::requeue(after),
        None => Action::await_change(),
    }
}

/// So that the pods of many resources are not all asked at the same moment.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.9..1.1))
}

/// An object that was stored before today's rules, or by somebody who goes around them: the others go on.
async fn undecodable<K: Kind>(
    invalid: &kube::core::error_boundary::InvalidObject,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let message = format!(
        "it was stored in a form that this operator cannot read: {}; apply it anew",
        invalid.error
    );
    let generation = invalid.metadata.generation;
    let status = undecodable_status(generation, &message, Timestamp::now());
    context
        .writer
        .write_status::<K>(&invalid.metadata, &status)
        .await?;
    Err(ReconcileError::declared(Category::Undecodable, message))
}

/// What to do after an error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the controller hands over shares"
)]
pub fn after_error<K: Kind>(
    resource: Arc<DeserializeGuard<K>>,
    error: &ReconcileError,
    context: Arc<Context>,
) -> Action {
    let category = error.category();
    context.metrics.failed(kind_name::<K>(), category);
    let key = key(&*resource);
    let failures = context.backoffs.failed(&key);
    // A person's mistake is told once in the log; the status tells it all the time.
    if failures == 1 || !category.needs_a_person() {
        tracing::warn!(
            object = key,
            category = category.as_str(),
            error = error.full_message(),
            "reconcile failed"
        );
    }
    match category.retry() {
        Retry::OnChange => Action::await_change(),
        Retry::Every(time) => Action::requeue(jittered(time)),
        Retry::BackOff => {
            let asked = error.retry_after().unwrap_or_default();
            Action::requeue(Backoffs::delay(failures).max(asked))
        }
    }
}

/// `Kind/namespace/name`.
pub(crate) fn key(resource: &impl Resource<DynamicType = ()>) -> String {
    let object = resource.object_ref(&());
    let part = |part: Option<String>| part.unwrap_or_default();
    format!(
        "{}/{}/{}",
        part(object.kind),
        part(object.namespace),
        part(object.name)
    )
}

/// The kind's name as a label that costs nothing.
fn kind_name<K: Kind>() -> &'static str {
    match K::COMPONENT {
        "producer" => "OrderProducer",
        "consumer" => "StreamConsumer",
        "worker" => "Worker",
        _ => "Backend",
    }
}

#[cfg(test)]
mod tests;
