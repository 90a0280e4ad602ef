//! The harness itself: what it starts is real, answers, and behaves as its documentation says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ordermill_tests::certificates::{Authority, Validity};
use ordermill_tests::collector::{Collector, PointValue};
use ordermill_tests::kafka::{Broker, Mechanism, Operation, RefusalKind, Resource, connect};
use ordermill_tests::process::Program;
use ordermill_tests::reader::{
    ConsoleRecord, Isolation, Record, Until, console_consumer, java_partitions, read_all,
};
use ordermill_tests::{Failure, TestResult, eventually, http, unique};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

/// For what takes a moment on an idle machine.
const SOON: Duration = Duration::from_mins(1);

async fn send(config: &ClientConfig, topic: &str, key: &str, value: &str) -> KafkaResult<Delivery> {
    let producer: FutureProducer = config.create()?;
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "ce_type",
            value: Some("test"),
        })
        .insert(Header {
            key: "at",
            value: Some("10:30"),
        });
    let record = FutureRecord::to(topic)
        .key(key)
        .payload(value)
        .headers(headers);
    producer
        .send(record, SOON)
        .await
        .map_err(|(error, _)| error)
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::key_text).collect()
}

#[tokio::test]
async fn a_record_comes_back_as_it_was_sent() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("round-trip");
    broker.create_topic(&topic, 2).await?;
    assert_eq!(broker.partitions_of(&topic).await?, Some(2));
    assert_eq!(broker.partitions_of(&unique("absent")).await?, None);
    let delivery = send(&broker.client(), &topic, "key", "{\"a\":1}").await?;

    let records = read_all(
        broker.bootstrap(),
        &topic,
        Isolation::ReadCommitted,
        Until::end(),
    )
    .await?;
    let [record] = &records[..] else {
        panic!("one record was sent: {records:?}")
    };
    assert_eq!(
        (record.partition, record.offset),
        (delivery.partition, delivery.offset)
    );
    assert_eq!(record.key_text(), Some("key"));
    assert_eq!(record.json()?, json!({"a": 1}));
    assert_eq!(record.header("ce_type"), Some("test"));
    assert!(record.timestamp.is_some());
    Ok(())
}

#[tokio::test]
async fn reading_in_vain_ends_and_says_how_far_it_came() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("short");
    broker.create_topic(&topic, 1).await?;
    send(&broker.client(), &topic, "key", "value").await?;
    let until = Until::count(2).within(Duration::from_secs(3));
    let error = read_all(broker.bootstrap(), &topic, Isolation::ReadCommitted, until)
        .await
        .expect_err("one record is not two");
    assert!(error.to_string().contains("1 records read"), "{error}");
    Ok(())
}

#[tokio::test]
async fn open_and_aborted_transactions_are_seen_by_the_uncommitted_alone() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("transactions");
    broker.create_topic(&topic, 1).await?;
    let mut config = broker.client();
    config.set("transactional.id", unique("transactional"));
    let producer: FutureProducer = config.create()?;
    producer.init_transactions(SOON)?;
    for (key, commit) in [("committed", true), ("aborted", false)] {
        producer.begin_transaction()?;
        let sent = producer
            .send(FutureRecord::to(&topic).key(key).payload("value"), SOON)
            .await;
        sent.map_err(|(error, _)| error)?;
        if commit {
            producer.commit_transaction(SOON)?;
        } else {
            producer.abort_transaction(SOON)?;
        }
    }
    producer.begin_transaction()?;
    let sent = producer
        .send(FutureRecord::to(&topic).key("open").payload("value"), SOON)
        .await;
    sent.map_err(|(error, _)| error)?;

    let committed = read_all(
        broker.bootstrap(),
        &topic,
        Isolation::ReadCommitted,
        Until::end(),
    )
    .await?;
    assert_eq!(keys(&committed), ["committed"]);
    let all = read_all(
        broker.bootstrap(),
        &topic,
        Isolation::ReadUncommitted,
        Until::end(),
    )
    .await?;
    assert_eq!(keys(&all), ["committed", "aborted", "open"]);
    producer.abort_transaction(SOON)?;
    Ok(())
}

