//! `--watch`: views follow the cluster's own watches.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use ordermill_runtime::shutdown;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::view::overview;
use super::{Failure, View, of_one};
use crate::cluster::{Cluster, ClusterError, KINDS, Kind, Reference, Resource};

/// Changes that come within this are shown together.
const TOGETHER: Duration = Duration::from_millis(200);
/// How often pods are asked again, whose numbers no watch tells.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often ages are drawn anew on a terminal.
const TICK: Duration = Duration::from_secs(1);

/// Shows every change until a signal; gives what was shown last.
pub(crate) async fn watch(
    cluster: &Cluster,
    resource: Option<&Reference>,
    first: View,
    output: &mut Output,
) -> Result<View, Failure> {
    let cancelled = CancellationToken::new();
    shutdown::cancel_on_signal(cancelled.clone()).map_err(Failure::Signals)?;
    match resource {
        None => follow_all(cluster, first, output, &cancelled).await,
        Some(reference) => follow_one(cluster, reference, first, output, &cancelled).await,
    }
}

/// All resources, as far as they are known.
#[derive(Default)]
struct Store {
    resources: BTreeMap<Kind, BTreeMap<(String, String), Resource>>,
    listing: BTreeMap<Kind, BTreeMap<(String, String), Resource>>,
    troubles: BTreeMap<Kind, String>,
}

impl Store {
    fn take(&mut self, kind: Kind, event: watcher::Result<watcher::Event<DynamicObject>>) {
        let place = |object: &DynamicObject| {
            let metadata = &object.metadata;
            let namespace = metadata.namespace.clone().unwrap_or_default();
            (namespace, metadata.name.clone().unwrap_or_default())
        };
        match event {
            Ok(watcher::Event::Init) => {
                self.listing.insert(kind, BTreeMap::new());
            }
            Ok(watcher::Event::InitApply(object)) => {
                let listing = self.listing.entry(kind).or_default();
                listing.insert(place(&object), Resource::new(kind, object));
            }
            Ok(watcher::Event::InitDone) => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                self.resources.insert(kind, listed);
                self.troubles.remove(&kind);
            }
            Ok(watcher::Event::Apply(object)) => {
                let resources = self.resources.entry(kind).or_default();
                resources.insert(place(&object), Resource::new(kind, object));
                self.troubles.remove(&kind);
            }
            Ok(watcher::Event::Delete(object)) => {
                let resources = self.resources.entry(kind).or_default();
                resources.remove(&place(&object));
            }
            Err(error) => {
                let why = match &error {
                    watcher::Error::InitialListFailed(error)
                    | watcher::Error::WatchStartFailed(error)
                    | watcher::Error::WatchFailed(error) => crate::cluster::words(error),
                    other => other.to_string(),
                };
                let note = format!("{} are not followed: {why}", kind.plural());
                self.troubles.insert(kind, note);
            }
        }
    }

    /// Whether every kind has been listed, or is known not to be.
    fn is_complete(&self) -> bool {
        KINDS
            .iter()
            .all(|kind| self.resources.contains_key(kind) || self.troubles.contains_key(kind))
    }

    fn view(&self) -> View {
        let resources = self.resources.values().flat_map(BTreeMap::values);
        let resources: Vec<_> = resources.cloned().collect();
        View::Overview(overview(
            &resources,
            self.troubles.values().cloned().collect(),
        ))
    }
}

async fn follow_all(
    cluster: &Cluster,
    first: View,
    output: &mut Output,
    cancelled: &CancellationToken,
) -> Result<View, Failure> {
    let streams = KINDS.map(|kind| {
        watcher(cluster.api(kind), watcher::Config::default())
            .default_backoff()
            .map(move |event| (kind, event))
            .boxed()
    });
    let mut events = stream::select_all(streams);
    let mut store = Store::default();
    let mut view = first;
    let mut due: Option<Instant> = None;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let draw_at = due.unwrap_or_else(Instant::now);
        let goes_on = tokio::select! {
            () = cancelled.cancelled() => return Ok(view),
            Some((kind, event)) = events.next() => {
                store.take(kind, event);
                due = due.or_else(|| Some(Instant::now() + TOGETHER));
                true
            }
            () = sleep_until(draw_at), if due.is_some() => {
                due = None;
                if store.is_complete() {
                    view = store.view();
                }
                shown(output, &view)?
            }
            _ = tick.tick(), if output.is_screen() => shown(output, &view)?,
        };
        if !goes_on {
            return Ok(view);
        }
    }
}

/// Whether somebody still reads.
fn shown(output: &mut Output, view: &View) -> Result<bool, Failure> {
    output.show(view).map_err(Failure::Write)
}

async fn follow_one(
    cluster: &Cluster,
    reference: &Reference,
    first: View,
    output: &mut Output,
    cancelled: &CancellationToken,
) -> Result<View, Failure> {
    let mut changes = changes(cluster, reference).await;
    let mut view = first;
    let mut ask = interval(ASK_EVERY);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ask.reset();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let is_due = tokio::select! {
            () = cancelled.cancelled() => return Ok(view),
            Some(()) = changes.next() => true,
            _ = ask.tick() => true,
            _ = tick.tick(), if output.is_screen() => false,
        };
        if is_due {
            // What else changes right now is told by the same look.
            tokio::select! {
                () = cancelled.cancelled() => return Ok(view),
                () = tokio::time::sleep(TOGETHER) => {}
            }
            while futures::FutureExt::now_or_never(changes.next())
                .flatten()
                .is_some()
            {}
            view = match cluster.get(reference).await {
                Ok(resource) => of_one(cluster, resource).await,
                Err(error @ ClusterError::NotFound { .. }) => return Err(error.into()),
                // A cluster that is away for a moment is no reason to end.
                Err(error) => with_note(view, &error),
            };
        }
        if !shown(output, &view)? {
            return Ok(view);
        }
    }
}

fn with_note(view: View, error: &ClusterError) -> View {
    match view {
        View::Detail(mut detail) => {
            detail.notes = vec![format!("this may be old: {error}")];
            View::Detail(detail)
        }
        other @ View::Overview(_) => other,
    }
}

/// Something for each change of the resource or of one of its pods. Where a watch is refused nothing comes of it, and the
/// resource is looked at every few seconds all the same.
async fn changes(cluster: &Cluster, reference: &Reference) -> BoxStream<'static, ()> {
    let scope = cluster.api(reference.kind);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", reference.name));
    let resource = watcher(scope, only).default_backoff().filter_map(touched);
    let found = cluster.get(reference).await.ok();
    let selector = found.and_then(|resource| resource.status()?.selector);
    let Some(selector) = selector else {
        return resource.boxed();
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let theirs = watcher::Config::default().labels(&selector);
    let pods = watcher(pods, theirs).default_backoff().filter_map(touched);
    stream::select(resource.boxed(), pods.boxed()).boxed()
}

async fn touched<K>(event: watcher::Result<watcher::Event<K>>) -> Option<()> {
    matches!(
        event,
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_))
    )
    .then_some(())
}
