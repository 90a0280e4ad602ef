//! Replaying dead letters: as they were, to where they come from, and once.

use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, console_consumer};
use serde_json::json;

use super::letters::{Message, REPLAYED, Scene, Written, once};

/// Messages with whatever Kafka allows.
fn odd(scene: &Scene<'_>) -> Vec<Message> {
    let order = |number| Message::new(&scene.orders, i32::try_from(number % 3).unwrap(), number);
    let mut many = order(3);
    for index in 0..200 {
        many = many.header(&format!("header {index}"), Some(&[index, 0xff]));
    }
    vec![
        Message {
            key: None,
            ..order(0)
        },
        Message {
            payload: None,
            ..order(1)
        },
        Message {
            key: Some(vec![0xff, 0, 0xfe]),
            payload: Some((0..=255).cycle().take(300_000).collect()),
            ..order(2)
        },
        many,
        Message {
            key: Some(Vec::new()),
            payload: Some(Vec::new()),
            ..order(4)
        },
        Message::new(&scene.stocks, 0, 5)
            .header("twice", Some(b"1"))
            .header("twice", Some(b""))
            .header("null", None),
        Message::new(&scene.stocks, 0, 6).header("traceparent", Some(b"00-1-2-01")),
    ]
}

#[tokio::test]
async fn every_letter_goes_back_as_it_was_and_only_once() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = odd(&scene);
    scene.write(0, &messages[..5], Written::Committed).await?;
    scene.write_others(1, &scene.orders(90..92)).await?;
    scene.write(1, &messages[5..], Written::Plainly).await?;
    scene
        .write(1, &scene.orders(50..60), Written::Aborted)
        .await?;

    let arguments = ["replay", scene.topic.as_str(), "--yes"];
    let told = scene.run(&arguments).await?.assert_code(0).stdout;
    let expected = format!(
        "{}: 5 replayed\n{}: 2 replayed\n9 read, 7 replayed, 2 skipped that are no dead letters, 0 left\n",
        scene.orders, scene.stocks
    );
    assert_eq!(told, expected);
    assert_eq!(scene.replayed(&scene.orders).await?, once(&messages[..5]));
    assert_eq!(scene.replayed(&scene.stocks).await?, once(&messages[5..]));

    // Kafka's own client sees the same, and tells a header that is null from one that is empty.
    let java = console_consumer(
        broker.bootstrap(),
        &scene.stocks,
        Isolation::ReadCommitted,
        2,
    );
    let java = java.await?;
    let found = java
        .iter()
        .find(|record| record.headers.iter().any(|(name, _)| name == "twice"));
    let headers = &found.ok_or("the letter is missing")?.headers;
    let expected = [
        ("number", "5"),
        ("twice", "1"),
        ("twice", ""),
        ("null", "\u{1a}"),
        (REPLAYED, "1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers, &expected);

    // All is replayed, so that nothing is.
    assert_eq!(
        scene.replay(&[]).await?,
        "0 read, 0 replayed, 0 skipped, 0 left"
    );
    assert_eq!(scene.sum().await?["notReplayed"], json!(0));
    assert_eq!(scene.replayed(&scene.orders).await?, once(&messages[..5]));

    // What comes later is replayed alone: a message of before that failed again, and a new one.
    let again = messages[0].clone().header(REPLAYED, Some(b"1"));
    let later = Message::new(&scene.orders, 1, 7);
    scene
        .write(0, &[again, later.clone()], Written::Committed)
        .await?;
    assert_eq!(scene.sum().await?["notReplayed"], json!(2));
    assert_eq!(
        scene.replay(&[]).await?,
        "2 read, 2 replayed, 0 skipped, 0 left"
    );
    let mut expected = once(&messages[..5]);
    expected.insert(7, vec![later.replayed(1)]);
    let twice = vec![messages[0].replayed(1), messages[0].replayed(2)];
    expected.insert(0, twice);
    assert_eq!(scene.replayed(&scene.orders).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_a_limited_replay_then_does() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = scene.orders(0..9);
    scene.write(0, &messages[..5], Written::Committed).await?;
    scene.write(1, &messages[5..], Written::Plainly).await?;
    let plan = [
        "replay",
        scene.topic.as_str(),
        "--dry-run",
        "--limit",
        "6",
        "--yes",
    ];
    let told = scene.run(&plan).await?.assert_code(0).stdout;
    let expected = format!(
        "{}: 6 of 9 letters to replay\n  6 to {}\n",
        scene.topic, scene.orders
    );
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(scene.read(&scene.orders).await?.len(), 0);
    assert_eq!(scene.sum().await?["notReplayed"], json!(9));

    let counts = scene.replay(&["--limit", "6"]).await?;
    assert_eq!(counts, "6 read, 6 replayed, 0 skipped, 3 left");
    // Which of two partitions comes first is left to Kafka.
    let (some, all) = (scene.replayed(&scene.orders).await?, once(&messages));
    assert_eq!(some.len(), 6);
    assert!(some.iter().all(|(number, found)| all[number] == *found));
    let counts = scene.replay(&["--limit", "6"]).await?;
    assert_eq!(counts, "3 read, 3 replayed, 0 skipped, 0 left");
    assert_eq!(scene.replayed(&scene.orders).await?, once(&messages));
    Ok(())
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked_and_nothing_is_replayed() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 1).await?;
    scene
        .write(0, &scene.orders(0..3), Written::Plainly)
        .await?;
    let exit = scene.run(&["replay", &scene.topic]).await?.assert_code(1);
    assert!(exit.stderr.contains("--yes"), "{}", exit.stderr);
    assert_eq!(scene.read(&scene.orders).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_topic_that_takes_small_batches_gets_its_letters_too() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 1).await?;
    broker
        .configure_topic(&scene.orders, &[("max.message.bytes", "1000")])
        .await?;
    let messages = scene.orders(0..300);
    scene.write(0, &messages, Written::Plainly).await?;
    assert_eq!(
        scene.replay(&[]).await?,
        "300 read, 300 replayed, 0 skipped, 0 left"
    );
    assert_eq!(scene.replayed(&scene.orders).await?, once(&messages));
    Ok(())
}

#[tokio::test]
async fn a_letter_of_a_partition_that_is_gone_goes_where_its_key_belongs() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 1).await?;
    let message = Message::new(&scene.stocks, 5, 0);
    scene
        .write(0, std::slice::from_ref(&message), Written::Plainly)
        .await?;
    scene.replay(&[]).await?;
    let expected = Message {
        partition: 0,
        ..message
    };
    assert_eq!(scene.replayed(&scene.stocks).await?, once(&[expected]));
    Ok(())
}
