//! Producers as processes: how they are started, tuned and killed, and what is read of them.

mod account;
mod dice;
mod process;

pub use account::{Totals, comparable, injected, is_copy, sequence, totals};
pub use dice::Dice;
pub use process::{Processor, Producer, Run};

pub use super::SOON;
pub use super::configuration::{Configuration, Setup};
pub use super::state::State;

use ordermill_tests::TestResult;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};

/// A run's own name, which takes no more than eight characters up in what is derived from it.
pub fn run_id() -> String {
    ordermill_tests::unique("run")
}

/// Every committed record of a topic up to its end now.
pub async fn read_topic(bootstrap: &str, topic: &str) -> TestResult<Vec<Record>> {
    Ok(read_all(bootstrap, topic, Isolation::ReadCommitted, Until::end()).await?)
}

/// The same of several topics at once, each by itself.
pub async fn read_topics(bootstrap: &str, topics: &[String]) -> TestResult<Vec<Vec<Record>>> {
    read_each(bootstrap, topics, Isolation::ReadCommitted).await
}

/// How many records were ever written to these topics, those of open and aborted transactions too.
pub async fn count_written(bootstrap: &str, topics: &[String]) -> TestResult<usize> {
    let records = read_each(bootstrap, topics, Isolation::ReadUncommitted).await?;
    Ok(records.iter().map(Vec::len).sum())
}

async fn read_each(
    bootstrap: &str,
    topics: &[String],
    isolation: Isolation,
) -> TestResult<Vec<Vec<Record>>> {
    let read = |topic: &String| {
        let (bootstrap, topic) = (bootstrap.to_owned(), topic.clone());
        tokio::spawn(async move { read_all(&bootstrap, &topic, isolation, Until::end()).await })
    };
    let reading: Vec<_> = topics.iter().map(read).collect();
    let mut records = Vec::new();
    for topic in reading {
        records.push(topic.await??);
    }
    Ok(records)
}

/// Waits until so many committed records are in a topic.
pub async fn wait_for_records(bootstrap: &str, topic: &str, count: usize) -> TestResult {
    let until = Until::count(count).within(SOON);
    read_all(bootstrap, topic, Isolation::ReadCommitted, until).await?;
    Ok(())
}
