//! What cannot be done is told in one line, and nothing is half done.

use std::fs;

use ordermill_tests::kafka::{Broker, Operation, Resource};
use ordermill_tests::process::{Exit, Launch};
use ordermill_tests::reader::{Isolation, Until, read_all};
use ordermill_tests::{Scratch, TestResult, unique};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use serde_json::json;

use super::letters::{Message, Scene, Written, command, letters_of, once, put, run};

const USER: &str = "miller";
const PASSWORD: &str = "flour and water";

/// What it says on standard error: one line.
#[track_caller]
fn complaint(exit: Exit) -> String {
    let exit = exit.assert_code(1);
    assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
    exit.stderr
}

#[tokio::test]
async fn a_topic_that_is_gone_is_named_and_nothing_is_half_done() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 1).await?;
    let gone = unique("gone");
    let orders = scene.orders(0..5);
    let lost = [Message::new(&gone, 0, 5)];
    scene.write(0, &orders, Written::Plainly).await?;
    scene.write(0, &lost, Written::Plainly).await?;
    for arguments in [&["--yes"][..], &["--dry-run"]] {
        let arguments = [&["replay", scene.topic.as_str()], arguments].concat();
        let told = complaint(scene.run(&arguments).await?);
        assert!(told.contains(&format!("{gone} (1 letter)")), "{told}");
    }
    assert_eq!(scene.read(&scene.orders).await?.len(), 0);
    assert_eq!(scene.sum().await?["notReplayed"], json!(6));
    // What stands before it may go.
    scene.replay(&["--limit", "5"]).await?;
    assert_eq!(scene.replayed(&scene.orders).await?, once(&orders));
    broker.create_topic(&gone, 1).await?;
    assert_eq!(
        scene.replay(&[]).await?,
        "1 read, 1 replayed, 0 skipped, 0 left"
    );
    assert_eq!(scene.replayed(&gone).await?, once(&lost));
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_by_each_command() -> TestResult {
    for arguments in [
        &["list"][..],
        &["show", "orders.dead-letter"],
        &["replay", "orders.dead-letter", "--yes"],
    ] {
        let told = complaint(run(command("127.0.0.1:1", arguments).await?).await?);
        assert!(
            told.starts_with("error: no broker answers at 127.0.0.1:1: "),
            "{told}"
        );
        assert!(told.contains("Connection refused"), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_missing_is_told_and_others_are_listed() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 1).await?;
    let missing = unique("missing");
    for arguments in [&["show", &missing][..], &["replay", &missing, "--yes"]] {
        let told = complaint(scene.run(arguments).await?);
        let expected = format!("error: there is no topic {missing};");
        assert!(told.starts_with(&expected), "{told}");
    }
    let exit = scene.run(&["list", &missing, &scene.topic]).await?;
    assert!(exit.stdout.contains(&scene.topic), "{}", exit.stdout);
    assert!(complaint(exit).contains(&missing));
    Ok(())
}

#[tokio::test]
async fn a_kafka_that_keeps_no_transactions_is_refused_before_anything_is_sent() -> TestResult {
    // The one inside `ordermill local`.
    let cluster = MockCluster::new(1)?;
    for topic in ["orders", "orders.dead-letter"] {
        cluster.create_topic(topic, 1, 1)?;
    }
    let bootstrap = cluster.bootstrap_servers();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap);
    let letters = letters_of(&[Message::new("orders", 0, 0)]);
    let write = move || put(config, "orders.dead-letter", 0, &letters, Written::Plainly);
    tokio::task::spawn_blocking(write).await??;
    let replay = ["replay", "orders.dead-letter", "--yes"];
    let told = complaint(run(command(&bootstrap, &replay).await?).await?);
    assert!(told.contains("does not keep transactions"), "{told}");
    assert!(told.contains("ordermill local"), "{told}");
    let sent = read_all(
        &bootstrap,
        "orders",
        Isolation::ReadUncommitted,
        Until::end(),
    );
    assert_eq!(sent.await?.len(), 0);
    Ok(())
}

