//! Everything that is read for one resource. What may not be read becomes a note.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use ordermill_config::{ADMIN_PORT, StateReport};

use super::pods::AskedPod;
use super::view::Facts;
use crate::cluster::{CONCURRENT, Cluster, Resource, is_forbidden, is_missing, words};

/// A pod answers from memory; the API server waits far longer for one that is gone.
const POD_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads what belongs to a resource.
pub(crate) async fn gather(cluster: &Cluster, resource: Resource) -> Facts {
    let (pods, events, topics) = tokio::join!(
        pods(&cluster.client, &resource),
        events(&cluster.client, &resource),
        kafka_topics(&cluster.client, &resource),
    );
    let mut notes = Vec::new();
    let pods = noted(pods, &mut notes);
    let events = noted(events, &mut notes);
    let kafka_topics = noted(topics, &mut notes).flatten();
    Facts {
        resource,
        pods,
        kafka_topics,
        events,
        notes,
    }
}

fn noted<T>(found: Result<T, String>, notes: &mut Vec<String>) -> Option<T> {
    found.map_err(|note| notes.push(note)).ok()
}

async fn pods(client: &Client, resource: &Resource) -> Result<Vec<AskedPod>, String> {
    let namespace = resource.namespace();
    // A status without a selector is of a resource that has no pods yet.
    let Some(selector) = resource.status().and_then(|status| status.selector) else {
        return Ok(Vec::new());
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let listed = api.list(&ListParams::default().labels(&selector)).await;
    let listed = listed.map_err(|error| not_shown("pods", "list pods", &namespace, &error))?;
    let is_refused = AtomicBool::new(false);
    let asked = listed.items.into_iter().map(|pod| async {
        // One refusal is one of all.
        let state = if is_refused.load(Ordering::Relaxed) {
            Err("you may not get pods/proxy".to_owned())
        } else {
            state(client, &namespace, &pod, &is_refused).await
        };
        AskedPod { pod, state }
    });
    Ok(futures::stream::iter(asked)
        .buffered(CONCURRENT)
        .collect()
        .await)
}

async fn state(
    client: &Client,
    namespace: &str,
    pod: &Pod,
    is_refused: &AtomicBool,
) -> Result<StateReport, String> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if phase != Some("Running") {
        return Err(format!("it is {}", phase.unwrap_or("not scheduled")));
    }
    let name = pod.name_any();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{ADMIN_PORT}/proxy/state");
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(POD_TIMEOUT, client.request::<StateReport>(request)).await;
    match answer {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(error)) if is_forbidden(&error) => {
            is_refused.store(true, Ordering::Relaxed);
            Err("you may not get pods/proxy".to_owned())
        }
        Ok(Err(error)) => Err(words(&error)),
        Err(_) => Err(format!("no answer within {} s", POD_TIMEOUT.as_secs())),
    }
}

async fn events(client: &Client, resource: &Resource) -> Result<Vec<Event>, String> {
    let namespace = resource.namespace();
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let of_it = format!("involvedObject.uid={}", resource.uid());
    let listed = api.list(&ListParams::default().fields(&of_it)).await;
    let listed = listed.map_err(|error| not_shown("events", "list events", &namespace, &error))?;
    Ok(listed.items)
}

/// The `KafkaTopic`s of the resource's cluster, where Strimzi runs it.
async fn kafka_topics(
    client: &Client,
    resource: &Resource,
) -> Result<Option<Vec<DynamicObject>>, String> {
    let strimzi = &resource.raw_spec()["kafka"]["strimzi"];
    let Some(cluster) = strimzi["cluster"].as_str() else {
        return Ok(None);
    };
    let own = resource.namespace();
    let namespace = strimzi["namespace"].as_str().unwrap_or(&own);
    let kind = GroupVersionKind::gvk("kafka.strimzi.io", "v1", "KafkaTopic");
    let kind = ApiResource::from_gvk_with_plural(&kind, "kafkatopics");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let of_cluster = format!("strimzi.io/cluster={cluster}");
    match api.list(&ListParams::default().labels(&of_cluster)).await {
        Ok(listed) => Ok(Some(listed.items)),
        Err(error) if is_missing(&error) => {
            Err("the cluster has no KafkaTopics: is Strimzi installed?".to_owned())
        }
        Err(error) => Err(not_shown(
            "what Strimzi says of the topics",
            "list kafkatopics",
            namespace,
            &error,
        )),
    }
}