#[tokio::test]
async fn a_killed_broker_returns_with_its_data_and_its_address() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.create_topic("kept", 3).await?;
    send(&broker.client(), "kept", "before", "value").await?;
    let (address, process) = (broker.bootstrap().to_owned(), broker.process().id());

    broker.kill()?;
    assert!(
        TcpStream::connect(&address).await.is_err(),
        "a dead broker does not listen"
    );
    broker.restart().await?;

    assert_eq!(broker.bootstrap(), address);
    assert_ne!(broker.process().id(), process);
    send(&broker.client(), "kept", "after", "value").await?;
    let records = read_all(
        broker.bootstrap(),
        "kept",
        Isolation::ReadCommitted,
        Until::count(2),
    )
    .await?;
    let mut found = keys(&records);
    found.sort_unstable();
    assert_eq!(found, ["after", "before"]);
    Ok(())
}

#[tokio::test]
async fn a_broker_whose_port_is_taken_says_so() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.kill()?;
    let squatter = TcpListener::bind(broker.bootstrap()).await?;
    let error = broker.restart().await.expect_err("the port is taken");
    let message = format!("{:?}", Failure::from(error));
    assert!(message.contains("Address already in use"), "{message}");
    drop(squatter);
    broker.restart().await?;
    Ok(())
}

#[tokio::test]
async fn a_producer_lives_through_an_outage() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.create_topic("outage", 1).await?;
    let producer: FutureProducer = broker.client().set("enable.idempotence", "true").create()?;
    let first = producer
        .send(FutureRecord::to("outage").key("1").payload("x"), SOON)
        .await;
    first.map_err(|(error, _)| error)?;
    broker.kill()?;
    let record = FutureRecord::to("outage").key("2").payload("x");
    let waiting = producer.send_result(record).map_err(|(error, _)| error)?;
    broker.restart().await?;
    waiting.await?.map_err(|(error, _)| error)?;
    let records = read_all(
        broker.bootstrap(),
        "outage",
        Isolation::ReadCommitted,
        Until::end(),
    )
    .await?;
    assert_eq!(keys(&records), ["1", "2"]);
    Ok(())
}

/// The kind of refusal that `config` meets.
async fn refused(config: &ClientConfig) -> Option<RefusalKind> {
    connect(config).await.err().map(|refusal| refusal.kind)
}

