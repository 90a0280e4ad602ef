//! Members of a group share its partitions, and hand them over.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_tests::kafka::Broker;
use ordermill_tests::{TestResult, eventually};

use super::scene::{Scene, number};
use crate::support::SOON;
use crate::support::producer::Producer;
use crate::support::recorder::Answering;

const PARTITIONS: u16 = 6;
/// Messages of each partition.
const EACH: usize = 200;

/// So that a handover comes in the middle.
const SLOWLY: Answering = |_| (201, Duration::from_millis(40));

/// How often each order was posted.
fn times(scene: &Scene) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for id in scene.api.members("order_id") {
        *times.entry(number(&id)).or_default() += 1;
    }
    times
}

async fn send_all(scene: &Scene) -> TestResult {
    for partition in 0..PARTITIONS {
        let first = usize::from(partition) * EACH;
        scene
            .send(i32::from(partition), first..first + EACH)
            .await?;
    }
    Ok(())
}

/// Waits until so many orders were posted.
async fn posted(scene: &Scene, count: usize) {
    eventually(SOON, "posted orders", async || {
        (times(scene).len() >= count).then_some(())
    })
    .await;
}

/// Waits until a member has so many partitions.
async fn has(consumer: &mut Producer, partitions: usize) -> TestResult {
    let what = format!("{partitions} partitions");
    consumer
        .wait_for(&what, |state| state.partitions() == partitions)
        .await?;
    Ok(())
}

/// A member comes in the middle and another goes; nothing is repeated.
async fn handovers_repeat_nothing(fields: &str) -> TestResult {
    let scene = Scene::set(PARTITIONS, SLOWLY).await?;
    let mut first = scene.consumer(fields).await?;
    has(&mut first, 6).await?;
    send_all(&scene).await?;
    posted(&scene, 100).await;
    let mut second = scene.consumer(fields).await?;
    has(&mut second, 3).await?;
    second.wait_for_events(10).await?;
    let _exit = first.stop().await?.assert_code(0);
    let all = usize::from(PARTITIONS) * EACH;
    posted(&scene, all).await;
    second
        .wait_for("no lag", |state| state.lag() == Some(0))
        .await?;
    let _exit = second.stop().await?.assert_code(0);
    let times = times(&scene);
    let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(again, [], "posted more than once");
    assert_eq!(times.len(), all);
    let committed = i64::try_from(EACH)?;
    assert_eq!(
        scene.committed(PARTITIONS).await?,
        [Some(committed); PARTITIONS as usize]
    );
    Ok(())
}

#[tokio::test]
async fn members_come_and_go_and_nothing_is_repeated() -> TestResult {
    handovers_repeat_nothing("errorRate: 0").await
}

#[tokio::test]
async fn members_come_and_go_also_where_the_broker_assigns() -> TestResult {
    handovers_repeat_nothing("errorRate: 0, groupProtocol: Consumer").await
}

#[tokio::test]
async fn a_member_that_is_killed_loses_nothing_and_little_is_repeated() -> TestResult {
    let scene = Scene::set(PARTITIONS, SLOWLY).await?;
    let mut first = scene.consumer("errorRate: 0").await?;
    has(&mut first, 6).await?;
    let mut second = scene.consumer("errorRate: 0").await?;
    // Between the halves of a rebalance nobody may commit.
    has(&mut second, 3).await?;
    has(&mut first, 3).await?;
    send_all(&scene).await?;
    posted(&scene, 300).await;
    first.process.kill()?;
    let all = usize::from(PARTITIONS) * EACH;
    posted(&scene, all).await;
    second
        .wait_for("no lag", |state| state.lag() == Some(0))
        .await?;
    let _exit = second.stop().await?.assert_code(0);
    let times = times(&scene);
    assert_eq!(times.len(), all);
    let again = times.values().filter(|times| **times > 1).count();
    // What was done since the last commit, a tenth of a second before, in three partitions: some ten.
    assert!(again < 100, "{again} posted twice");
    println!("{again} of {all} posted twice");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_away_for_a_while_loses_nothing() -> TestResult {
    let broker = std::sync::Arc::new(Broker::start().await?);
    let mut scene = Scene::set_on(broker, PARTITIONS, SLOWLY).await?;
    send_all(&scene).await?;
    let mut consumer = scene.consumer("errorRate: 0").await?;
    posted(&scene, 100).await;
    let broker = std::sync::Arc::get_mut(&mut scene.broker).ok_or("shared")?;
    broker.kill()?;
    consumer.wait_for_reason("KafkaUnreachable").await?;
    broker.restart().await?;
    let all = usize::from(PARTITIONS) * EACH;
    posted(&scene, all).await;
    let state = consumer
        .wait_for("no lag", |state| {
            state.lag() == Some(0) && state.phase == "Running"
        })
        .await?;
    assert_eq!(state.dead_lettered(), Some(0));
    let _exit = consumer.stop().await?.assert_code(0);
    assert_eq!(times(&scene).len(), all);
    Ok(())
}
