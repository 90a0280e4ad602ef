//! Listing and showing dead letters.

use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use serde_json::{Value, json};

use super::letters::{Message, REPLAYED, Scene, Written};

#[tokio::test]
async fn a_list_counts_what_is_there_and_nothing_else() -> TestResult {
    let broker = Broker::start().await?;
    let scene = Scene::new(&broker, 2).await?;
    let messages = scene.orders(0..10);
    // Markers, aborted letters and records of another kind take offsets too.
    scene.write(0, &messages[..4], Written::Committed).await?;
    scene
        .write(0, &scene.orders(50..60), Written::Aborted)
        .await?;
    scene.write(1, &messages[4..], Written::Plainly).await?;
    scene.write_others(1, &scene.orders(90..93)).await?;
    let expected = json!({
        "topic": scene.topic,
        "letters": 10,
        "notReplayed": 10,
        "others": 3,
        "oldest": messages[0].time().to_string(),
        "newest": messages[9].time().to_string(),
        "reasons": {"InvalidMessage": 3, "Refused": 3, "RetriesExhausted": 4},
    });
    assert_eq!(scene.sum().await?, expected);

    // By their names, topics of dead letters are found among others.
    broker.create_topic("empty.dead-letter", 1).await?;
    let document = scene.json(&["list"]).await?;
    let topics: Vec<_> = document["topics"].as_array().unwrap().iter().collect();
    assert_eq!(topics.len(), 2, "{document}");
    assert_eq!(topics[0]["topic"], "empty.dead-letter");
    assert_eq!(
        (&topics[0]["letters"], &topics[0]["oldest"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(topics[1], &expected);

    let table = scene.run(&["list"]).await?.assert_code(0).stdout;
    let row: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row[..3], [scene.topic.as_str(), "10", "10"], "{table}");
    assert!(table.contains("RetriesExhausted 4, "), "{table}");

    scene.replay(&["--limit", "6"]).await?;
    let sum = scene.sum().await?;
    assert_eq!(
        (&sum["letters"], &sum["notReplayed"]),
        (&json!(10), &json!(4))
    );
    Ok(())
}

#[tokio::test]
async fn where_there_are_no_dead_letters_a_list_says_so() -> TestResult {
    let broker = Broker::start().await?;
    let scene = Scene::new(&broker, 1).await?;
    let sum = scene.sum().await?;
    assert_eq!(
        (&sum["letters"], &sum["reasons"]),
        (&json!(0), &json!({})),
        "{sum}"
    );
    let shown = scene.run(&["show", &scene.topic]).await?.assert_code(0);
    assert_eq!(
        shown.stdout,
        format!("{} holds no dead letter.\n", scene.topic)
    );
    let bare = Broker::start().await?;
    let list = super::letters::command(bare.bootstrap(), &["list"]).await?;
    let listed = super::letters::run(list).await?.assert_code(0);
    assert_eq!(listed.stdout, "There is no dead-letter topic.\n");
    Ok(())
}

#[tokio::test]
async fn a_letter_is_shown_with_all_that_it_holds() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    let long = vec![b'x'; 5000];
    let text = Message {
        payload: Some([b"\x1b[31mred ".as_slice(), &long].concat()),
        ..Message::new(&scene.orders, 2, 3)
    };
    let text = text
        .header("traceparent", Some(b"00-1-2-01"))
        .header(REPLAYED, Some(b"2"));
    let bytes = Message {
        key: None,
        payload: Some(vec![0xff, 0xfe, 0]),
        ..Message::new(&scene.stocks, 0, 4)
    };
    let bytes = bytes.header("null", None).header("empty", Some(b""));
    scene.write(0, &[text], Written::Committed).await?;
    scene.write(1, &[bytes], Written::Plainly).await?;
    scene.write_others(1, &scene.orders(9..10)).await?;

    let document = scene.json(&["show", &scene.topic]).await?;
    let letters = document["letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2, "{document}");
    let whole = format!("\u{1b}[31mred {}", "x".repeat(5000));
    assert_eq!(letters[0]["payload"], json!({"text": whole}));
    assert_eq!(letters[0]["key"], json!({"text": "key 3"}));
    assert_eq!(
        (&letters[0]["replays"], &letters[0]["replayed"]),
        (&json!(2), &json!(false))
    );
    let from =
        json!({"topic": scene.stocks, "partition": 0, "offset": 4, "group": "order-check-group"});
    assert_eq!(letters[1]["from"], from);
    assert_eq!(
        (&letters[1]["key"], &letters[1]["payload"]),
        (&Value::Null, &json!({"base64": "//4A"}))
    );
    let headers = json!([
        {"name": "number", "value": {"text": "4"}},
        {"name": "null", "value": null},
        {"name": "empty", "value": {"text": ""}},
    ]);
    assert_eq!(letters[1]["headers"], headers);
    assert_eq!(document["others"][0]["offset"], json!(1), "{document}");

    let shown = scene.run(&["show", &scene.topic]).await?.assert_code(0);
    assert!(
        shown.stdout.contains("\\u{1b}[31mred xxx"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("(cut: 5009 characters in all)"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("payload   base64: //4A"),
        "{}",
        shown.stdout
    );
    assert!(
        !shown.stdout.contains('\u{1b}'),
        "no escape reaches a terminal"
    );
    Ok(())
}

#[tokio::test]
async fn letters_are_chosen_by_place_and_by_number() -> TestResult {
    let broker = Broker::shared().await?;
    let scene = Scene::new(&broker, 2).await?;
    scene
        .write(0, &scene.orders(0..3), Written::Committed)
        .await?;
    scene
        .write(1, &scene.orders(3..5), Written::Plainly)
        .await?;
    let places = async |arguments: &[&str]| -> TestResult<Vec<(i64, i64)>> {
        let arguments = [&["show", &scene.topic], arguments].concat();
        let document = scene.json(&arguments).await?;
        let place = |letter: &Value| {
            let number = |field: &str| letter[field].as_i64().unwrap();
            (number("partition"), number("offset"))
        };
        Ok(document["letters"]
            .as_array()
            .unwrap()
            .iter()
            .map(place)
            .collect())
    };
    assert_eq!(
        places(&["--limit", "4"]).await?,
        [(0, 0), (0, 1), (0, 2), (1, 0)]
    );
    assert_eq!(places(&["--partition", "1"]).await?, [(1, 0), (1, 1)]);
    assert_eq!(
        places(&["--partition", "0", "--offset", "1"]).await?,
        [(0, 1)]
    );
    // The transaction's marker is at offset 3, and nothing after it.
    for offset in ["3", "4"] {
        let arguments = ["show", &scene.topic, "--partition", "0", "--offset", offset];
        let exit = scene.run(&arguments).await?.assert_code(1);
        let place = format!("holds no record at partition 0 offset {offset}");
        assert!(exit.stderr.contains(&place), "{}", exit.stderr);
    }
    let exit = scene
        .run(&["show", &scene.topic, "--partition", "2"])
        .await?
        .assert_code(1);
    assert!(
        exit.stderr.contains("has no partition 2"),
        "{}",
        exit.stderr
    );
    Ok(())
}
