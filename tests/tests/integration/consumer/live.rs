//! Edits that reach a running consumer.

use ordermill_tests::TestResult;

use super::scene::{Scene, id};
use crate::support::producer::Producer;
use crate::support::recorder::WELL;

#[tokio::test]
async fn an_error_rate_fails_attempts_which_are_told_from_real_ones() -> TestResult {
    let scene = Scene::set(3, WELL).await?;
    let fields =
        "onFailure: {action: DeadLetter, maxRetries: 1, backoff: {initial: 0s, maximum: 0s}}";
    let mut configuration = scene.configuration(&format!("errorRate: 0, {fields}"))?;
    let mut consumer = Producer::start(&configuration).await?;
    scene.send(0, 0..50).await?;
    let state = consumer.wait_for_events(50).await?;
    assert_eq!((state.injected(), state.retried()), (0, 0));
    let spec = scene.spec(&format!("errorRate: 0.5, {fields}"));
    consumer.retune(&mut configuration, &spec).await?;
    for (partition, first) in [(0, 1000), (1, 2000), (2, 3000)] {
        scene.send(partition, first..first + 400).await?;
    }
    let state = consumer.wait_for_events(1250).await?;
    assert_eq!(state.failed(), 0);
    assert_eq!(state.fault("errorRate"), state.injected());
    // Of 1200, half fail at least once and a quarter twice: within six standard deviations.
    let (touched, given_up) = (state.injected(), state.dead_lettered().unwrap_or_default());
    assert!((496..=704).contains(&touched), "{touched} touched");
    assert!((210..=390).contains(&given_up), "{given_up} given up");
    // Every touched message was retried once, and what failed again was given up.
    assert_eq!(state.retried(), touched);
    let letters = scene.dead_letters().await?;
    assert_eq!(letters.len() as u64, given_up);
    for letter in &letters {
        let header = |name: &str| letter.header(&format!("ordermill-dead-letter-{name}"));
        assert_eq!(header("injected"), Some("errorRate"));
        assert_eq!(header("attempts"), Some("2"));
    }
    let asked = scene.api.asked().len() as u64;
    assert_eq!(asked + given_up, 1250);
    let told = consumer.told("on purpose: injected by errorRate")?;
    assert_eq!(told.len() as u64, touched + given_up);
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_delay_and_a_pause_end_when_they_are_edited_away() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    let mut configuration = scene.configuration("errorRate: 0, processingDelay: 20h")?;
    let mut consumer = Producer::start(&configuration).await?;
    scene.send(0, 0..3).await?;
    consumer
        .wait_for("three that wait", |state| state.lag() == Some(3))
        .await?;
    assert!(scene.api.asked().is_empty());
    let spec = scene.spec("errorRate: 0, processingDelay: 50ms");
    consumer.retune(&mut configuration, &spec).await?;
    consumer.wait_for_events(3).await?;
    let spec = scene.spec("errorRate: 0, paused: true");
    let state = consumer.retune(&mut configuration, &spec).await?;
    assert_eq!(state.phase, "Paused");
    scene.send(0, 3..4).await?;
    consumer
        .wait_for("one that waits", |state| state.lag() == Some(1))
        .await?;
    let spec = scene.spec("errorRate: 0");
    consumer.retune(&mut configuration, &spec).await?;
    consumer.wait_for_events(4).await?;
    assert_eq!(scene.api.members("order_id"), [0, 1, 2, 3].map(id));
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_member_that_is_asked_to_end_leaves_what_waits_to_the_next() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    scene.send(0, 0..5).await?;
    // In the middle of a delay of hours it ends at once.
    let mut consumer = scene.consumer("errorRate: 0, processingDelay: 20h").await?;
    consumer
        .wait_for("five that wait", |state| state.lag() == Some(5))
        .await?;
    let _exit = consumer.stop().await?.assert_code(0);
    assert!(scene.api.asked().is_empty());
    let mut consumer = scene.consumer("errorRate: 0").await?;
    consumer.wait_for_events(5).await?;
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}
