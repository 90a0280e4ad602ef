//! Which requests a reconcile sends.

use super::*;

#[tokio::test(start_paused = true)]
async fn each_child_is_applied_once_and_then_nothing() {
    let server = ApiServer::start(|_| None);
    let stage = Stage::set(server.clone()).await;
    let mut resource = wood(SPEC);
    stage.reconcile(&resource).await.unwrap();
    let log = server.take_log();
    let writes: Vec<_> = log.iter().filter(|it| it.is_write()).collect();
    assert_eq!(
        writes.iter().map(|it| it.short()).collect::<Vec<_>>(),
        [
            "PATCH serviceaccounts/wood-producer",
            "PATCH configmaps/wood-producer",
            "PATCH poddisruptionbudgets/wood-producer",
            "PATCH deployments/wood-producer",
            "PATCH wood/status",
            "POST shop/events",
        ]
    );
    for apply in &writes[..5] {
        assert!(
            apply.query.contains("fieldManager=ordermill") && apply.query.contains("force=true"),
            "{}",
            apply.query
        );
    }
    assert_eq!(status_of(&log)["phase"], "Pending");
    assert_eq!(status_of(&log)["conditions"][0]["reason"], "Progressing");
    // Before a child is made it is looked whether somebody else has made it.
    let reads: Vec<_> = log.iter().filter(|it| !it.is_write()).collect();
    assert_eq!(reads.len(), 4);

    // Another operator that finds all this, and the status, changes nothing.
    resource.status = Some(serde_json::from_value(status_of(&log).clone()).unwrap());
    let next = Stage::set(server.clone()).await;
    next.reconcile(&resource).await.unwrap();
    assert!(server.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tuning_writes_the_config_map_and_the_status_alone() {
    let server = ApiServer::start(|_| None);
    let stage = Stage::set(server.clone()).await;
    stage.reconcile(&wood(SPEC)).await.unwrap();
    let log = server.take_log();
    let mut edited = wood("{model: WoodOrder, replicas: 2, errorRate: 0.5}");
    edited.metadata.generation = Some(4);
    edited.status = Some(serde_json::from_value(status_of(&log).clone()).unwrap());
    let next = Stage::set(server.clone()).await;
    next.reconcile(&edited).await.unwrap();
    assert_eq!(
        server.take_writes(),
        ["PATCH configmaps/wood-producer", "PATCH wood/status"]
    );
    let tuning = server.object(CONFIG_MAP).unwrap()["data"]["tuning.json"].clone();
    let tuning: Value = serde_json::from_str(tuning.as_str().unwrap()).unwrap();
    assert_eq!(tuning["generation"], 4);
    assert_eq!(tuning["tuning"]["errorRate"], 0.5);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_any_more_is_deleted_as_it_was_seen() {
    let server = ApiServer::start(|_| None);
    let stage = Stage::set(server.clone()).await;
    stage.reconcile(&wood(SPEC)).await.unwrap();
    let path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/wood-producer";
    let mut budget = server.object(path).unwrap();
    budget["metadata"]["uid"] = json!("budget-1");
    server.put(path, budget);
    let next = Stage::set(server.clone()).await;
    next.reconcile(&wood("{model: WoodOrder, replicas: 1, errorRate: 0.1}"))
        .await
        .unwrap();
    let log = server.take_log();
    let delete = log.iter().find(|it| it.method == http::Method::DELETE);
    let delete = delete.unwrap();
    assert_eq!(delete.path, path);
    assert_eq!(delete.body["preconditions"]["uid"], "budget-1");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_of_our_name_is_refused_untouched() {
    let server = ApiServer::start(|_| None);
    server.put(
        CONFIG_MAP,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"theirs": "1"},
            "metadata": {"name": "wood-producer", "namespace": "shop", "uid": "theirs"}}),
    );
    let stage = Stage::set(server.clone()).await;
    let resource = wood(SPEC);
    let error = stage.reconcile(&resource).await.unwrap_err();
    assert_eq!(error.category(), Category::NameTaken);
    let log = server.take_log();
    assert!(!log.iter().any(|it| is_apply_of(it, CONFIG_MAP)));
    assert_eq!(status_of(&log)["conditions"][0]["reason"], "NameTaken");
    assert_eq!(server.object(CONFIG_MAP).unwrap()["data"]["theirs"], "1");
}
