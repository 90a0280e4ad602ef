//! What the operator knows of the cluster: watches that are kept up to date, each telling whom a change concerns.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt as _};
use ordermill_config::MANAGED_SELECTOR;
use ordermill_crds::Backend;
use serde_json::Value;

use super::child::ChildKind;
use super::feed::Feed;
use super::served;
use super::triggers::{Reference, Trigger, Triggers, owner, resource_of};
use crate::error::{Category, ReconcileError};
use crate::labels::INSTANCE;
use crate::metrics::Metrics;
use crate::pipeline::build::resource as strimzi_resource;
use crate::strimzi;
use crate::tasks::Tasks;

/// How long a reconcile waits for a watch that it has begun.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// The part of the cluster that is looked after.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All namespaces.
    Cluster,
    /// One of them.
    Namespace(String),
}

impl Scope {
    /// Requests for objects of a kind in this scope.
    #[must_use]
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }

    fn dynamic(&self, client: &Client, resource: &ApiResource) -> Api<DynamicObject> {
        match self {
            Self::Cluster => Api::all_with(client.clone(), resource),
            Self::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        }
    }
}

/// Objects of Strimzi's, by kind and namespace; watched from when a resource first needs them.
type StrimziStores = HashMap<(&'static str, String), Store<DynamicObject>>;

/// The caches of one scope.
pub struct Caches {
    client: Client,
    children: BTreeMap<ChildKind, Store<DynamicObject>>,
    pods: Store<Pod>,
    backends: Store<DeserializeGuard<Backend>>,
    strimzi: Mutex<StrimziStores>,
    triggers: Triggers,
    tasks: Tasks,
    metrics: Metrics,
}

impl Caches {
    /// Begins all watches.
    #[must_use]
    pub fn start(
        client: &Client,
        scope: &Scope,
        triggers: &Triggers,
        tasks: &Tasks,
        metrics: &Metrics,
    ) -> Self {
        let ours = || watcher::Config::default().labels(MANAGED_SELECTOR);
        let children = ChildKind::ALL
            .into_iter()
            .map(|kind| {
                let resource = kind.resource();
                let api = scope.dynamic(client, &resource);
                let triggers = triggers.clone();
                let changed = move |object: &DynamicObject| {
                    if let Some(trigger) = owner(object) {
                        triggers.send(&trigger);
                    }
                };
                let feed = Feed {
                    tasks,
                    metrics,
                    what: kind.as_str(),
                };
                (kind, feed.start(api, ours(), resource, changed))
            })
            .collect();
        let to_pods = triggers.clone();
        let feed = |what| Feed {
            tasks,
            metrics,
            what,
        };
        let pods = feed("Pod").start(scope.api::<Pod>(client), ours(), (), move |pod: &Pod| {
            if let Some(trigger) = resource_of(pod) {
                to_pods.send(&trigger);
            }
        });
        let to_callers = triggers.clone();
        let backends = feed("Backend").start(
            scope.api::<DeserializeGuard<Backend>>(client),
            watcher::Config::default(),
            (),
            // Whoever refers to it by name; what the status says does not matter to them.
            generation_changes(move |reference| to_callers.send(&Trigger::Referring(reference))),
        );
        Self {
            client: client.clone(),
            children,
            pods,
            backends,
            strimzi: Mutex::default(),
            triggers: triggers.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        }
    }

    /// Waits until every watch has listed what there is.
    pub async fn synced(&self) {
        for store in self.children.values() {
            // Only a watch that has ended is an error, and then its task ends the process.
            _ = store.wait_until_ready().await;
        }
        _ = self.pods.wait_until_ready().await;
        _ = self.backends.wait_until_ready().await;
    }

    /// A child by its name.
    #[must_use]
    pub fn child(
        &self,
        kind: ChildKind,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<DynamicObject>> {
        let key = ObjectRef::new_with(name, kind.resource()).within(namespace);
        self.children.get(&kind)?.get(&key)
    }

    /// Every child of a resource.
    #[must_use]
    pub fn children_of(&self, namespace: &str, uid: &str) -> Vec<(ChildKind, Arc<DynamicObject>)> {
        let is_child = |object: &DynamicObject| {
            let owners = object.metadata.owner_references.iter().flatten();
            object.metadata.namespace.as_deref() == Some(namespace)
                && owners.into_iter().any(|owner| owner.uid == uid)
        };
        self.children
            .iter()
            .flat_map(|(kind, store)| {
                let found = store.state_filter(is_child);
                found.into_iter().map(|object| (*kind, object))
            })
            .collect()
    }

    /// The pods with a common name of children.
    #[must_use]
    pub fn pods_of(&self, namespace: &str, child_name: &str) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.state_filter(|pod: &Pod| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && pod
                    .labels()
                    .get(INSTANCE)
                    .is_some_and(|it| it == child_name)
        });
        pods.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        pods
    }

    /// A Backend by its name.
    #[must_use]
    pub fn backend(&self, namespace: &str, name: &str) -> Option<Backend> {
        let key = ObjectRef::<DeserializeGuard<Backend>>::new(name).within(namespace);
        self.backends.get(&key)?.0.as_ref().ok().cloned()
    }

    /// An object of Strimzi's. The first one of a kind and namespace begins a watch.
    ///
    /// # Errors
    /// When the cluster does not serve Strimzi's kinds, or the watch does not begin in time.
    pub async fn strimzi(
        &self,
        kind: &'static str,
        plural: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ReconcileError> {
        let resource = strimzi_resource(kind, plural);
        let known = self.strimzi_store(kind, namespace);
        let store = if let Some(store) = known {
            store
        } else {
            self.check_served().await?;
            self.watch_strimzi(kind, namespace, &resource)
        };
        let ready = tokio::time::timeout(FIRST_LIST, store.wait_until_ready()).await;
        if !matches!(ready, Ok(Ok(()))) {
            let message = format!("{kind}s of namespace {namespace} cannot be listed");
            return Err(ReconcileError::declared(Category::ApiUnavailable, message));
        }
        let key = ObjectRef::new_with(name, resource).within(namespace);
        let object = store.get(&key);
        Ok(object.and_then(|object| serde_json::to_value(&*object).ok()))
    }

    async fn check_served(&self) -> Result<(), ReconcileError> {
        let group_version = format!("{}/{}", strimzi::GROUP, strimzi::VERSION);
        let served = served::is_served(&self.client, &group_version)
            .await
            .map_err(ReconcileError::api(format!("ask for {group_version}")))?;
        if served {
            return Ok(());
        }
        Err(ReconcileError::declared(
            Category::KafkaNotFound,
            format!(
                "spec.kafka.strimzi: this cluster does not serve {group_version}: install Strimzi, or set spec.kafka.bootstrapServers"
            ),
        ))
    }

    fn strimzi_store(&self, kind: &'static str, namespace: &str) -> Option<Store<DynamicObject>> {
        let stores = self.strimzi.lock().unwrap_or_else(PoisonError::into_inner);
        stores.get(&(kind, namespace.to_owned())).cloned()
    }

    fn watch_strimzi(
        &self,
        kind: &'static str,
        namespace: &str,
        resource: &ApiResource,
    ) -> Store<DynamicObject> {
        let mut stores = self.strimzi.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let api = Api::namespaced_with(self.client.clone(), namespace, resource);
            let triggers = self.triggers.clone();
            let feed = Feed {
                tasks: &self.tasks,
                metrics: &self.metrics,
                what: kind,
            };
            let config = watcher::Config::default();
            let namespace = namespace.to_owned();
            feed.start(
                api,
                config,
                resource.clone(),
                move |object: &DynamicObject| {
                    triggers.send(&Trigger::Referring(Reference {
                        kind,
                        namespace: namespace.clone(),
                        name: object.name_any(),
                    }));
                },
            )
        };
        stores
            .entry((kind, namespace.to_owned()))
            .or_insert_with(start)
            .clone()
    }
}

/// Calls `tell` when an object's generation changes, or one is new.
fn generation_changes(tell: impl Fn(Reference)) -> impl Fn(&DeserializeGuard<Backend>) {
    let seen: Mutex<HashMap<String, Option<i64>>> = Mutex::default();
    move |object| {
        let Some(uid) = object.meta().uid.clone() else {
            return;
        };
        let generation = object.meta().generation;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(uid, generation) != Some(generation) {
            tell(Reference {
                kind: "Backend",
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            });
        }
    }
}
