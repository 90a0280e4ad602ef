//! The admin server: how the workload is, and why it is not ready.

use std::collections::BTreeSet;

use ordermill_tests::kafka::Broker;
use ordermill_tests::process::Program;
use ordermill_tests::{TestResult, http, unique};

use super::hand::{Hand, SOON, observed, run};
use crate::support::events::{Event, instances};

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
