//! The variables themselves: wrong ones, strange ones, and those with two spellings.

use ordermill_tests::process::Program;
use ordermill_tests::{TestResult, unique};

use super::hand::{SOON, run};

#[tokio::test]
async fn everything_wrong_is_named_at_once() -> TestResult {
    let wrong = [
        ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
        ("KAFKA_TOPIC", "a b"),
        ("INTERVAL_SECONDS", "-1"),
        ("NUM_EVENTS", "0"),
        ("ERROR_RATE", "1.5"),
        ("LOG_LEVEL", "loud"),
    ];
    let exit = run("food-order", &wrong, 1).await?;
    for (name, value) in wrong {
        let told = format!("{name}={value:?} cannot be used: ");
        assert!(
            exit.stderr.contains(&told),
            "{told} is missing: {}",
            exit.stderr
        );
    }
    assert_eq!(
        exit.stderr.matches("cannot be used: ").count(),
        wrong.len(),
        "{}",
        exit.stderr
    );
    assert_eq!(exit.stdout, "", "it has not begun to work");
    Ok(())
}

#[tokio::test]
async fn other_programs_variables_do_no_harm() -> TestResult {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let mut process = Program::workload()
        .await?
        .arg("food-order")
        .env("OTHER", OsStr::from_bytes(b"\xff"))
        .env("ERROR_RATE", OsStr::from_bytes(b"0.1\xff"))
        .start()?;
    let exit = process.wait(SOON).await?.assert_code(1);
    assert!(exit.stderr.contains("ERROR_RATE="), "{}", exit.stderr);
    assert!(!exit.stderr.contains("OTHER"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
    Ok(())
}

#[tokio::test]
async fn the_log_level_is_pythons_or_ours() -> TestResult {
    for level in ["WARNING", "warn"] {
        let topic = unique("quiet");
        let variables = [
            ("KAFKA_TOPIC", topic.as_str()),
            ("NUM_EVENTS", "20"),
            ("INTERVAL_SECONDS", "0.001"),
            ("ERROR_RATE", "0"),
            ("LOG_LEVEL", level),
        ];
        let exit = run("food-order", &variables, 0).await?;
        assert_eq!(exit.stdout, "", "nothing of this needs a warning");
    }
    Ok(())
}
