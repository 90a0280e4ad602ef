//! `ordermill validate` as a command: exit codes, what goes where, and what is told.

use crate::support::local::{Manifests, SOON, manifest, producer};
use ordermill_tests::TestResult;
use ordermill_tests::process::{Exit, Launch, Program};
use serde_json::{Value, json};

/// The command in the folder of `manifests`, so that files are told by their bare names.
async fn validate(manifests: &Manifests, arguments: &[&str]) -> TestResult<Launch> {
    let folder = manifests.path("");
    let program = Program::ordermill().await?;
    Ok(program.in_folder(folder).arg("validate").args(arguments))
}

async fn run(manifests: &Manifests, arguments: &[&str], code: i32) -> TestResult<Exit> {
    let mut process = validate(manifests, arguments).await?.start()?;
    Ok(process.wait(SOON).await?.assert_code(code))
}

fn good(name: &str) -> String {
    producer(name, &["model: WoodOrder", "interval: 500ms"])
}

#[tokio::test]
async fn the_examples_are_valid() -> TestResult {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let exit = Program::ordermill()
        .await?
        .args(["validate", "-R", "-f", examples])
        .start()?
        .wait(SOON)
        .await?
        .assert_code(0);
    assert_eq!(exit.stdout, "10 valid\n");
    assert_eq!(exit.stderr, "", "nothing is to be noted of an example");
    Ok(())
}

#[tokio::test]
async fn every_violation_of_every_file_is_told_at_once() -> TestResult {
    let wood = producer(
        "wood",
        &["intreval: 5s", "errorRate: 1.5", "interval: 1s", "rate: 10"],
    );
    let food = producer("Food", &["model: FoodOrdr"]);
    let manifests = Manifests::new(&[
        ("good.yaml", &good("good")),
        ("food.yaml", &food),
        ("wood.yaml", &wood),
        ("broken.yaml", "kind: ["),
    ])?;
    let files = [
        "-f",
        "good.yaml",
        "wood.yaml",
        "-f",
        "food.yaml",
        "broken.yaml",
        "absent.yaml",
    ];
    let exit = run(&manifests, &files, 1).await?;
    let told: Vec<&str> = exit.stderr.lines().collect();
    let expected = [
        "wood.yaml:5:1: OrderProducer/wood: spec.model: is required",
        "wood.yaml:5:1: OrderProducer/wood: spec: set at most one of interval, rate and stages",
        "wood.yaml:6:3: OrderProducer/wood: spec.intreval: is no known field: did you mean interval?",
        "wood.yaml:7:14: OrderProducer/wood: spec.errorRate: 1.5 is not allowed: must be at most 1",
        "food.yaml:4:9: OrderProducer/Food: metadata.name: \"Food\" is not allowed: must consist of ",
        "food.yaml:6:10: OrderProducer/Food: spec.model: \"FoodOrdr\" is not allowed: must be one of ",
        "broken.yaml:",
        "absent.yaml: cannot be read: ",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
    }
    assert!(told[5].ends_with("did you mean FoodOrder?"), "{}", told[5]);
    assert_eq!(exit.stdout, "1 valid, 8 violations\n");
    Ok(())
}

#[tokio::test]
async fn the_report_can_be_had_as_json() -> TestResult {
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    let text = [
        &good("good"),
        foreign,
        &producer("bad", &["model: WoodOrder", "errorRat: 1"]),
    ]
    .join("---\n");
    let manifests = Manifests::new(&[("all.yaml", &text)])?;
    let exit = run(&manifests, &["-f", "all.yaml", "--output", "json"], 1).await?;
    assert_eq!(exit.stderr, "");
    let report: Value = serde_json::from_str(&exit.stdout)?;
    assert_eq!(
        report,
        json!({
            "objects": [{"file": "all.yaml", "line": 1, "kind": "OrderProducer", "name": "good"}],
            "skipped": [{
                "file": "all.yaml", "line": 9, "apiVersion": "v1", "kind": "ConfigMap", "name": "other",
            }],
            "notes": [],
            "violations": [{
                "file": "all.yaml", "line": 19, "column": 3, "kind": "OrderProducer", "name": "bad",
                "path": "spec.errorRat", "problem": "is no known field: did you mean errorRate?",
            }],
        })
    );

    let manifests = Manifests::new(&[("good.yaml", &good("good"))])?;
    let exit = run(&manifests, &["-f", "good.yaml", "-o", "json"], 0).await?;
    let report: Value = serde_json::from_str(&exit.stdout)?;
    assert_eq!(report["violations"], json!([]));
    assert_eq!(report["objects"][0]["name"], "good");
    Ok(())
}