/// The command as the user with this password.
async fn as_user(
    broker: &Broker,
    folder: &Scratch,
    password: &str,
    arguments: &[&str],
) -> TestResult<Launch> {
    let file = |name| folder.path().join(name);
    fs::write(file("username"), USER)?;
    fs::write(file("password"), password)?;
    let command = command(broker.bootstrap_sasl(), arguments).await?;
    Ok(command
        .env("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
        .env("KAFKA_SASL_USERNAME_FILE", file("username"))
        .env("KAFKA_SASL_PASSWORD_FILE", file("password")))
}

#[tokio::test]
async fn a_wrong_password_and_each_missing_right_are_told() -> TestResult {
    let builder = Broker::builder().user(USER, PASSWORD);
    let broker = builder.authorizer().start().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = scene.orders(0..5);
    scene.write(0, &messages, Written::Plainly).await?;
    let topic = scene.topic.as_str();
    let folder = Scratch::new("password")?;
    let wrong = as_user(&broker, &folder, "sand", &["list", topic]).await?;
    let told = complaint(run(wrong).await?);
    assert!(told.contains("refuses your credentials"), "{told}");

    let replay = async || -> TestResult<Exit> {
        run(as_user(&broker, &folder, PASSWORD, &["replay", topic, "--yes"]).await?).await
    };
    let show = ["show", topic, "--output", "json"];
    let show = async || -> TestResult<Exit> {
        run(as_user(&broker, &folder, PASSWORD, &show).await?).await
    };
    let told = complaint(show().await?);
    assert!(
        told.contains(&format!("you may not see topic {topic}")),
        "{told}"
    );
    let dead_letters = Resource::Topic(topic);
    broker
        .allow(USER, &[Operation::Describe], dead_letters)
        .await?;
    let told = complaint(show().await?);
    assert!(
        told.contains(&format!("you may not read topic {topic}")),
        "{told}"
    );
    broker.allow(USER, &[Operation::Read], dead_letters).await?;

    // Who may read but not see the progress sees the letters, and not whether they are replayed.
    let shown = show().await?.assert_code(0).stdout;
    let document: serde_json::Value = serde_json::from_str(&shown)?;
    assert_eq!(document["letters"].as_array().unwrap().len(), 5);
    assert_eq!(document["letters"][0].get("replayed"), None);
    let list = as_user(&broker, &folder, PASSWORD, &["list", topic]).await?;
    let listed = run(list).await?.assert_code(0).stdout;
    assert!(
        listed.contains("how much is replayed is not known"),
        "{listed}"
    );

    let id = format!("ordermill-dlq-replay.{topic}");
    let told = complaint(replay().await?);
    assert!(
        told.contains("you may not see how far") && told.contains(&id),
        "{told}"
    );
    broker
        .allow(USER, &[Operation::Read], Resource::Group(&id))
        .await?;
    let told = complaint(replay().await?);
    assert!(
        told.contains(&format!("you may not see topic {}", scene.orders)),
        "{told}"
    );
    let orders = Resource::Topic(&scene.orders);
    broker.allow(USER, &[Operation::Describe], orders).await?;
    let told = complaint(replay().await?);
    assert!(
        told.contains("you may not replay topic") && told.contains(&id),
        "{told}"
    );
    broker
        .allow(USER, &[Operation::Write], Resource::TransactionalId(&id))
        .await?;
    let told = complaint(replay().await?);
    let refused = format!("you may not write to topic {}", scene.orders);
    assert!(told.contains(&refused), "{told}");
    assert_eq!(scene.read(&scene.orders).await?.len(), 0);

    // These are all the rights that the help names.
    broker.allow(USER, &[Operation::Write], orders).await?;
    let exit = replay().await?.assert_code(0);
    assert!(exit.stdout.ends_with(", 0 left\n"), "{}", exit.stdout);
    assert_eq!(scene.replayed(&scene.orders).await?, once(&messages));
    Ok(())
}