#[tokio::test]
async fn passwords_are_checked_on_both_listeners() -> TestResult {
    let authority = Authority::new("harness")?;
    let broker = Broker::builder()
        .user("alice", "right horse")
        .user("bob", "b")
        .tls(&authority)
        .start()
        .await?;
    for mechanism in Mechanism::ALL {
        connect(&broker.sasl_client(mechanism, "alice", "right horse")).await?;
        connect(&broker.sasl_ssl_client(&authority, mechanism, "bob", "b")).await?;
        let wrong = broker.sasl_client(mechanism, "alice", "wrong horse");
        assert_eq!(
            refused(&wrong).await,
            Some(RefusalKind::Authentication),
            "{mechanism:?}"
        );
        let stranger = broker.sasl_ssl_client(&authority, mechanism, "carol", "b");
        assert_eq!(
            refused(&stranger).await,
            Some(RefusalKind::Authentication),
            "{mechanism:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn client_certificates_are_required_and_checked() -> TestResult {
    let (authority, other) = (Authority::new("harness")?, Authority::new("harness")?);
    let mut broker = Broker::builder().tls(&authority).start().await?;
    let alice = authority.client("alice")?;
    connect(&broker.tls_client(&authority, &alice)).await?;

    let strange = other.client("alice")?;
    let expired = authority.client_valid("alice", Validity::expired())?;
    let mut bare = broker.tls_client(&authority, &alice);
    bare.remove("ssl.certificate.pem").remove("ssl.key.pem");
    let wrong = [
        (
            "a client of another authority",
            broker.tls_client(&authority, &strange),
        ),
        (
            "an expired certificate",
            broker.tls_client(&authority, &expired),
        ),
        (
            "a broker that the client does not trust",
            broker.tls_client(&other, &alice),
        ),
        ("no certificate", bare),
    ];
    for (what, config) in wrong {
        assert_eq!(refused(&config).await, Some(RefusalKind::Tls), "{what}");
    }

    broker.trust_only_clients_of(&[&other])?;
    broker.serve_certificate_of(&other)?;
    broker.restart().await?;
    connect(&broker.tls_client(&other, &strange)).await?;
    let outdated = broker.tls_client(&other, &alice);
    assert_eq!(
        refused(&outdated).await,
        Some(RefusalKind::Tls),
        "the old authority's client"
    );
    Ok(())
}

#[tokio::test]
async fn only_what_was_granted_is_allowed() -> TestResult {
    let broker = Broker::builder()
        .user("alice", "a")
        .authorizer()
        .start()
        .await?;
    broker.create_topic("granted", 1).await?;
    broker.create_topic("denied", 1).await?;
    broker
        .allow("alice", &[Operation::Write], Resource::Topic("granted"))
        .await?;
    let alice = broker.sasl_client(Mechanism::ScramSha256, "alice", "a");
    send(&alice, "granted", "key", "value").await?;
    let refused = Err(KafkaError::MessageProduction(
        RDKafkaErrorCode::TopicAuthorizationFailed,
    ));
    let outcome = send(&alice, "denied", "key", "value").await.map(drop);
    assert_eq!(outcome, refused);

    broker
        .revoke("alice", &[Operation::Write], Resource::Topic("granted"))
        .await?;
    let outcome = send(&alice, "granted", "key", "value").await.map(drop);
    assert_eq!(outcome, refused);
    Ok(())
}

#[tokio::test]
async fn the_java_client_reads_the_same_record() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("java");
    broker.create_topic(&topic, 1).await?;
    send(&broker.client(), &topic, "schlüssel", "{\"a\":1}").await?;
    let records = console_consumer(broker.bootstrap(), &topic, Isolation::ReadCommitted, 1).await?;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = ConsoleRecord {
        partition: 0,
        headers: vec![pair("ce_type", "test"), pair("at", "10:30")],
        key: Some("schlüssel".to_owned()),
        value: Some("{\"a\":1}".to_owned()),
    };
    assert_eq!(records, [expected]);
    Ok(())
}

#[tokio::test]
async fn keys_go_where_the_java_client_puts_them() -> TestResult {
    const PARTITIONS: u16 = 7;
    let broker = Broker::shared().await?;
    let topic = unique("partitions");
    broker.create_topic(&topic, PARTITIONS).await?;
    let keys: Vec<String> = (0..1_000)
        .map(|number| format!("{number:x}-ключ-{number}"))
        .collect();
    let producer: FutureProducer = broker
        .client()
        .set("partitioner", "murmur2_random")
        .create()?;
    let mut deliveries = Vec::with_capacity(keys.len());
    for key in &keys {
        let record = FutureRecord::to(&topic).key(key).payload("value");
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    let mut partitions = Vec::with_capacity(keys.len());
    for delivery in deliveries {
        partitions.push(delivery.await?.map_err(|(error, _)| error)?.partition);
    }
    assert_eq!(java_partitions(&keys, PARTITIONS).await?, partitions);
    Ok(())
}

/// One span, one counter and one log record in OTLP's JSON form, and the paths they go to.
fn signals(name: &str) -> [(&'static str, serde_json::Value); 3] {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [text("service.name", "harness")]});
    let (trace, span) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    [
        (
            "/v1/traces",
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{
                "scope": {"name": "scope"},
                "spans": [{
                    "traceId": trace, "spanId": span, "name": name, "kind": 4,
                    "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1250000000",
                    "attributes": [
                        text("messaging.system", "kafka"),
                        {"key": "messaging.batch.message_count", "value": {"intValue": "3"}},
                    ],
                    "status": {"code": 2, "message": "injected"},
                }],
            }]}]}),
        ),
        (
            "/v1/metrics",
            json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{
                "scope": {"name": "scope"},
                "metrics": [{"name": name, "unit": "{event}", "sum": {
                    "isMonotonic": true, "aggregationTemporality": 2,
                    "dataPoints": [{"asInt": "7", "timeUnixNano": "5", "attributes": [text("outcome", "ok")]}],
                }}],
            }]}]}),
        ),
        (
            "/v1/logs",
            json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{
                "logRecords": [{
                    "timeUnixNano": "9", "severityNumber": 13, "severityText": "WARN",
                    "body": {"stringValue": name}, "traceId": trace, "spanId": span,
                }],
            }]}]}),
        ),
    ]
}

