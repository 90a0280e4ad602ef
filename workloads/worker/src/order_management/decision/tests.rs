//! The rules one by one, and the law that they make.

mod model;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use self::model::{Event, World, event};
use super::*;

#[test]
fn each_thing_that_is_known_has_its_consequence() {
    use Decreased::{NotAsked, Refused, Taken, Unknown};
    use Next::{Become, Cancel};
    use Status::{Failed, Processed, Registered};
    for (attempt, max_retries, decreased, next) in [
        (1, 0, Taken, Become(Processed)),
        (1, 0, Refused, Cancel),
        (1, 0, NotAsked, Become(Failed)),
        (1, 0, Unknown, Cancel),
        // The history of a later claim is not known.
        (2, 0, Taken, Become(Processed)),
        (2, 0, Refused, Cancel),
        (2, 0, NotAsked, Cancel),
        (2, 0, Unknown, Cancel),
        // Two repetitions are three attempts.
        (1, 2, NotAsked, Become(Registered)),
        (2, 2, Refused, Become(Registered)),
        (3, 2, Refused, Cancel),
        (3, 2, NotAsked, Cancel),
        (3, 2, Taken, Become(Processed)),
        (2, 2, Unknown, Become(Registered)),
        (3, 2, Unknown, Cancel),
    ] {
        let claim = Claim {
            attempt,
            max_retries,
        };
        assert_eq!(
            claim.after_decrease(decreased),
            next,
            "{claim:?} {decreased:?}"
        );
    }
    assert_eq!(Cancelled::InTime.becomes(), Failed);
    assert_eq!(Cancelled::TooLate.becomes(), Processed);
    assert_eq!(Cancelled::Unknown.becomes(), Registered);
}

fn run(
    rule: fn(Claim, Decreased) -> Next,
    max_retries: u32,
    events: &[Event],
) -> Result<(), TestCaseError> {
    let mut world = World::new(rule, max_retries);
    for event in events {
        world.happen(*event);
        world.law()?;
    }
    world.settle()
}

fn history() -> impl Strategy<Value = (u32, Vec<Event>)> {
    (0..3_u32, prop::collection::vec(event(), 0..150))
}

proptest! {
    #![proptest_config(Config::with_cases(2000))]

    #[test]
    fn processed_is_taken_once_and_failed_is_never_taken_whatever_goes_wrong(
        (max_retries, events) in history()
    ) {
        run(Claim::after_decrease, max_retries, &events)?;
    }
}

/// The model finds what is wrong with rules that are nearly right.
#[test]
fn rules_that_are_nearly_right_are_found_out() {
    let fails_what_it_does_not_know = |claim: Claim, decreased| match decreased {
        Decreased::Unknown => Next::Become(Status::Failed),
        known => claim.after_decrease(known),
    };
    let forgets_earlier_attempts = |claim: Claim, decreased| match decreased {
        Decreased::NotAsked => Next::Become(Status::Failed),
        known => claim.after_decrease(known),
    };
    let forgets_what_is_under_way = |claim: Claim, decreased| match decreased {
        Decreased::Refused => Next::Become(Status::Failed),
        known => claim.after_decrease(known),
    };
    let rules: [fn(Claim, Decreased) -> Next; 3] = [
        fails_what_it_does_not_know,
        forgets_earlier_attempts,
        forgets_what_is_under_way,
    ];
    for (index, rule) in rules.into_iter().enumerate() {
        let mut runner = TestRunner::deterministic();
        let found = (0..20_000).any(|_| {
            let (max_retries, events) = history().new_tree(&mut runner).unwrap().current();
            run(rule, max_retries, &events).is_err()
        });
        assert!(found, "rule {index} passes");
    }
}
