//! The wood orders as a whole, while every part of them fails on purpose and is killed at random: nothing is lost, nothing
//! counts twice, and the stock is right to the unit.
//!
//! The seed that is printed brings the same kills at the same moments again. What the parts draw themselves has none: one that
//! is killed would begin its draws anew.

mod part;
mod system;

use std::time::Duration;

use ordermill_tests::TestResult;

use self::system::System;
use crate::support::producer::Dice;

/// Set to another number of seconds, the tests go on for so long.
const VARIABLE: &str = "ORDERMILL_INVARIANT_SECONDS";

fn seconds(default: u64) -> Duration {
    let given = std::env::var(VARIABLE).ok();
    let seconds = given.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

async fn holds(test: &str, managers: usize, lasts: Duration) -> TestResult {
    let mut dice = Dice::new(test);
    let mut system = System::start(managers).await?;
    let kills = system.suffer(&mut dice, lasts).await?;
    system.settle().await?;
    let account = system.account().await?;
    println!("{test}: killed {kills:?}\n{account}");
    account.assert_consistent(101);
    system.stop().await
}

#[tokio::test]
async fn no_order_is_lost_or_done_twice_while_everything_fails_and_is_killed() -> TestResult {
    holds("two managers", 2, seconds(180)).await
}

#[tokio::test]
async fn eight_managers_share_the_work_while_everything_fails_and_is_killed() -> TestResult {
    holds("eight managers", 8, seconds(60)).await
}
