//! What becomes of messages that cannot be handled.

use std::net::SocketAddr;
use std::time::Duration;

use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::Record;
use ordermill_tests::{TestResult, ports, unique};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::scene::{Odd, Scene, id, order};
use crate::support::SOON;
use crate::support::producer::Producer;
use crate::support::recorder::{Answering, Recorder, WELL};

/// The order with this number fails whenever it comes; all others are taken.
const THREE_FAILS: Answering = |asked| {
    let three = asked.body["order_id"] == id(3);
    (if three { 500 } else { 201 }, Duration::ZERO)
};

/// The order with this number fails at first.
const THREE_FAILS_TWICE: Answering = |asked| {
    let fails = asked.body["order_id"] == id(3) && asked.earlier < 2;
    (if fails { 500 } else { 201 }, Duration::ZERO)
};

/// Another order has the id.
const THREE_IS_ANOTHER: Answering = |asked| {
    let three = asked.body["order_id"] == id(3);
    (if three { 409 } else { 201 }, Duration::ZERO)
};

/// All are refused.
const REFUSES: Answering = |_| (422, Duration::ZERO);

/// At first the path is not there.
const NOT_FOUND_TWICE: Answering = |asked| {
    let status = if asked.earlier < 2 { 404 } else { 201 };
    (status, Duration::ZERO)
};

/// Key, value, and what is said of it.
type Wrong<'a> = (&'a [u8], Option<&'a [u8]>, &'a str);

const QUICK: &str = "backoff: {initial: 10ms, maximum: 40ms}";

#[track_caller]
fn assert_letter(letter: &Record, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let name = format!("ordermill-dead-letter-{name}");
        assert_eq!(letter.header(&name), Some(*value), "{name} of {letter:?}");
    }
}

