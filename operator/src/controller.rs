//! The loop of one kind in one scope: what changes is reconciled, no object twice at once.

use std::sync::Arc;

use futures::{StreamExt as _, future};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::cluster::caches::{Scope, Trigger, Triggers};
use crate::kinds::Kind;
use crate::reconcile::{Context, after_error, reconcile};

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
    .predicate_filter(predicates::generation, PredicateConfig::default());
    let named = triggers.subscribe().filter_map(|trigger| {
        future::ready(match trigger {
            Trigger::One {
                kind,
                namespace,
                name,
            } if kind == K::kind(&()) || kind == K::COMPONENT => {
                Some(ObjectRef::new(&name).within(&namespace))
            }
            _ => None,
        })
    });
    let everything = triggers
        .subscribe()
        .filter_map(|trigger| future::ready((trigger == Trigger::All).then_some(())));
    Controller::for_stream(objects, reader)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(named)
        .reconcile_all_on(everything)
        .graceful_shutdown_on(cancelled.cancelled_owned())
        .run(reconcile::<K>, after_error::<K>, context)
        .for_each(|_| future::ready(()))
        .await;
    tracing::debug!(%kind, "the controller has ended");
}
