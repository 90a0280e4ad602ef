//! Writing what was built, and taking away what is not built any more.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use serde_json::Value;

use super::Context;
use crate::cluster::child::ChildKind;
use crate::error::{Category, ReconcileError};
use crate::pipeline::apply::{Decision, covers, decide};
use crate::pipeline::build::{Child, Topic};
use crate::pipeline::validate::{Identity, Validated};
use crate::strimzi::{Readiness, readiness};

/// Writes every child that is not as it should be.
pub(super) async fn apply(
    validated: &Validated,
    children: &[Child],
    context: &Context,
) -> Result<(), ReconcileError> {
    let identity = &validated.identity;
    for child in children {
        apply_one(identity, child, context).await?;
    }
    Ok(())
}

async fn apply_one(
    identity: &Identity,
    child: &Child,
    context: &Context,
) -> Result<(), ReconcileError> {
    let uid = &identity.resource.uid;
    let namespace = &identity.resource.namespace;
    let there = context.caches.child(child.kind, namespace, child.name());
    if there.is_none()
        && let Some(owner) = context.writer.foreign_owner(child, uid).await?
    {
        return Err(name_taken(child, &owner));
    }
    match decide(child, there.as_deref(), uid) {
        Decision::Keep | Decision::Wait => Ok(()),
        Decision::Apply => context.writer.apply(child).await.map(|_| ()),
        Decision::Replace => match there {
            // The watch tells when it is gone, and the next reconcile makes the new one.
            Some(there) => context.writer.delete(child.kind, &there).await,
            None => Ok(()),
        },
        Decision::Refuse { owner } => Err(name_taken(child, &owner)),
    }
}

fn name_taken(child: &Child, owner: &str) -> ReconcileError {
    let (kind, name) = (child.kind.as_str(), child.name());
    ReconcileError::declared(
        Category::NameTaken,
        format!(
            "{kind} {name} belongs to {owner} and is left as it is: delete or rename it, or give this resource another name"
        ),
    )
}

/// Deletes children that the resource does not declare any more.
pub(super) async fn delete_orphans(
    validated: &Validated,
    children: &[Child],
    context: &Context,
) -> Result<(), ReconcileError> {
    let resource = &validated.identity.resource;
    let wanted: BTreeSet<_> = children
        .iter()
        .map(|child| (child.kind, child.name()))
        .collect();
    for (kind, object) in context
        .caches
        .children_of(&resource.namespace, &resource.uid)
    {
        let name = object.name_any();
        let is_wanted = wanted.contains(&(kind, name.as_str()));
        let is_leaving = object.metadata.deletion_timestamp.is_some();
        // A volume holds data: it goes with its resource and not with an edit.
        if is_wanted || is_leaving || kind == ChildKind::PersistentVolumeClaim {
            continue;
        }
        tracing::info!(
            kind = kind.as_str(),
            object = name,
            "it is not declared any more"
        );
        context.writer.delete(kind, &object).await?;
    }
    Ok(())
}

/// Applies topics that are missing or configured differently, and tells how each is.
pub(super) async fn apply_topics(
    validated: &Validated,
    topics: &[Topic],
    context: &Context,
) -> Result<Vec<(String, Readiness)>, ReconcileError> {
    let Some(of_strimzi) = &validated.topics else {
        return Ok(Vec::new());
    };
    let resource = &validated.identity.resource;
    // One manager for each resource: two that configure a topic differently are a conflict, and not last come, last served.
    let manager = format!("ordermill/{}", resource.uid);
    let mut all = Vec::new();
    for topic in topics {
        let name = topic.object.name_any();
        let there = context
            .caches
            .strimzi("KafkaTopic", "kafkatopics", &of_strimzi.namespace, &name)
            .await?;
        if needs_apply(topic, there.as_ref()) {
            let applied = context.writer.apply_topic(topic, &manager).await;
            applied.map_err(|error| conflict(&name, error))?;
        }
        let state = there.as_ref().map_or(Readiness::Unknown, readiness);
        all.push((name, state));
    }
    Ok(all)
}

fn needs_apply(topic: &Topic, there: Option<&Value>) -> bool {
    let Some(there) = there else {
        return true;
    };
    topic.is_configured && !covers(&there["spec"], &topic.object.data["spec"])
}

fn conflict(name: &str, error: ReconcileError) -> ReconcileError {
    match &error {
        ReconcileError::Api { source, .. } if source.code() == Some(409) => {
            ReconcileError::declared(
                Category::TopicConflict,
                format!(
                    "KafkaTopic {name} is configured differently by somebody else, whose it stays: {source}; let one resource alone declare partitions, replicas and config"
                ),
            )
        }
        _ => error,
    }
}