fn not_shown(what: &str, verb: &str, namespace: &str, error: &kube::Error) -> String {
    if is_forbidden(error) {
        return format!("not shown: {what}: you may not {verb} in namespace {namespace}");
    }
    format!("not shown: {what}: {}", words(error))
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::cluster::{Kind, Scope};
    use crate::status::testing::resource;

    const RESOURCE: &str = "
metadata: {name: food, namespace: shop, uid: u}
spec: {model: FoodOrder, kafka: {strimzi: {cluster: mill, namespace: kafka, listener: tls}}}
status: {selector: app=food}
";

    /// What is found where the API server answers each path with a status and a body.
    async fn found(answer: fn(&str) -> (u16, serde_json::Value)) -> Facts {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let server = tokio::spawn(async move {
            while let Some((request, send)) = handle.next_request().await {
                let path = request.uri().path_and_query().unwrap().as_str().to_owned();
                let (status, body) = answer(&path);
                let body = Body::from(body.to_string().into_bytes());
                let response = Response::builder().status(status).body(body).unwrap();
                send.send_response(response);
            }
        });
        let cluster = Cluster {
            client: Client::new(service, "shop"),
            server: "https://k".to_owned(),
            scope: Scope::Namespace("shop".to_owned()),
            namespace: "shop".to_owned(),
        };
        let facts = gather(&cluster, resource(Kind::Producer, RESOURCE)).await;
        server.abort();
        facts
    }

    fn list(kind: &str, items: &serde_json::Value) -> (u16, serde_json::Value) {
        let list = json!({"apiVersion": "v1", "kind": format!("{kind}List"), "metadata": {}, "items": items});
        (200, list)
    }

    fn forbidden(message: &str) -> (u16, serde_json::Value) {
        let status = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": message});
        (403, status)
    }

    fn pods() -> (u16, serde_json::Value) {
        let pod = |name: &str, phase: &str| json!({"metadata": {"name": name}, "status": {"phase": phase}});
        list(
            "Pod",
            &json!([
                pod("food-1", "Running"),
                pod("food-2", "Running"),
                pod("food-3", "Pending")
            ]),
        )
    }

    #[tokio::test]
    async fn each_running_pod_is_asked_through_the_api_server() {
        let facts = found(|path| match path {
            "/api/v1/namespaces/shop/pods?&labelSelector=app%3Dfood" => pods(),
            "/api/v1/namespaces/shop/pods/food-1:8081/proxy/state" => (
                200,
                json!({"generation": 7, "state": "Running", "observed": {"events": 5}, "what": "a newer pod tells"}),
            ),
            "/api/v1/namespaces/shop/pods/food-2:8081/proxy/state" => {
                (503, json!({"kind": "Status", "code": 503, "message": "no route to host"}))
            }
            "/apis/kafka.strimzi.io/v1/namespaces/kafka/kafkatopics?&labelSelector=strimzi.io%2Fcluster%3Dmill" => {
                list("KafkaTopic", &json!([{"metadata": {"name": "order-events"}}]))
            }
            "/api/v1/namespaces/shop/events?&fieldSelector=involvedObject.uid%3Du" => list("Event", &json!([])),
            other => panic!("{other}"),
        })
        .await;
        assert_eq!(facts.notes, [""; 0]);
        let pods = facts.pods.unwrap();
        assert_eq!(pods[0].state.as_ref().unwrap().generation, 7);
        assert_eq!(pods[1].state.as_ref().unwrap_err(), "no route to host");
        assert_eq!(pods[2].state.as_ref().unwrap_err(), "it is Pending");
        assert_eq!(facts.kafka_topics.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_may_not_be_read_becomes_a_note() {
        let facts = found(|path| match path {
            path if path.contains("/proxy/") => forbidden("no proxy"),
            path if path.contains("/pods") => pods(),
            path if path.contains("kafkatopics") => (
                404,
                json!({"kind": "Status", "code": 404, "message": "none"}),
            ),
            _ => forbidden("no events"),
        })
        .await;
        let notes = [
            "not shown: events: you may not list events in namespace shop",
            "the cluster has no KafkaTopics: is Strimzi installed?",
        ];
        assert_eq!(facts.notes, notes);
        let pods = facts.pods.unwrap();
        assert_eq!(
            pods[0].state.as_ref().unwrap_err(),
            "you may not get pods/proxy"
        );
    }
}