async fn export(collector: &Collector, name: &str) -> TestResult {
    for (path, signal) in signals(name) {
        let url = format!("{}{path}", collector.endpoint_http());
        let response = http::post_json(&url, &signal).await?;
        assert!(response.is_success(), "{path}: {response:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_collector_shows_what_it_was_sent() -> TestResult {
    let collector = Collector::start().await?;
    export(&collector, "first").await?;
    let (span, point, record) = eventually(SOON, "the three signals", async || {
        let span = collector.spans().ok()?.pop()?;
        let point = collector.metric_points().ok()?.pop()?;
        let record = collector.log_records().ok()?.pop()?;
        Some((span, point, record))
    })
    .await;

    assert_eq!(
        (span.name.as_str(), span.kind, span.is_error()),
        ("first", 4, true)
    );
    assert_eq!(span.duration(), Duration::from_millis(250));
    assert_eq!(span.attributes["messaging.system"], "kafka");
    assert_eq!(span.attributes["messaging.batch.message_count"], 3);
    assert_eq!(
        (span.resource["service.name"].as_str(), span.scope.as_str()),
        (Some("harness"), "scope")
    );
    assert_eq!(
        point.value,
        PointValue::Sum {
            total: 7.0,
            monotonic: true,
            cumulative: true
        }
    );
    assert_eq!((point.unit.as_str(), point.time), ("{event}", 5));
    assert_eq!(point.attributes["outcome"], "ok");
    assert_eq!(point.resource["service.name"], "harness");
    assert_eq!(
        (record.body.as_str(), record.severity_text.as_str()),
        (Some("first"), "WARN")
    );
    assert_eq!(
        (record.trace_id, record.span_id),
        (span.trace_id, span.span_id)
    );
    Ok(())
}

#[tokio::test]
async fn a_collector_that_returns_keeps_what_it_had() -> TestResult {
    let mut collector = Collector::start().await?;
    let endpoints = (collector.endpoint(), collector.endpoint_http());
    export(&collector, "before").await?;
    collector.stop().await?;
    assert!(
        http::get(&endpoints.1).await.is_err(),
        "nobody listens while it is down"
    );
    collector.restart().await?;
    assert_eq!((collector.endpoint(), collector.endpoint_http()), endpoints);
    export(&collector, "after").await?;
    collector.stop().await?;
    let names: Vec<String> = collector
        .spans()?
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["before", "after"]);
    Ok(())
}

#[tokio::test]
async fn the_workspaces_programs_can_be_run() -> TestResult {
    for program in [Program::ordermill().await?, Program::workload().await?] {
        let exit = program
            .arg("--help")
            .start()?
            .wait(SOON)
            .await?
            .assert_code(0);
        assert!(exit.stdout.contains("Usage"), "{exit:?}");
    }
    let error = Program::named("ordermill-nothing")
        .await
        .expect_err("there is no such program");
    assert!(error.to_string().contains("ordermill-nothing"), "{error}");
    Ok(())
}
