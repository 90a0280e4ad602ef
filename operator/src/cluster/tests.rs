//! Watches that break, against an API server that breaks them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::core::DeserializeGuard;
use ordermill_crds::Backend;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::caches::{Caches, Scope};
use super::child::ChildKind;
use super::triggers::Triggers;
use crate::fixtures::api_server::{Answer, ApiServer, Seen};
use crate::metrics::Metrics;
use crate::tasks::Tasks;

const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";

fn config_map(version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"version": version},
        "metadata": {"name": "a", "namespace": "shop", "uid": "a", "resourceVersion": version,
            "labels": {"app.kubernetes.io/managed-by": "ordermill"}}})
}

/// Starts the caches; the n-th watch of `ConfigMap`s is answered with the n-th of these, later ones with nothing.
async fn caches(watches: Vec<Answer>) -> (ApiServer, Caches, Metrics) {
    let watches = Mutex::new(watches.into_iter());
    let server = ApiServer::start(move |seen| {
        let is_ours = seen.path == CONFIG_MAPS && seen.is_watch();
        is_ours.then(|| watches.lock().unwrap().next()).flatten()
    });
    server.put(&format!("{CONFIG_MAPS}/a"), config_map("1"));
    let metrics = Metrics::default();
    let tasks = Tasks::new(CancellationToken::new());
    let scope = Scope::Namespace("shop".to_owned());
    let caches = Caches::start(
        &server.client,
        &scope,
        &Triggers::default(),
        &tasks,
        &metrics,
    );
    caches.synced().await;
    (server, caches, metrics)
}

fn version(caches: &Caches) -> Option<Value> {
    let object = caches.child(ChildKind::ConfigMap, "shop", "a")?;
    Some(object.data["data"]["version"].clone())
}

async fn until_version(caches: &Caches, wanted: &str) {
    // Time is paused, so this takes none; what is waited for are the back-offs of the watch.
    for _ in 0..1000 {
        if version(caches) == Some(json!(wanted)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?} and not {wanted}", version(caches));
}

fn requests(server: &ApiServer) -> Vec<Seen> {
    let mut log = server.take_log();
    log.retain(|seen| seen.path == CONFIG_MAPS);
    log
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let change = json!({"type": "MODIFIED", "object": config_map("7")});
    let later = json!({"type": "MODIFIED", "object": config_map("8")});
    let (server, caches, _) = caches(vec![
        Answer::EndOfWatch(vec![change]),
        Answer::EndOfWatch(vec![later]),
    ])
    .await;
    until_version(&caches, "8").await;
    let queries: Vec<_> = requests(&server).into_iter().map(|it| it.query).collect();
    assert!(!queries[0].contains("watch=true"), "{queries:?}");
    assert!(queries[2].contains("resourceVersion=7"), "{queries:?}");
    let lists = queries.iter().filter(|it| !it.contains("watch=true"));
    assert_eq!(lists.count(), 1, "{queries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_listed_anew() {
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410}});
    let (server, caches, metrics) = caches(vec![Answer::EndOfWatch(vec![gone])]).await;
    server.put(&format!("{CONFIG_MAPS}/a"), config_map("90"));
    until_version(&caches, "90").await;
    assert!(
        metrics
            .text()
            .contains("ordermill_operator_watch_errors_total{kind=\"ConfigMap\"} 1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_is_tried_again_with_pauses() {
    let refused = || Answer::failure(500, "InternalError", &json!({}));
    let change = json!({"type": "MODIFIED", "object": config_map("5")});
    let answers = vec![refused(), refused(), Answer::EndOfWatch(vec![change])];
    let begun = tokio::time::Instant::now();
    let (_server, caches, _) = caches(answers).await;
    until_version(&caches, "5").await;
    assert!(begun.elapsed() > Duration::from_millis(500), "no busy loop");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_had_is_waited_for() {
    let failures = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&failures);
    let server = ApiServer::start(move |seen| {
        let is_list = seen.path == CONFIG_MAPS && !seen.is_watch();
        (is_list && count.fetch_add(1, Ordering::SeqCst) < 3)
            .then(|| Answer::failure(429, "TooManyRequests", &json!({})))
    });
    let tasks = Tasks::new(CancellationToken::new());
    let scope = Scope::Namespace("shop".to_owned());
    let triggers = Triggers::default();
    let caches = Caches::start(
        &server.client,
        &scope,
        &triggers,
        &tasks,
        &Metrics::default(),
    );
    let synced = tokio::time::timeout(Duration::from_mins(5), caches.synced());
    assert!(synced.await.is_ok());
    assert_eq!(failures.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_decoded_hides_no_other() {
    let backend = |name: &str, spec: Value| {
        json!({"apiVersion": "ordermill.dev/v1alpha1", "kind": "Backend", "spec": spec,
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"}})
    };
    let server = ApiServer::start(|_| None);
    let path = "/apis/ordermill.dev/v1alpha1/namespaces/shop/backends";
    server.put(
        &format!("{path}/good"),
        backend("good", json!({"app": "Order"})),
    );
    server.put(&format!("{path}/bad"), backend("bad", json!({"app": 7})));
    let tasks = Tasks::new(CancellationToken::new());
    let scope = Scope::Namespace("shop".to_owned());
    let caches = Caches::start(
        &server.client,
        &scope,
        &Triggers::default(),
        &tasks,
        &Metrics::default(),
    );
    caches.synced().await;
    assert!(caches.backend("shop", "good").is_some());
    assert!(caches.backend("shop", "bad").is_none());
    let guard: DeserializeGuard<Backend> =
        serde_json::from_value(backend("bad", json!({"app": 7}))).unwrap();
    assert!(guard.0.is_err(), "else this shows nothing");
}
