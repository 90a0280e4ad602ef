//! The loop of one kind in one scope: what changes is reconciled, no object twice at once.

use std::sync::Arc;

use futures::{StreamExt as _, future, stream};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, Resource, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::cluster::caches::Scope;
use crate::cluster::triggers::{Trigger, Triggers};
use crate::kinds::Kind;
use crate::pipeline::dereference::refers_to;
use crate::reconcile::{Context, after_error, key, reconcile};

/// Reconciles every object of a kind until cancelled; what is under way then ends first.
pub async fn run<K: Kind>(
    client: Client,
    scope: Scope,
    triggers: Triggers,
    concurrency: u16,
    context: Arc<Context>,
    cancelled: CancellationToken,
) {
    let kind = K::kind(&());
    let (reader, writer) = reflector::store();
    let metrics = context.metrics.clone();
    let (changes, gone) = (context.queue.clone(), context.queue.clone());
    let objects = watcher(
        scope.api::<DeserializeGuard<K>>(&client),
        watcher::Config::default(),
    )
    .default_backoff()
    .modify(|object| object.managed_fields_mut().clear())
    .reflect(writer)
    .inspect(move |event| {
        if let Err(error) = event {
            metrics.watch_failed(K::COMPONENT);
            tracing::warn!(%error, kind = %K::kind(&()), "a watch is interrupted and begins again");
        }
    })
    .applied_objects()
    // A write of the status is no reason to look again.
    .predicate_filter(predicates::generation, PredicateConfig::default())
    .inspect(move |changed| {
        if let Ok(object) = changed {
            changes.add(key(object));
        }
    });
    let (known, queue) = (reader.clone(), context.queue.clone());
    let triggered = triggers.subscribe().flat_map(move |trigger| {
        let objects = concerned(&trigger, &known);
        for object in &objects {
            queue.add(text::<K, _>(object));
        }
        stream::iter(objects)
    });
    Controller::for_stream(objects, reader)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(triggered)
        .graceful_shutdown_on(cancelled.cancelled_owned())
        .run(reconcile::<K>, after_error::<K>, context)
        .for_each(|result| {
            if let Err(controller::Error::ObjectNotFound(object)) = result {
                gone.take(&text::<K, _>(&object));
            }
            future::ready(())
        })
        .await;
    tracing::debug!(%kind, "the controller has ended");
}

/// The objects of a kind that a trigger is about.
fn concerned<K: Kind>(
    trigger: &Trigger,
    known: &Store<DeserializeGuard<K>>,
) -> Vec<ObjectRef<DeserializeGuard<K>>> {
    let all = |is_concerned: &dyn Fn(&DeserializeGuard<K>) -> bool| {
        let objects = known.state();
        let objects = objects.iter().filter(|object| is_concerned(object));
        objects
            .map(|object| ObjectRef::from_obj(&**object))
            .collect()
    };
    match trigger {
        Trigger::One {
            kind,
            namespace,
            name,
        } if *kind == K::kind(&()) || kind == K::COMPONENT => {
            vec![ObjectRef::new(name).within(namespace)]
        }
        Trigger::One { .. } => Vec::new(),
        Trigger::Referring(object) => {
            all(&|it| it.0.as_ref().is_ok_and(|it| refers_to(it, object)))
        }
        Trigger::All => all(&|_| true),
    }
}

/// As [`key`] writes it.
fn text<K: Kind, O: Resource>(object: &ObjectRef<O>) -> String {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    format!("{}/{namespace}/{}", K::kind(&()), object.name)
}
