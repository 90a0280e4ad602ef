//! What is to be replayed, and what was, in words.

use super::plan::Plan;
use super::work::Counts;
use crate::dlq::content::{Lines, escaped};

/// A number of letters.
pub(super) fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

/// A number of letters that something is said of.
pub(super) fn left(count: u64) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", letters(count))
}

/// The lines of a plan; `is_first` where no earlier replay is known.
pub(super) fn plan_lines(topic: &str, plan: &Plan, is_first: bool) -> Vec<String> {
    let chosen = plan.chosen();
    let mut lines = Vec::new();
    if chosen == 0 {
        lines.push(format!("{topic}: there is nothing to replay"));
    } else if chosen == plan.letters {
        lines.push(format!("{topic}: {} to replay", letters(chosen)));
    } else {
        let all = letters(plan.letters);
        lines.push(format!("{topic}: {chosen} of {all} to replay"));
    }
    let targets = plan.targets.iter();
    lines.extend(targets.map(|(target, count)| format!("  {count} to {target}")));
    if let Some(first) = &plan.first_other {
        let words = match plan.others {
            1 => "1 record is no dead letter and is left alone".to_owned(),
            count => format!("{count} records are no dead letters and are left alone; the first"),
        };
        let first = escaped(first, Lines::Escaped);
        lines.push(format!("  {words}: {first}"));
    }
    if is_first && chosen > 0 {
        lines.push(
            "  no earlier replay is known (Kafka forgets one after seven days by default): it begins with the oldest letter"
                .to_owned(),
        );
    }
    lines
}

/// The lines of what was done.
pub(super) fn outcome_lines(counts: &Counts, left: u64) -> Vec<String> {
    let targets = counts.replayed.iter();
    let mut lines: Vec<_> = targets
        .map(|(target, count)| format!("{target}: {count} replayed"))
        .collect();
    let Counts { read, skipped, .. } = counts;
    let skipped = match skipped {
        0 => "0 skipped".to_owned(),
        1 => "1 skipped that is no dead letter".to_owned(),
        count => format!("{count} skipped that are no dead letters"),
    };
    let replayed = counts.letters();
    lines.push(format!(
        "{read} read, {replayed} replayed, {skipped}, {left} left"
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(letters: u64) -> Plan {
        Plan {
            letters,
            targets: [("orders".to_owned(), 1000), ("stocks".to_owned(), 200)].into(),
            others: 3,
            first_other: Some(
                "partition 0 offset 12: it has not one header ordermill-dead-letter-reason"
                    .to_owned(),
            ),
            ..Plan::default()
        }
    }

    #[test]
    fn a_plan_in_words() {
        let topic = "orders.dead-letter";
        let mut lines = plan_lines(topic, &plan(1200), true);
        lines.extend(plan_lines(topic, &plan(5000), false));
        lines.extend(plan_lines(topic, &Plan::default(), true));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn an_outcome_in_words() {
        let counts = Counts {
            read: 1203,
            replayed: plan(0).targets,
            skipped: 3,
        };
        let mut lines = outcome_lines(&counts, 17);
        lines.extend(outcome_lines(&Counts::default(), 0));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
