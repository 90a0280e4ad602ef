//! `ordermill-workload` as somebody starts it by hand: by the environment variables of the original services alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/binomial.rs"]
mod binomial;
#[path = "support/events.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod events;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::{Event, assert_contiguous, instances};
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Exit, Process, Program};
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{TestResult, http, unique};
use serde_json::{Value, json};

/// For what takes a moment on an idle machine.
const SOON: Duration = Duration::from_mins(1);

/// A workload that runs on its own topics of the shared broker.
struct Hand {
    broker: Arc<Broker>,
    process: Process,
}

impl Hand {
    /// Starts `command` with these variables, and the one that names the broker.
    async fn start(command: &str, variables: &[(&str, &str)]) -> TestResult<Self> {
        let broker = Broker::shared().await?;
        // The coffee bar's services have another name for it.
        let servers = match command {
            "drink-order" => "KAFKA_BROKERS",
            _ => "KAFKA_BOOTSTRAP_SERVERS",
        };
        let launch = Program::workload()
            .await?
            .arg(command)
            .env(servers, broker.bootstrap());
        let process = variables
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value))
            .start()?;
        Ok(Self { broker, process })
    }

    /// Where its admin server listens, from the log.
    async fn admin(&mut self) -> TestResult<String> {
        let line = self
            .process
            .wait_for_line(SOON, "the admin server listens")
            .await?;
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="));
        Ok(format!(
            "http://{}",
            address.ok_or("no address in the log")?
        ))
    }

    /// Waits until `/state` is as `accept` wants it.
    async fn state(&mut self, accept: impl Fn(&Value) -> bool) -> TestResult<Value> {
        let url = format!("{}/state", self.admin().await?);
        let accepted = |response: &http::Response| {
            let state: Value = response.json().ok()?;
            accept(&state).then_some(state)
        };
        Ok(self.process.wait_for_http(SOON, &url, accepted).await?)
    }

    async fn stop(&mut self) -> TestResult<Exit> {
        Ok(self.process.stop(SOON).await?.assert_code(0))
    }

    async fn records(&self, topic: &str) -> TestResult<Vec<Record>> {
        let (committed, end) = (Isolation::ReadCommitted, Until::end());
        Ok(read_all(self.broker.bootstrap(), topic, committed, end).await?)
    }
}

fn observed(state: &Value, field: &str) -> u64 {
    state["observed"][field].as_u64().unwrap()
}

/// Runs a command that ends by itself.
async fn run(command: &str, variables: &[(&str, &str)], code: i32) -> TestResult<Exit> {
    let mut hand = Hand::start(command, variables).await?;
    Ok(hand.process.wait(SOON).await?.assert_code(code))
}

