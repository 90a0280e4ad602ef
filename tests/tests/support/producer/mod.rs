//! Producers as processes: how they are started, tuned and killed, and what is read of them.

#![allow(dead_code, unused_imports, reason = "each suite uses its own part")]

mod account;
mod configuration;
mod dice;
mod process;

use std::time::Duration;

pub use account::{Comparable, Totals, comparable, injected, is_copy, sequence, totals};
pub use configuration::{Configuration, Setup};
pub use dice::Dice;
pub use process::{LogLine, Producer, Run, State};

use ordermill_tests::TestResult;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};

/// For what takes a moment on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);

/// A run's own name, which takes no more than eight characters up in what is derived from it.
pub fn run_id() -> String {
    ordermill_tests::unique("run")
}

/// Every committed record of a topic up to its end now.
pub async fn read_topic(bootstrap: &str, topic: &str) -> TestResult<Vec<Record>> {
    Ok(read_all(bootstrap, topic, Isolation::ReadCommitted, Until::end()).await?)
}

/// Waits until so many committed records are in a topic.
pub async fn wait_for_records(bootstrap: &str, topic: &str, count: usize) -> TestResult {
    let until = Until::count(count).within(SOON);
    read_all(bootstrap, topic, Isolation::ReadCommitted, until).await?;
    Ok(())
}
