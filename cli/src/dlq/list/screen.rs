//! Dead-letter topics as a table, and as one JSON document.

use jiff::{Timestamp, Unit};
use serde::Serialize;

use super::Listing;
use super::sum::Sum;
use crate::dlq::content::{Lines, escaped};
use crate::status::table::{Cell, Paint, table};

/// Raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

const HEADING: [&str; 7] = [
    "TOPIC",
    "LETTERS",
    "NOT REPLAYED",
    "OLDEST",
    "NEWEST",
    "OTHERS",
    "REASONS",
];

/// The lines of the table.
pub(super) fn screen(listing: &Listing, color: bool) -> Vec<String> {
    let mut lines = if listing.sums.is_empty() {
        vec!["There is no dead-letter topic.".to_owned()]
    } else {
        table(&HEADING, listing.sums.iter().map(row).collect(), color)
    };
    lines.extend(listing.notes.iter().map(|note| format!("note: {note}")));
    lines
}

fn row(sum: &Sum) -> Vec<Cell> {
    let not_replayed = match sum.not_replayed {
        None => "-".into(),
        Some(0) => "0".into(),
        Some(count) => Cell::painted(count.to_string(), Paint::Doubtful),
    };
    vec![
        sum.topic.as_str().into(),
        sum.letters.to_string().into(),
        not_replayed,
        time(sum.oldest).into(),
        time(sum.newest).into(),
        sum.others.to_string().into(),
        reasons(sum).into(),
    ]
}

fn time(time: Option<Timestamp>) -> String {
    let rounded = |time: Timestamp| time.round(Unit::Second).unwrap_or(time).to_string();
    time.map_or_else(|| "-".to_owned(), rounded)
}

/// The most frequent first.
fn reasons(sum: &Sum) -> String {
    let mut reasons: Vec<_> = sum.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{} {count}", escaped(reason, Lines::Escaped)))
        .collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(", ")
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    /// When it was written.
    as_of: Timestamp,
    topics: &'a [Sum],
    notes: &'a [String],
}

/// The document of a listing: its fields are only ever added to.
pub(super) fn document(listing: &Listing, now: Timestamp) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Document {
        version: VERSION,
        as_of: now,
        topics: &listing.sums,
        notes: &listing.notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let letters = Sum {
            letters: 1203,
            not_replayed: Some(17),
            others: 2,
            oldest: Some("2026-11-21T09:59:59.7Z".parse().unwrap()),
            newest: Some("2026-11-22T10:00:00.123Z".parse().unwrap()),
            reasons: [
                ("InvalidMessage".to_owned(), 3),
                ("RetriesExhausted".to_owned(), 1200),
            ]
            .into(),
            ..Sum::new("orders.dead-letter", true)
        };
        Listing {
            sums: vec![letters, Sum::new("stocks.dead-letter", false)],
            notes: vec!["stocks.dead-letter: how much is replayed is not known".to_owned()],
        }
    }

    #[test]
    fn topics_with_letters_and_without() {
        insta::assert_snapshot!(screen(&listing(), false).join("\n"));
        let none = screen(&Listing::default(), false);
        assert_eq!(none, ["There is no dead-letter topic."]);
    }

    #[test]
    fn the_document_of_a_listing() {
        let now = "2026-11-22T10:00:01Z".parse().unwrap();
        insta::assert_json_snapshot!(document(&listing(), now).unwrap());
    }
}