#[tokio::test]
async fn each_command_has_the_defaults_of_its_order_system() -> TestResult {
    // Command, service, topics, seconds between events.
    let commands: [(&str, &str, &[&str], f64); 5] = [
        ("wood-order", "customer", &["orders"], 60.0),
        ("wood-stock", "supplier", &["stocks"], 60.0),
        (
            "retail-sale",
            "retail-producer",
            &["transactions", "refunds"],
            1.0,
        ),
        ("food-order", "food-producer", &["order-events"], 1.0),
        (
            "drink-order",
            "drink-producer",
            &[
                "order.placed",
                "order.completed",
                "order.cancelled",
                "payment.processed",
            ],
            1.0,
        ),
    ];
    for (command, service, topics, seconds) in commands {
        let mut hand = Hand::start(command, &[]).await?;
        // The first event is due at once, and is sent unless it is held back on purpose.
        let state = hand
            .state(|state| observed(state, "events") + observed(state, "injected") > 0)
            .await?;
        assert_eq!(state["state"], "Running", "{command}");
        assert_eq!(
            (&state["kind"], &state["name"]),
            (&json!("OrderProducer"), &json!(service))
        );
        let planned = state["plannedRatePerSecond"].as_f64().unwrap();
        assert!(
            (planned * seconds - 1.0).abs() < 1e-9,
            "{command}: {planned}/s"
        );
        hand.stop().await?;
        let mut events = Vec::new();
        for topic in topics {
            assert!(hand.broker.partitions_of(topic).await?.is_some(), "{topic}");
            events.extend(Event::all(&hand.records(topic).await?, service));
        }
        events.sort_by_key(|event| event.sequence);
        if command != "drink-order" {
            // What follows from a drink order may not have been due at the end.
            assert_contiguous(&events);
        }
        assert!(
            events.len() as u64 >= observed(&state, "events"),
            "{command}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_originals_names_are_commands_too() -> TestResult {
    for (command, topic) in [("customer", "wood.order"), ("supplier", "wood.delivery")] {
        let name = unique(command);
        let variables = [
            ("KAFKA_TOPIC", name.as_str()),
            ("INTERVAL_SECONDS", "0.01"),
            ("ERROR_RATE", "0"),
            ("OTEL_SERVICE_NAME", "shop"),
        ];
        let mut hand = Hand::start(command, &variables).await?;
        hand.state(|state| observed(state, "events") > 0).await?;
        hand.stop().await?;
        for record in hand.records(&name).await? {
            Event::of(&record, "shop");
            assert!(record.header("ce_type").unwrap().ends_with(topic));
        }
    }
    Ok(())
}

#[tokio::test]
async fn so_many_events_are_sent_as_were_asked_for() -> TestResult {
    let topic = unique("bounded");
    let variables = [
        ("KAFKA_TOPIC", topic.as_str()),
        ("NUM_EVENTS", "2500"),
        ("INTERVAL_SECONDS", "0.001"),
    ];
    let mut hand = Hand::start("food-order", &variables).await?;
    let exit = hand.process.wait(SOON).await?.assert_code(0);
    let sent = exit.stdout.lines().filter_map(|line| {
        let (before, _) = line.split_once(" of 2500 events are sent")?;
        before.rsplit(' ').next()?.parse::<u32>().ok()
    });
    // Each thousand is told of once, when it is surely there.
    let thousands: Vec<u32> = sent.map(|sent| sent / 1000).collect();
    assert!(
        thousands == [1, 2] || thousands == [2],
        "{thousands:?}: {}",
        exit.stdout
    );
    let end = "done: every event is sent events=2500 seconds=";
    assert!(
        exit.stdout.contains(end),
        "{end} is missing: {}",
        exit.stdout
    );
    let events = Event::all(&hand.records(&topic).await?, "food-producer");
    assert_contiguous(&events);
    let ids: Vec<_> = events
        .iter()
        .map(|event| event.payload["order_id"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (1..=2500)
        .map(|index| format!("order_{index:06}"))
        .collect();
    assert_eq!(ids, expected);
    Ok(())
}

#[tokio::test]
async fn errors_on_purpose_hold_wood_back_and_say_so() -> TestResult {
    for (command, service) in [("wood-order", "customer"), ("wood-stock", "supplier")] {
        let topic = unique(command);
        let variables = [
            ("KAFKA_TOPIC", topic.as_str()),
            ("ERROR_RATE", "1"),
            ("INTERVAL_SECONDS", "0.02"),
        ];
        let mut hand = Hand::start(command, &variables).await?;
        let state = hand
            .state(|state| observed(state, "injected") >= 20)
            .await?;
        assert_eq!(observed(&state, "events"), 0);
        assert_eq!(
            observed(&state, "failed"),
            0,
            "it is on purpose, not for real"
        );
        let line = hand
            .process
            .wait_for_line(SOON, "not sent, on purpose: injected by errorRate")
            .await?;
        for part in [
            "ERROR",
            service,
            "ordermill.injected=true",
            "ordermill.fault=errorRate",
            "trace_id=",
        ] {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
        hand.stop().await?;
        assert_eq!(hand.records(&topic).await?, []);
    }
    Ok(())
}

#[tokio::test]
async fn the_share_of_failed_food_orders_is_the_error_rate() -> TestResult {
    const ORDERS: u32 = 2000;
    for (rate, share) in [(None, 0.05), (Some("0.3"), 0.3)] {
        let topic = unique("failed");
        let mut variables = vec![
            ("KAFKA_TOPIC", topic.as_str()),
            ("NUM_EVENTS", "2000"),
            ("INTERVAL_SECONDS", "0.001"),
            ("SEED", "42"),
        ];
        variables.extend(rate.map(|rate| ("ERROR_RATE", rate)));
        let mut hand = Hand::start("food-order", &variables).await?;
        let _ = hand.process.wait(SOON).await?.assert_code(0);
        let events = Event::all(&hand.records(&topic).await?, "food-producer");
        assert_eq!(
            events.len(),
            ORDERS as usize,
            "a failed order is sent as well"
        );
        let mut failed = 0;
        for event in &events {
            let marked = event.injected.as_deref() == Some("errorRate");
            assert_eq!(event.payload["status"] == "failed", marked, "{event:?}");
            failed += u32::from(marked);
        }
        let chance = binomial::two_sided(ORDERS, share, failed);
        assert!(
            chance > 1e-9,
            "{failed} of {ORDERS} at {share}: a chance of {chance:e}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn refunds_follow_sales_as_often_as_asked_for() -> TestResult {
    let (sold, back) = (unique("sold"), unique("back"));
    let variables = [
        ("KAFKA_TOPIC", sold.as_str()),
        ("KAFKA_TOPIC_REFUNDS", back.as_str()),
        ("PRODUCER_SLEEP_SECONDS", "0.005"),
        ("REFUND_PROBABILITY", "1"),
    ];
    let mut hand = Hand::start("retail-sale", &variables).await?;
    hand.state(|state| observed(state, "events") >= 200).await?;
    hand.stop().await?;
    let sales = hand.records(&sold).await?;
    let refunds = hand.records(&back).await?;
    // A refund follows each sale.
    assert_eq!(sales.len(), refunds.len());
    let all = [sales, refunds].concat();
    assert_contiguous(&Event::all(&all, "retail-producer"));
    Ok(())
}

#[tokio::test]
async fn everything_wrong_is_named_at_once() -> TestResult {
    let wrong = [
        ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
        ("KAFKA_TOPIC", "a b"),
        ("INTERVAL_SECONDS", "-1"),
        ("NUM_EVENTS", "0"),
        ("ERROR_RATE", "1.5"),
        ("LOG_LEVEL", "loud"),
    ];
    let exit = run("food-order", &wrong, 1).await?;
    for (name, value) in wrong {
        let told = format!("{name}={value:?} cannot be used: ");
        assert!(
            exit.stderr.contains(&told),
            "{told} is missing: {}",
            exit.stderr
        );
    }
    assert_eq!(
        exit.stderr.matches("cannot be used: ").count(),
        wrong.len(),
        "{}",
        exit.stderr
    );
    assert_eq!(exit.stdout, "", "it has not begun to work");
    Ok(())
}

#[tokio::test]
async fn other_programs_variables_do_no_harm() -> TestResult {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let mut process = Program::workload()
        .await?
        .arg("food-order")
        .env("OTHER", OsStr::from_bytes(b"\xff"))
        .env("ERROR_RATE", OsStr::from_bytes(b"0.1\xff"))
        .start()?;
    let exit = process.wait(SOON).await?.assert_code(1);
    assert!(exit.stderr.contains("ERROR_RATE="), "{}", exit.stderr);
    assert!(!exit.stderr.contains("OTHER"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
    Ok(())
}

#[tokio::test]
async fn the_admin_server_tells_how_it_is() -> TestResult {
    let topic = unique("admin");
    let broker = Broker::shared().await?;
    let process = Program::workload()
        .await?
        .args(["food-order", "--admin", "127.0.0.1:0"])
        .env("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap())
        .env("KAFKA_TOPIC", &topic)
        .env("INTERVAL_SECONDS", "0.01")
        .env("ERROR_RATE", "0")
        .start()?;
    let mut hand = Hand { broker, process };
    let admin = hand.admin().await?;
    let state = hand.state(|state| observed(state, "events") >= 50).await?;
    assert_eq!(state["generation"], 1);
    assert_eq!(observed(&state, "failed"), 0);
    let alive = http::get(&format!("{admin}/livez")).await?;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
    let ready = http::get(&format!("{admin}/readyz")).await?;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
    assert_eq!(http::get(&format!("{admin}/metrics")).await?.status, 404);
    hand.stop().await?;
    let events = Event::all(&hand.records(&topic).await?, "food-producer");
    assert_eq!(
        instances(&events),
        BTreeSet::from([state["instance"].as_str().unwrap()])
    );
    Ok(())
}

#[tokio::test]
async fn without_kafka_it_is_alive_and_not_ready_and_says_why() -> TestResult {
    // Nobody listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let address = format!("127.0.0.1:{port}");
    let mut hand = Hand::start("food-order", &[("KAFKA_BOOTSTRAP_SERVERS", &address)]).await?;
    let state = hand.state(|state| state["state"] == "Waiting").await?;
    assert_eq!(state["reason"], "KafkaUnreachable");
    assert!(!state["message"].as_str().unwrap().is_empty());
    let admin = hand.admin().await?;
    assert_eq!(http::get(&format!("{admin}/livez")).await?.status, 200);
    let ready = http::get(&format!("{admin}/readyz")).await?;
    assert_eq!(ready.status, 503);
    assert!(ready.body.starts_with("KafkaUnreachable: "), "{ready:?}");
    hand.process.wait_for_line(SOON, "KafkaUnreachable").await?;
    hand.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() -> TestResult {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let exit = run("food-order", &[("ADMIN_ADDRESS", &address)], 1).await?;
    let told = format!("cannot listen on {address} for the admin server");
    assert!(exit.stderr.contains(&told), "{}", exit.stderr);
    Ok(())
}

#[tokio::test]
async fn what_was_sent_is_there_after_the_end() -> TestResult {
    let topic = unique("end");
    let variables = [
        ("KAFKA_TOPIC", topic.as_str()),
        ("INTERVAL_SECONDS", "0.002"),
        ("ERROR_RATE", "0.1"),
        // Each delivery is told.
        ("LOG_LEVEL", "DEBUG"),
    ];
    let mut hand = Hand::start("wood-order", &variables).await?;
    hand.state(|state| observed(state, "events") >= 300).await?;
    let exit = hand.stop().await?;
    assert!(
        exit.stdout.contains("the producer has stopped"),
        "{}",
        exit.stdout
    );
    let events = Event::all(&hand.records(&topic).await?, "customer");
    assert_contiguous(&events);
    let numbers = |part: &str| -> BTreeSet<u64> {
        let lines = exit.stdout.lines().filter(|line| line.contains(part));
        let number = |line: &str| {
            let mut words = line.split_whitespace();
            words
                .find_map(|word| word.strip_prefix("ordermill.sequence="))?
                .parse()
                .ok()
        };
        lines.filter_map(number).collect()
    };
    let sent: BTreeSet<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers("OrderProducer/customer: sent "), sent);
    let held_back = numbers("not sent, on purpose");
    assert!(held_back.is_disjoint(&sent));
    // Every number was either sent or held back.
    let all: BTreeSet<u64> = sent.union(&held_back).copied().collect();
    assert_eq!(all, (0..all.len() as u64).collect());
    Ok(())
}

#[tokio::test]
async fn the_log_level_is_pythons_or_ours() -> TestResult {
    for level in ["WARNING", "warn"] {
        let topic = unique("quiet");
        let variables = [
            ("KAFKA_TOPIC", topic.as_str()),
            ("NUM_EVENTS", "20"),
            ("INTERVAL_SECONDS", "0.001"),
            ("ERROR_RATE", "0"),
            ("LOG_LEVEL", level),
        ];
        let exit = run("food-order", &variables, 0).await?;
        assert_eq!(exit.stdout, "", "nothing of this needs a warning");
    }
    Ok(())
}