#[tokio::test]
async fn what_is_not_valid_becomes_a_dead_letter_with_all_its_bytes() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    let mut teak = order(2);
    teak["wood_type"] = "teak".into();
    let teak = teak.to_string();
    let mut many = order(2);
    many["quantity"] = 11.into();
    let many = many.to_string();
    let odd: [Wrong<'_>; 5] = [
        (
            b"\xff\x00key",
            Some(b"\xff\xfe\x00"),
            "it is no JSON object",
        ),
        (b"null", None, "it is no JSON object"),
        (b"cut", Some(b"{\"order_id\":"), "it is no JSON object"),
        (
            b"teak",
            Some(teak.as_bytes()),
            "wood_type: \"teak\" is no kind of wood",
        ),
        (
            b"many",
            Some(many.as_bytes()),
            "quantity: 11 is not from 1 to 10",
        ),
    ];
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers: [(&str, &[u8]); 3] = [
        ("traceparent", traceparent.as_bytes()),
        ("odd", b"\x00\xff"),
        ("odd", b"twice"),
    ];
    scene.send(0, 0..1).await?;
    for (key, payload, _) in odd {
        let key = Some(key);
        let message = Odd {
            key,
            payload,
            headers: &headers,
        };
        scene.send_odd(0, message).await?;
    }
    scene.send(0, 1..2).await?;
    let mut consumer = scene.consumer("errorRate: 0").await?;
    let state = consumer.wait_for_events(7).await?;
    assert_eq!((state.failed(), state.injected()), (5, 0));
    assert_eq!((state.retried(), state.dead_lettered()), (0, Some(5)));
    assert_eq!(scene.api.members("order_id"), [id(0), id(1)]);
    let _exit = consumer.stop().await?.assert_code(0);

    let mut letters = scene.dead_letters().await?;
    letters.sort_by_key(|letter| {
        let offset = letter.header("ordermill-dead-letter-offset").unwrap();
        offset.parse::<i64>().unwrap()
    });
    assert_eq!(letters.len(), 5);
    for (at, (letter, (key, payload, why))) in (1..).zip(letters.iter().zip(odd)) {
        assert_eq!(letter.key.as_deref(), Some(key));
        assert_eq!(letter.value.as_deref(), payload);
        for (position, (name, value)) in headers.iter().enumerate() {
            let (found, bytes) = &letter.headers[position];
            assert_eq!((found.as_str(), bytes.as_slice()), (*name, *value));
        }
        let offset = at.to_string();
        assert_letter(
            letter,
            &[
                ("reason", "InvalidMessage"),
                ("attempts", "1"),
                ("topic", &scene.topic),
                ("partition", "0"),
                ("offset", &offset),
                ("group", &scene.group),
            ],
        );
        let message = letter.header("ordermill-dead-letter-message").unwrap();
        assert!(message.contains(why), "{message}");
        let trace = letter.header("ordermill-dead-letter-traceparent").unwrap();
        assert!(
            trace.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
            "{trace}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_order_that_fails_is_tried_as_often_as_allowed_and_stops_nobody() -> TestResult {
    let scene = Scene::set(1, THREE_FAILS).await?;
    scene.send(0, 0..6).await?;
    let fields = format!("errorRate: 0, onFailure: {{action: DeadLetter, maxRetries: 2, {QUICK}}}");
    let mut consumer = scene.consumer(&fields).await?;
    let state = consumer.wait_for_events(6).await?;
    assert_eq!((state.failed(), state.retried()), (1, 2));
    assert_eq!(state.dead_lettered(), Some(1));
    let ids: Vec<_> = [0, 1, 2, 3, 3, 3, 4, 5].map(id).into();
    assert_eq!(scene.api.members("order_id"), ids);
    let letters = scene.dead_letters().await?;
    assert_eq!(letters.len(), 1);
    let value = letters[0].json()?;
    assert_eq!(value, order(3));
    assert_letter(
        &letters[0],
        &[
            ("reason", "RetriesExhausted"),
            ("attempts", "3"),
            ("offset", "3"),
        ],
    );
    let message = letters[0].header("ordermill-dead-letter-message").unwrap();
    assert!(message.contains("answered with 500"), "{message}");
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn what_the_api_refuses_is_not_tried_again() -> TestResult {
    let scene = Scene::set(1, THREE_IS_ANOTHER).await?;
    scene.send(0, 0..5).await?;
    let mut consumer = scene.consumer("errorRate: 0").await?;
    let state = consumer.wait_for_events(5).await?;
    assert_eq!((state.failed(), state.retried()), (1, 0));
    let letters = scene.dead_letters().await?;
    assert_letter(&letters[0], &[("reason", "Refused"), ("attempts", "1")]);
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn what_is_to_be_skipped_is_left_out_and_what_is_to_be_retried_holds_its_partition()
-> TestResult {
    let scene = Scene::set(1, THREE_FAILS).await?;
    scene.send(0, 0..5).await?;
    let fields = format!("errorRate: 0, onFailure: {{action: Skip, maxRetries: 1, {QUICK}}}");
    let mut consumer = scene.consumer(&fields).await?;
    let state = consumer.wait_for_events(5).await?;
    assert_eq!((state.failed(), state.retried()), (1, 1));
    assert_eq!(state.dead_lettered(), Some(0));
    let skipped = consumer.told("given up and left out")?;
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].text("error.type"), "500");
    let _exit = consumer.stop().await?.assert_code(0);
    let topic = scene.dead_letter_topic();
    assert_eq!(scene.broker.partitions_of(&topic).await?, None);

    let scene = Scene::set(1, THREE_FAILS_TWICE).await?;
    scene.send(0, 0..5).await?;
    scene
        .send_odd(
            0,
            Odd {
                payload: Some(b"poison"),
                ..Odd::default()
            },
        )
        .await?;
    scene.send(0, 5..6).await?;
    let fields = format!("errorRate: 0, onFailure: {{action: Retry, {QUICK}}}");
    let mut consumer = scene.consumer(&fields).await?;
    let state = consumer.wait_for_events(7).await?;
    // The poison is left out, since no repetition would help.
    assert_eq!((state.failed(), state.retried()), (1, 2));
    let ids: Vec<_> = [0, 1, 2, 3, 3, 3, 4, 5].map(id).into();
    assert_eq!(scene.api.members("order_id"), ids);
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn an_api_that_is_away_is_waited_for() -> TestResult {
    let mut scene = Scene::set(3, WELL).await?;
    // Kept from others while nobody listens there.
    let [port] = ports::pick()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    scene.api = Recorder::start_at(address, WELL).await?;
    let configuration = scene.configuration("errorRate: 0")?;
    let address = scene.api.stop().await;
    scene.api = Recorder::start(WELL).await?;
    for (partition, first) in [(0, 0), (1, 10), (2, 20)] {
        scene.send(partition, first..first + 10).await?;
    }
    let mut consumer = Producer::start(&configuration).await?;
    consumer.wait_for_reason("BackendUnreachable").await?;
    // More calls than the circuit breaker looks at, and more than a message may be retried.
    let state = consumer
        .wait_for("60 calls in vain", |state| state.retried() >= 60)
        .await?;
    assert_eq!((state.events(), state.dead_lettered()), (0, Some(0)));
    let api = Recorder::start_at(address, WELL).await?;
    let state = consumer.wait_for_events(30).await?;
    assert_eq!(state.dead_lettered(), Some(0));
    assert_eq!(state.phase, "Running");
    assert_eq!(api.asked().len(), 30);
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn what_fails_for_real_is_told_so_whatever_touched_it_before() -> TestResult {
    let scene = Scene::set(1, REFUSES).await?;
    scene.send(0, 0..3).await?;
    let fields =
        "errorRate: 0, faults: {slow: {rate: 1, duration: 10ms}}, onFailure: {action: Skip}";
    let mut consumer = scene.consumer(fields).await?;
    let state = consumer.wait_for_events(3).await?;
    assert_eq!((state.failed(), state.injected()), (3, 0));
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_status_that_is_not_of_the_message_is_repeated() -> TestResult {
    let scene = Scene::set(1, NOT_FOUND_TWICE).await?;
    scene.send(0, 0..3).await?;
    let fields = format!("errorRate: 0, onFailure: {{action: Retry, {QUICK}}}");
    let mut consumer = scene.consumer(&fields).await?;
    let state = consumer.wait_for_events(3).await?;
    assert_eq!((state.failed(), state.retried()), (0, 6));
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn what_answers_in_the_apis_place_makes_no_dead_letter() -> TestResult {
    let mut scene = Scene::set(1, WELL).await?;
    scene.api = Recorder::start_after_another(WELL).await?;
    scene.send(0, 0..3).await?;
    let fields = "errorRate: 0, onFailure: {action: DeadLetter}";
    let mut consumer = scene.consumer(fields).await?;
    let state = consumer.wait_for_events(3).await?;
    assert_eq!((state.failed(), state.dead_lettered()), (0, Some(0)));
    assert_eq!(scene.api.members("order_id"), [id(0), id(1), id(2)]);
    let exit = consumer.stop().await?.assert_code(0);
    let told = "something other than the API answers at";
    assert!(exit.stdout.contains(told), "{}", exit.stdout);
    Ok(())
}

#[tokio::test]
async fn a_message_whose_dead_letter_is_too_large_is_left_out() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("large");
    let large = [("max.message.bytes", "3000000")];
    broker.create_topic_with(&topic, 1, &large).await?;
    let scene = Scene::set_at(broker, topic, WELL).await?;
    let payload = vec![b'x'; 2_000_000];
    let mut config = scene.broker.client();
    let client: FutureProducer = config.set("message.max.bytes", "3000000").create()?;
    let record = FutureRecord::<(), _>::to(&scene.topic).payload(&payload);
    let sent = client.send(record, SOON).await;
    sent.map_err(|(error, _)| error)?;
    scene.send(0, 0..1).await?;
    // Its own limit is the broker's, which is a megabyte.
    let mut consumer = scene
        .consumer("errorRate: 0, onFailure: {action: DeadLetter}")
        .await?;
    let state = consumer.wait_for_events(2).await?;
    assert_eq!((state.failed(), state.dead_lettered()), (1, Some(0)));
    assert_eq!(scene.api.members("order_id"), [id(0)]);
    let exit = consumer.stop().await?.assert_code(0);
    let told = "left out, as no dead letter can be as large";
    assert!(exit.stdout.contains(told), "{}", exit.stdout);
    Ok(())
}
