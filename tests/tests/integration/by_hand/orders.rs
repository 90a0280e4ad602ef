//! What is sent: whose events, how many, and what is wrong with them on purpose.

use std::collections::BTreeSet;

use ordermill_tests::{TestResult, unique};
use serde_json::json;

use super::binomial;
use super::hand::{Hand, SOON, observed};
use crate::support::events::{Event, assert_contiguous};

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
