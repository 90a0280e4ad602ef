//! What a bundle is made of, read from the cluster. What may not be read is told and left out.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use ordermill_config::MANAGED_SELECTOR;
use ordermill_crds::GROUP;
use serde_json::{Value, json};

use super::bundle::Bundle;
use crate::cluster::{CONCURRENT, Cluster, KINDS, Scope, is_missing, words};

/// Labels that a chart gives the operator.
const OPERATOR: &str = "app.kubernetes.io/name in (ordermill, ordermill-operator)";
/// The operator's Lease.
const LEASE: &str = "ordermill-operator";

/// A kind of objects to list.
#[derive(Debug, Clone, Copy)]
struct Listed {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Whether it is built in: one that is not may be missing.
    is_built_in: bool,
    /// Whether the spec stays out.
    only_status: bool,
}

const fn built_in(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Listed {
    Listed {
        group,
        version,
        kind,
        plural,
        is_built_in: true,
        only_status: false,
    }
}

const fn strimzi(kind: &'static str, plural: &'static str, only_status: bool) -> Listed {
    Listed {
        is_built_in: false,
        only_status,
        ..built_in("kafka.strimzi.io", "v1", kind, plural)
    }
}

const PODS: Listed = built_in("", "v1", "Pod", "pods");
const DEPLOYMENTS: Listed = built_in("apps", "v1", "Deployment", "deployments");

/// What the operator makes.
const CHILDREN: [Listed; 11] = [
    DEPLOYMENTS,
    PODS,
    built_in("apps", "v1", "ReplicaSet", "replicasets"),
    built_in("batch", "v1", "Job", "jobs"),
    built_in("", "v1", "ConfigMap", "configmaps"),
    built_in("", "v1", "Service", "services"),
    built_in("", "v1", "ServiceAccount", "serviceaccounts"),
    built_in("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    built_in(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    ),
    built_in(
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
    ),
    Listed {
        is_built_in: false,
        ..built_in("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
    },
];

/// What Strimzi tells.
const STRIMZI: [Listed; 3] = [
    strimzi("Kafka", "kafkas", true),
    strimzi("KafkaTopic", "kafkatopics", false),
    strimzi("KafkaUser", "kafkausers", true),
];

const EVENTS: Listed = built_in("", "v1", "Event", "events");
const LEASES: Listed = built_in("coordination.k8s.io", "v1", "Lease", "leases");

impl Listed {
    fn resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    fn api(self, cluster: &Cluster, scope: &Scope) -> Api<DynamicObject> {
        let client = cluster.client.clone();
        match scope {
            Scope::All => Api::all_with(client, &self.resource()),
            Scope::Namespace(name) => Api::namespaced_with(client, name, &self.resource()),
        }
    }
}

/// Pods whose logs belong into the bundle.
pub(super) type Pods = Vec<DynamicObject>;

/// Adds our resources, what the operator made of them, what Strimzi tells, and the events of all that.
pub(super) async fn objects(
    cluster: &Cluster,
    resources: Vec<DynamicObject>,
    bundle: &mut Bundle,
) -> Pods {
    let mut known = Known::default();
    let elsewhere = kafka_namespaces(&resources, &cluster.scope);
    for object in resources {
        known.add(&object);
        let kind = KINDS.iter().find(|kind| {
            let types = object.types.as_ref();
            types.is_some_and(|types| types.kind == kind.as_str())
        });
        let folder = kind.map_or("resources", |kind| kind.plural());
        add(bundle, folder, &object, false);
    }
    let managed = ListParams::default().labels(MANAGED_SELECTOR);
    let children = CHILDREN.map(|listed| (listed, cluster.scope.clone(), managed.clone()));
    let everything = ListParams::default();
    let kafka = STRIMZI.into_iter().flat_map(|listed| {
        let scopes = std::iter::once(cluster.scope.clone()).chain(elsewhere.clone());
        scopes.map(move |scope| (listed, scope, ListParams::default()))
    });
    let all: Vec<_> = children.into_iter().chain(kafka).collect();
    let lists = all.iter().map(|(listed, scope, parameters)| async move {
        (*listed, list(cluster, *listed, scope, parameters).await)
    });
    let lists: Vec<_> = stream::iter(lists).buffered(CONCURRENT).collect().await;
    let mut pods = Vec::new();
    for (listed, found) in lists {
        for object in noted(found, bundle) {
            known.add(&object);
            add(bundle, listed.plural, &object, listed.only_status);
            if listed.plural == PODS.plural {
                pods.push(object);
            }
        }
    }
    let events = list(cluster, EVENTS, &cluster.scope, &everything).await;
    for event in noted(events, bundle) {
        if known.is_about(&event.data["involvedObject"]) {
            add(bundle, EVENTS.plural, &event, false);
        }
    }
    pods
}

/// Adds the operator: its Deployment, pods and Lease, wherever it may be found.
pub(super) async fn operator(
    cluster: &Cluster,
    namespace: Option<&str>,
    bundle: &mut Bundle,
) -> Pods {
    let labelled = ListParams::default().labels(OPERATOR);
    let lease = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let given = namespace.map(|name| Scope::Namespace(name.to_owned()));
    let first = given.clone().unwrap_or(Scope::All);
    let mut pods = Vec::new();
    for (listed, parameters) in [
        (DEPLOYMENTS, &labelled),
        (PODS, &labelled),
        (LEASES, &lease),
    ] {
        let mut found = list(cluster, listed, &first, parameters).await;
        if found.is_err() && given.is_none() {
            let own = Scope::Namespace(cluster.namespace.clone());
            if let Ok(here) = list(cluster, listed, &own, parameters).await {
                bundle.unread.push(format!(
                    "{} of an operator in other namespaces: give --operator-namespace",
                    listed.plural
                ));
                found = Ok(here);
            }
        }
        for object in noted(found, bundle) {
            add(bundle, listed.plural, &object, false);
            if listed.plural == PODS.plural {
                pods.push(object);
            }
        }
    }
    pods
}

/// Adds the versions of everything.
pub(super) async fn versions(cluster: &Cluster, bundle: &mut Bundle) {
    let server = cluster.client.apiserver_version().await;
    let server = server.map(|info| info.git_version);
    let server =
        server.map_err(|error| format!("the version of the API server: {}", words(&error)));
    let server = note_one(server, bundle);
    let definitions = Listed {
        is_built_in: false,
        ..built_in(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        )
    };
    let api = definitions.api(cluster, &Scope::All);
    let mut told = Vec::new();
    for kind in KINDS {
        let name = format!("{}.{GROUP}", kind.plural());
        let got = api.get_opt(&name).await;
        let got = got.map_err(|error| format!("the definition {name}: {}", words(&error)));
        let Some(found) = note_one(got, bundle) else {
            continue;
        };
        told.push(match found {
            None => json!({"name": name, "missing": true}),
            Some(found) => {
                let versions = found.data["spec"]["versions"].as_array().into_iter().flatten();
                let versions: Vec<Value> = versions
                    .map(|it| json!({"name": it["name"], "served": it["served"], "storage": it["storage"]}))
                    .collect();
                json!({
                    "name": name,
                    "generation": found.metadata.generation,
                    "storedVersions": found.data["status"]["storedVersions"],
                    "versions": versions,
                })
            }
        });
    }
    let versions = json!({
        "ordermill": env!("CARGO_PKG_VERSION"),
        "apiServer": server,
        "definitions": told,
    });
    bundle.object("versions.yaml".to_owned(), versions);
}

fn add(bundle: &mut Bundle, folder: &str, object: &DynamicObject, only_status: bool) {
    let name = object.name_any();
    let path = match object.namespace() {
        Some(namespace) => format!("namespaces/{namespace}/{folder}/{name}.yaml"),
        None => format!("{folder}/{name}.yaml"),
    };
    match serde_json::to_value(object) {
        Ok(mut value) => {
            if only_status && let Some(fields) = value.as_object_mut() {
                fields.remove("spec");
            }
            bundle.object(path, value);
        }
        Err(error) => bundle.unread.push(format!("{path}: {error}")),
    }
}

async fn list(
    cluster: &Cluster,
    listed: Listed,
    scope: &Scope,
    parameters: &ListParams,
) -> Result<Vec<DynamicObject>, String> {
    match listed.api(cluster, scope).list(parameters).await {
        Ok(found) => {
            // A list names the kind once, and each file needs it.
            let types = kube::core::TypeMeta {
                api_version: listed.resource().api_version,
                kind: listed.kind.to_owned(),
            };
            let objects = found.items.into_iter().map(|mut object| {
                object.types.get_or_insert_with(|| types.clone());
                object
            });
            Ok(objects.collect())
        }
        Err(error) if is_missing(&error) && !listed.is_built_in => Ok(Vec::new()),
        Err(error) => Err(format!(
            "{} {}: {}",
            listed.plural,
            scope.words(),
            words(&error)
        )),
    }
}

fn noted(found: Result<Vec<DynamicObject>, String>, bundle: &mut Bundle) -> Vec<DynamicObject> {
    note_one(found, bundle).unwrap_or_default()
}

fn note_one<T>(found: Result<T, String>, bundle: &mut Bundle) -> Option<T> {
    found.map_err(|why| bundle.unread.push(why)).ok()
}

/// Namespaces outside the scope with a Kafka that a resource uses.
fn kafka_namespaces(resources: &[DynamicObject], scope: &Scope) -> Vec<Scope> {
    let Scope::Namespace(own) = scope else {
        return Vec::new();
    };
    let named = resources
        .iter()
        .filter_map(|it| it.data["spec"]["kafka"]["strimzi"]["namespace"].as_str());
    let others: BTreeSet<_> = named.filter(|name| name != own).collect();
    let others = others
        .into_iter()
        .map(|name| Scope::Namespace(name.to_owned()));
    others.collect()
}

/// The objects in a bundle, for telling whose events belong there.
#[derive(Debug, Default)]
struct Known {
    uids: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Known {
    fn add(&mut self, object: &DynamicObject) {
        self.uids.extend(object.uid());
        self.names.insert(object.name_any());
    }

    fn is_about(&self, about: &Value) -> bool {
        let text = |field: &str| about[field].as_str().unwrap_or_default();
        let kind = text("kind");
        let name = text("name");
        // A pod that is gone has the name of its Deployment or Job in front.
        let is_child = kind == "Pod"
            && name
                .match_indices('-')
                .any(|(end, _)| self.names.contains(&name[..end]));
        self.uids.contains(text("uid"))
            || KINDS
                .iter()
                .any(|ours| ours.as_str() == kind && text("apiVersion").starts_with(GROUP))
            || is_child
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_others_stay_out() {
        let mut known = Known::default();
        known.add(&serde_yaml::from_str("metadata: {name: wood-producer, uid: u}").unwrap());
        let about = |yaml: &str| known.is_about(&serde_yaml::from_str(yaml).unwrap());
        assert!(about("{kind: Deployment, uid: u}"));
        assert!(about("{kind: Pod, name: wood-producer-abc-def, uid: gone}"));
        assert!(about(
            "{kind: Worker, apiVersion: ordermill.dev/v1alpha1, name: a, uid: x}"
        ));
        assert!(!about("{kind: Pod, name: wood-shop-abc, uid: x}"));
        assert!(!about(
            "{kind: Worker, apiVersion: other.dev/v1, name: a, uid: x}"
        ));
    }

    #[test]
    fn a_kafka_elsewhere_is_looked_for_there() {
        let resource = |namespace: &str| {
            let yaml = format!(
                "{{metadata: {{name: a}}, spec: {{kafka: {{strimzi: {{namespace: {namespace}}}}}}}}}"
            );
            serde_yaml::from_str(&yaml).unwrap()
        };
        let resources = [resource("kafka"), resource("shop"), resource("kafka")];
        let found = kafka_namespaces(&resources, &Scope::Namespace("shop".to_owned()));
        assert_eq!(found, [Scope::Namespace("kafka".to_owned())]);
        assert_eq!(kafka_namespaces(&resources, &Scope::All), []);
    }
}
