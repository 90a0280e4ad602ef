//! One watch into one cache.

use std::fmt::Debug;
use std::hash::Hash;
use std::pin::pin;

use futures::StreamExt as _;
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::metrics::Metrics;
use crate::tasks::Tasks;

/// What a watch runs with.
pub(super) struct Feed<'a> {
    pub tasks: &'a Tasks,
    pub metrics: &'a Metrics,
    pub what: &'static str,
}

impl Feed<'_> {
    /// Begins the watch; `changed` is called for each object that comes, changes or goes.
    pub fn start<K>(
        self,
        api: Api<K>,
        config: watcher::Config,
        dynamic_type: K::DynamicType,
        changed: impl Fn(&K) + Send + 'static,
    ) -> Store<K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Eq + Hash + Clone + Send + Sync,
    {
        let writer = reflector::store::Writer::new(dynamic_type);
        let store = writer.as_reader();
        let (metrics, what) = (self.metrics.clone(), self.what);
        self.tasks.spawn(format!("watch of {what}"), async move {
            let events = watcher::watcher(api, config)
                .default_backoff()
                // They are large, and nobody here reads them.
                .modify(|object| object.managed_fields_mut().clear());
            let mut events = pin!(reflector(writer, events));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                        changed(&object);
                    }
                    Ok(Event::Init | Event::InitDone) => {}
                    Err(error) => {
                        metrics.watch_failed(what);
                        tracing::warn!(%error, "the watch of {what} is interrupted and begins again");
                    }
                }
            }
        });
        store
    }
}
