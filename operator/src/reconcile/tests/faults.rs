//! What becomes of a reconcile when requests fail.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::time::Instant;

use std::sync::Mutex;

use super::*;

/// Fails requests to a path while `broken`.
fn failing(
    path: &'static str,
    broken: &Arc<AtomicBool>,
    answer: impl Fn() -> Answer + Send + 'static,
) -> ApiServer {
    let broken = Arc::clone(broken);
    ApiServer::start(move |seen| {
        (is_apply_of(seen, path) && broken.load(Ordering::SeqCst)).then(&answer)
    })
}

fn requeue(action: &Action) -> Option<Duration> {
    // Its field is private; its text is not.
    let text = format!("{action:?}");
    let after = text.split("Some(").nth(1)?.split("s)").next()?;
    let (number, unit) = after
        .strip_suffix('m')
        .map_or((after, 1.0), |it| (it, 1e-3));
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * unit))
}

async fn fails_then_heals(answer: impl Fn() -> Answer + Send + 'static) -> (Stage, ReconcileError) {
    let broken = Arc::new(AtomicBool::new(true));
    let server = failing(DEPLOYMENT, &broken, answer);
    let stage = Stage::set(server.clone()).await;
    let resource = wood(SPEC);
    let error = stage.reconcile(&resource).await.unwrap_err();
    let log = server.take_log();
    let conditions = &status_of(&log)["conditions"];
    assert_eq!(conditions[0]["reason"], error.category().as_str());
    broken.store(false, Ordering::SeqCst);
    stage.reconcile(&resource).await.unwrap();
    assert!(server.object(DEPLOYMENT).is_some());
    server.take_log();
    (stage, error)
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_told_as_passing_and_tried_again_later_and_later() {
    for (code, reason) in [
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ] {
        let answer = move || Answer::failure(code, reason, &json!({}));
        let (stage, error) = Box::pin(fails_then_heals(answer)).await;
        assert_eq!(error.category(), Category::ApiUnavailable, "{code}");
        let message = error.full_message();
        assert!(
            message.starts_with("cannot apply Deployment wood-producer"),
            "{message}"
        );
        let resource = wood(SPEC);
        let delays: Vec<_> = (0..5)
            .map(|_| {
                requeue(&stage.after(&resource, &error))
                    .unwrap()
                    .as_secs_f64()
            })
            .collect();
        for (delay, doubled) in delays.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0]) {
            let bounds = doubled * 0.5..doubled * 1.5;
            assert!(bounds.contains(delay), "{delays:?}");
        }
        // One that goes well begins anew.
        stage.reconcile(&resource).await.unwrap();
        let first = requeue(&stage.after(&resource, &error)).unwrap();
        assert!(first < Duration::from_millis(750), "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_asks_for_patience_gets_it() {
    let details = json!({"retryAfterSeconds": 17});
    let answer = move || Answer::failure(429, "TooManyRequests", &details);
    let (stage, error) = Box::pin(fails_then_heals(answer)).await;
    let delay = requeue(&stage.after(&wood(SPEC), &error));
    assert_eq!(delay, Some(Duration::from_secs(17)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_given_up() {
    let begun = Instant::now();
    let (_stage, error) = Box::pin(fails_then_heals(|| Answer::Hang)).await;
    assert_eq!(error.category(), Category::ApiUnavailable);
    assert!(error.full_message().contains("timed out"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_a_person() {
    let answer = || Answer::failure(403, "Forbidden", &json!({}));
    let (stage, error) = Box::pin(fails_then_heals(answer)).await;
    assert_eq!(error.category(), Category::Refused);
    let delay = requeue(&stage.after(&wood(SPEC), &error)).unwrap();
    assert!(delay >= Duration::from_secs(27), "{delay:?}");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_is_left_alone() {
    let details = json!({"causes": [{"reason": "NamespaceTerminating", "message": "gone"}]});
    let server = ApiServer::start(move |seen| {
        let is_new = seen.method == http::Method::PATCH && !seen.path.ends_with("/status");
        is_new.then(|| Answer::failure(403, "Forbidden", &details))
    });
    let stage = Stage::set(server.clone()).await;
    let resource = wood(SPEC);
    let error = stage.reconcile(&resource).await.unwrap_err();
    assert_eq!(error.category(), Category::NamespaceTerminating);
    assert_eq!(stage.after(&resource, &error), Action::await_change());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_before_its_status_is_written_is_no_failure() {
    let server = ApiServer::start(|seen| {
        let is_status = seen.path.ends_with("/status");
        is_status.then(|| Answer::failure(404, "NotFound", &json!({})))
    });
    let stage = Stage::set(server.clone()).await;
    stage.reconcile(&wood(SPEC)).await.unwrap();
    assert!(
        !server
            .take_writes()
            .iter()
            .any(|it| it.ends_with("/events"))
    );
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_lead_writes_nothing_more() {
    let writes = Arc::new(AtomicU32::new(0));
    let leadership = Arc::<Mutex<Option<Leadership>>>::default();
    let (count, leads) = (Arc::clone(&writes), Arc::clone(&leadership));
    let server = ApiServer::start(move |seen| {
        if seen.is_write()
            && count.fetch_add(1, Ordering::SeqCst) == 2
            && let Some(leadership) = leads.lock().unwrap().as_ref()
        {
            leadership.lose();
        }
        None
    });
    let stage = Stage::set(server.clone()).await;
    *leadership.lock().unwrap() = Some(stage.leadership.clone());
    writes.store(0, Ordering::SeqCst);
    let error = stage.reconcile(&wood(SPEC)).await.unwrap_err();
    assert_eq!(error.category(), Category::NotLeading);
    assert_eq!(
        writes.load(Ordering::SeqCst),
        3,
        "{:?}",
        server.take_writes()
    );
}

#[tokio::test(start_paused = true)]
async fn a_mistake_is_told_and_waits_for_a_change() {
    let server = ApiServer::start(|_| None);
    let stage = Stage::set(server.clone()).await;
    let resource = wood("{model: WoodOrder, kafka: {strimzi: {cluster: mill, listener: tls}}}");
    let group =
        json!({"kind": "APIResourceList", "groupVersion": "kafka.strimzi.io/v1", "resources": []});
    server.put("/apis/kafka.strimzi.io/v1", group);
    let error = stage.reconcile(&resource).await.unwrap_err();
    assert_eq!(error.category(), Category::KafkaNotFound);
    let log = server.take_log();
    let status = status_of(&log);
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["conditions"][1]["type"], "Stalled");
    let events: Vec<_> = log
        .iter()
        .filter(|it| it.path.ends_with("/events"))
        .collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body["type"], "Warning");
    assert_eq!(events[0].body["reason"], "KafkaNotFound");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_decoded_is_told_so_with_the_field() {
    let server = ApiServer::start(|_| None);
    let stage = Stage::set(server.clone()).await;
    let object: DeserializeGuard<OrderProducer> = serde_json::from_value(json!({
        "apiVersion": "ordermill.dev/v1alpha1", "kind": "OrderProducer",
        "metadata": {"name": "old", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"model": "Rusks"},
    }))
    .unwrap();
    let object = Arc::new(object);
    let error = reconcile(Arc::clone(&object), Arc::clone(&stage.context))
        .await
        .unwrap_err();
    assert_eq!(error.category(), Category::Undecodable);
    assert_eq!(
        after_error(object, &error, Arc::clone(&stage.context)),
        Action::await_change()
    );
    let log = server.take_log();
    let message = status_of(&log)["conditions"][0]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("Rusks"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_end_is_ended_first() {
    let server = ApiServer::start(|seen| {
        is_apply_of(seen, CONFIG_MAP).then_some(Answer::Late(Duration::from_secs(1)))
    });
    let wood = serde_json::to_value(wood(SPEC)).unwrap();
    server.put(
        "/apis/ordermill.dev/v1alpha1/namespaces/shop/orderproducers/wood",
        wood,
    );
    let stage = Stage::set(server.clone()).await;
    let cancelled = CancellationToken::new();
    let controller = crate::controller::run::<OrderProducer>(
        server.client.clone(),
        Scope::Namespace("shop".to_owned()),
        Triggers::default(),
        4,
        Arc::clone(&stage.context),
        cancelled.clone(),
    );
    let asked_to_end = async {
        while server.object(CONFIG_MAP).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(server.object(DEPLOYMENT).is_none(), "it is in the middle");
        cancelled.cancel();
    };
    let ended = async { tokio::join!(controller, asked_to_end) };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert!(ended.is_ok(), "it goes on");
    assert!(server.object(DEPLOYMENT).is_some());
    let writes = server.take_writes();
    assert!(
        writes.contains(&"PATCH wood/status".to_owned()),
        "{writes:?}"
    );
}
