//! Faults of a consumer.

use std::collections::BTreeMap;

use ordermill_tests::{TestResult, eventually};

use super::scene::{Scene, id};
use crate::support::SOON;
use crate::support::producer::Producer;
use crate::support::recorder::WELL;

#[tokio::test]
async fn slow_messages_take_longer_and_failing_ones_are_marked() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    scene.send(0, 0..4).await?;
    let faults = "errorRate: 0, faults: {slow: {rate: 1, duration: 200ms}}";
    let mut configuration = scene.configuration(faults)?;
    let begun = std::time::Instant::now();
    let mut consumer = Producer::start(&configuration).await?;
    let state = consumer.wait_for_events(4).await?;
    assert!(begun.elapsed().as_millis() >= 800);
    assert_eq!((state.fault("slow"), state.injected()), (4, 4));
    let faults = "errorRate: 0, faults: {processingError: {rate: 1}}, onFailure: {action: Skip, maxRetries: 0}";
    // The action of a failure is no live edit: by another consumer of the group.
    let _exit = consumer.stop().await?.assert_code(0);
    configuration = scene.configuration(faults)?;
    let mut consumer = Producer::start(&configuration).await?;
    scene.send(0, 4..6).await?;
    let state = consumer.wait_for_events(2).await?;
    assert_eq!((state.fault("processingError"), state.failed()), (2, 0));
    assert_eq!(scene.api.members("order_id"), [0, 1, 2, 3].map(id));
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_is_skipped_leaves_the_message_to_the_next_member() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    scene.send(0, 0..3).await?;
    let mut consumer = scene
        .consumer("errorRate: 0, faults: {commitFailure: {rate: 1}}")
        .await?;
    let state = consumer
        .wait_for("three that are not committed", |state| {
            state.events() == 3 && state.lag() == Some(3)
        })
        .await?;
    assert_eq!(state.fault("commitFailure"), 3);
    let _exit = consumer.stop().await?.assert_code(0);
    let mut consumer = scene.consumer("errorRate: 0").await?;
    consumer.wait_for_events(3).await?;
    let _exit = consumer.stop().await?.assert_code(0);
    assert_eq!(
        scene.api.members("order_id"),
        [0, 1, 2, 0, 1, 2].map(id),
        "all three are handled again"
    );
    Ok(())
}

#[tokio::test]
async fn a_member_that_leaves_on_purpose_comes_back_and_repeats_nothing() -> TestResult {
    let scene = Scene::set(3, WELL).await?;
    for (partition, first) in [(0, 0), (1, 100), (2, 200)] {
        scene.send(partition, first..first + 20).await?;
    }
    let mut consumer = scene
        .consumer("errorRate: 0, faults: {rebalance: {rate: 0.1}}")
        .await?;
    let state = consumer
        .wait_for("all handled", |state| {
            state.events() == 60 && state.lag() == Some(0) && state.fault("rebalance") > 0
        })
        .await?;
    assert_eq!(state.failed(), 0);
    let _exit = consumer.stop().await?.assert_code(0);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in scene.api.members("order_id") {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), 60);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    Ok(())
}

#[tokio::test]
async fn a_crash_comes_between_effect_and_commit_and_is_told_before() -> TestResult {
    let scene = Scene::set(1, WELL).await?;
    let mut consumer = scene
        .consumer("errorRate: 0, faults: {crash: {rate: 1}}")
        .await?;
    let mut number = 0;
    // In the first seconds of a process a crash is left out, so that each start gets something done.
    eventually(SOON, "a crash", async || {
        scene.send(0, number..=number).await.unwrap();
        number += 1;
        consumer.process.status().unwrap()
    })
    .await;
    let told = consumer.told("on purpose: injected by crash")?;
    assert_eq!(told.len(), 1);
    let crashed: i64 = told[0].number("offset").ok_or("no offset")?;
    let status = consumer.process.wait(SOON).await?;
    assert_eq!(status.code(), None, "it aborts by a signal");
    let handled = scene.api.members("order_id");
    assert_eq!(handled.last(), Some(&id(usize::try_from(crashed)?)));
    let mut consumer = scene.consumer("errorRate: 0").await?;
    let left = u64::try_from(number - handled.len() + 1)?;
    let state = consumer
        .wait_for("no lag", |state| {
            state.events() >= left && state.lag() == Some(0)
        })
        .await?;
    assert_eq!(state.failed(), 0);
    let again = scene.api.members("order_id");
    let times = again
        .iter()
        .filter(|it| **it == id(usize::try_from(crashed).unwrap()));
    assert_eq!(times.count(), 2, "what crashed is handled again");
    let _exit = consumer.stop().await?.assert_code(0);
    Ok(())
}
