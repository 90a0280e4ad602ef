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

/// How long things fail and die.
const LASTS: Duration = Duration::from_mins(3);
/// Set to another number of seconds, the tests go on for so long.
const VARIABLE: &str = "ORDERMILL_INVARIANT_SECONDS";

fn lasts() -> Duration {
    let given = std::env::var(VARIABLE).ok();
    let seconds = given.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(LASTS, Duration::from_secs)
}

async fn holds(test: &str, managers: usize) -> TestResult {
    let mut dice = Dice::new(test);
    let mut system = System::start(managers).await?;
    let kills = system.suffer(&mut dice, lasts()).await?;
    system.settle().await?;
    let account = system.account().await?;
    println!("{test}: killed {kills:?}\n{account}");
    account.assert_consistent(101);
    account.assert_told(&system.stop().await?);
    Ok(())
}

#[tokio::test]
async fn no_order_is_lost_or_done_twice_while_everything_fails_and_is_killed() -> TestResult {
    holds("two managers", 2).await
}

#[tokio::test]
async fn eight_managers_share_the_work_while_everything_fails_and_is_killed() -> TestResult {
    holds("eight managers", 8).await
}
