//! The loop of one kind in one scope: what changes is reconciled, no object twice at once.

use std::sync::Arc;

use futures::{StreamExt as _, future};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::cluster::caches::Scope;
use crate::cluster::triggers::{Trigger, Triggers};
use crate::kinds::Kind;
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
    let [changes, asked_for, gone] = std::array::from_fn(|_| context.queue.clone());
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
    let named = triggers.subscribe().filter_map(move |trigger| {
        future::ready(match trigger {
            Trigger::One {
                kind,
                namespace,
                name,
            } if kind == K::kind(&()) || kind == K::COMPONENT => {
                asked_for.add(format!("{}/{namespace}/{name}", K::kind(&())));
                Some(ObjectRef::new(&name).within(&namespace))
            }
            _ => None,
        })
    });
    let (all, queue) = (reader.clone(), context.queue.clone());
    let everything = triggers.subscribe().filter_map(move |trigger| {
        future::ready((trigger == Trigger::All).then(|| {
            for object in all.state() {
                queue.add(key(&*object));
            }
        }))
    });
    Controller::for_stream(objects, reader)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(named)
        .reconcile_all_on(everything)
        .graceful_shutdown_on(cancelled.cancelled_owned())
        .run(reconcile::<K>, after_error::<K>, context)
        .for_each(|result| {
            if let Err(controller::Error::ObjectNotFound(object)) = result {
                let namespace = object.namespace.unwrap_or_default();
                gone.take(&format!("{}/{namespace}/{}", K::kind(&()), object.name));
            }
            future::ready(())
        })
        .await;
    tracing::debug!(%kind, "the controller has ended");
}