#[tokio::test]
async fn standard_input_is_a_file_too() -> TestResult {
    let manifests = Manifests::new(&[
        ("good.yaml", &good("good")),
        (
            "bad.yaml",
            &producer("bad", &["model: WoodOrder", "errorRate: 2"]),
        ),
        ("empty.yaml", ""),
    ])?;
    for (file, code, stdout, stderr) in [
        ("good.yaml", 0, "1 valid\n", ""),
        (
            "bad.yaml",
            1,
            "0 valid, 1 violations\n",
            "-:7:14: OrderProducer/bad: spec.errorRate: 2 is not allowed: must be at most 1\n",
        ),
        (
            "empty.yaml",
            1,
            "",
            "error: there is no manifest in what was given\n",
        ),
    ] {
        let launch = validate(&manifests, &["-f", "-"])
            .await?
            .input(manifests.path(file));
        let exit = launch.start()?.wait(SOON).await?.assert_code(code);
        assert_eq!(
            (exit.stdout.as_str(), exit.stderr.as_str()),
            (stdout, stderr)
        );
    }
    Ok(())
}

#[tokio::test]
async fn folders_are_searched_and_their_folders_when_asked() -> TestResult {
    let manifests = Manifests::new(&[("a.yaml", &good("a")), ("notes.txt", "kind: [")])?;
    std::fs::create_dir(manifests.path("deeper"))?;
    manifests.save("deeper/b.yml", &good("b"))?;
    manifests.save("deeper/c.json", "{\"kind\": 1}")?;
    let exit = run(&manifests, &["-f", "."], 0).await?;
    assert_eq!(exit.stdout, "1 valid\n");
    let exit = run(&manifests, &["-R", "-f", "."], 1).await?;
    assert!(exit.stdout.starts_with("2 valid, "), "{exit:?}");
    assert!(exit.stderr.contains("deeper/c.json:1:"), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn where_nothing_is_checked_nothing_is_valid() -> TestResult {
    let manifests = Manifests::new(&[])?;
    std::fs::create_dir(manifests.path("deeper"))?;
    manifests.save("deeper/a.yaml", &good("a"))?;
    let exit = run(&manifests, &["-f", "."], 1).await?;
    assert!(exit.stderr.contains("there is no manifest"), "{exit:?}");
    assert!(exit.stderr.contains("-R"), "{exit:?}");
    let exit = run(&manifests, &["-R", "-f", "."], 0).await?;
    assert_eq!(exit.stdout, "1 valid\n");
    Ok(())
}

#[tokio::test]
async fn what_is_not_ours_is_skipped_and_counted() -> TestResult {
    let foreign =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {errorRate: 2}\n";
    let manifests = Manifests::new(&[("both.yaml", &[foreign, &good("good")].join("---\n"))])?;
    let exit = run(&manifests, &["-f", "both.yaml"], 0).await?;
    assert_eq!(exit.stdout, "1 valid, 1 of other groups skipped\n");
    Ok(())
}

#[tokio::test]
async fn every_kind_is_checked() -> TestResult {
    let files = [
        (
            "consumer.yaml",
            manifest("StreamConsumer", "check", "  handler: OrderChek"),
        ),
        (
            "worker.yaml",
            manifest("Worker", "stats", "  task: StatsAgregation"),
        ),
        ("backend.yaml", manifest("Backend", "stock", "  app: Stok")),
    ];
    let files = files.each_ref().map(|(file, text)| (*file, text.as_str()));
    let manifests = Manifests::new(&files)?;
    let exit = run(&manifests, &["-f", "."], 1).await?;
    for neighbour in ["OrderCheck?", "StatsAggregation?", "Stock?"] {
        let told = format!("did you mean {neighbour}");
        assert!(exit.stderr.contains(&told), "{told} is missing: {exit:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_command_says_how_it_is_used() -> TestResult {
    let manifests = Manifests::new(&[])?;
    let exit = run(&manifests, &[], 2).await?;
    assert!(exit.stderr.contains("--filename"), "{exit:?}");
    let exit = run(&manifests, &["--help"], 0).await?;
    for option in ["--filename", "--recursive", "--output"] {
        assert!(exit.stdout.contains(option), "{exit:?}");
    }
    Ok(())
}
