//! Replays that do not come to their end: killed, interrupted, fenced. The next one goes on where they were.

use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Process, Signal};
use ordermill_tests::reader::{Isolation, Until, read_all};
use serde_json::json;

use super::letters::{Message, SOON, Scene, Written, once};

/// Letters enough for some seconds of replaying, and for dozens of transactions.
const LETTERS: usize = 20_000;

async fn many(scene: &Scene<'_>) -> TestResult<Vec<Message>> {
    let messages = scene.orders(0..LETTERS);
    let (first, second) = messages.split_at(LETTERS / 2);
    scene.write(0, first, Written::Committed).await?;
    scene.write(1, second, Written::Plainly).await?;
    Ok(messages)
}

/// A replay that has sent letters.
async fn at_work(scene: &Scene<'_>) -> TestResult<Process> {
    let uncommitted = async |until| {
        let (bootstrap, topic) = (scene.broker.bootstrap(), &scene.orders);
        read_all(bootstrap, topic, Isolation::ReadUncommitted, until).await
    };
    let before = uncommitted(Until::end()).await?.len();
    let arguments = ["replay", scene.topic.as_str(), "--yes"];
    let mut process = scene.command(&arguments).await?.start()?;
    let sent = async || uncommitted(Until::count(before + 1)).await.map(drop);
    process.wait_for(SOON, "letters on their way", sent).await?;
    Ok(process)
}

#[tokio::test]
async fn a_replay_that_is_killed_again_and_again_repeats_nothing_and_loses_nothing() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = many(&scene).await?;
    for _ in 0..3 {
        let mut process = at_work(&scene).await?;
        process.kill()?;
        let after = scene.read(&scene.orders).await?.len();
        assert!(
            after < LETTERS,
            "{after} of {LETTERS} were replayed before it was killed"
        );
    }
    let counts = scene.replay(&[]).await?;
    assert!(counts.ends_with(", 0 skipped, 0 left"), "{counts}");
    assert!(scene.replayed(&scene.orders).await? == once(&messages));
    assert_eq!(
        scene.replay(&[]).await?,
        "0 read, 0 replayed, 0 skipped, 0 left"
    );
    assert_eq!(scene.read(&scene.orders).await?.len(), LETTERS);
    Ok(())
}

#[tokio::test]
async fn an_interrupted_replay_ends_with_its_batch_and_says_what_is_left() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = many(&scene).await?;
    let mut process = at_work(&scene).await?;
    process.signal(Signal::INT)?;
    let exit = process.wait(SOON).await?.assert_code(1);
    let replayed = scene.read(&scene.orders).await?.len();
    let left = LETTERS - replayed;
    assert!(replayed > 0 && left > 0, "{replayed} are replayed");
    let counts = format!("{replayed} read, {replayed} replayed, 0 skipped, {left} left\n");
    assert!(exit.stdout.ends_with(&counts), "{}", exit.stdout);
    let told = format!("{left} letters are not replayed yet");
    assert!(exit.stderr.contains(&told), "{}", exit.stderr);
    assert_eq!(scene.sum().await?["notReplayed"], json!(left));
    scene.replay(&[]).await?;
    assert!(scene.replayed(&scene.orders).await? == once(&messages));
    Ok(())
}

#[tokio::test]
async fn of_two_replays_at_once_one_does_all_and_the_other_says_why_it_does_not() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = many(&scene).await?;
    let mut first = at_work(&scene).await?;
    // It is held up in its middle while the other one works, and goes on without knowing.
    first.signal(Signal::STOP)?;
    let counts = scene.replay(&[]).await?;
    assert!(counts.ends_with(", 0 skipped, 0 left"), "{counts}");
    first.signal(Signal::CONT)?;
    let exit = first.wait(SOON).await?.assert_code(1);
    assert!(
        exit.stderr.contains("another one has begun"),
        "{}",
        exit.stderr
    );
    let errors = exit.stderr.lines().filter(|it| it.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{}", exit.stderr);
    assert!(scene.replayed(&scene.orders).await? == once(&messages));
    Ok(())
}

#[tokio::test]
async fn a_replay_whose_broker_dies_is_told_and_the_next_one_goes_on() -> TestResult {
    let mut broker = Broker::start().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = many(&scene).await?;
    let mut process = at_work(&scene).await?;
    let (topic, orders, stocks) = (scene.topic, scene.orders, scene.stocks);
    broker.kill()?;
    let exit = process.wait(2 * SOON).await?.assert_code(1);
    let told = exit.stderr.lines().last().unwrap_or_default();
    assert!(told.starts_with("error: no broker answers "), "{told}");
    broker.restart().await?;
    let scene = Scene {
        broker: &broker,
        topic,
        orders,
        stocks,
    };
    let counts = scene.replay(&[]).await?;
    assert!(counts.ends_with(", 0 skipped, 0 left"), "{counts}");
    assert!(scene.replayed(&scene.orders).await? == once(&messages));
    Ok(())
}
