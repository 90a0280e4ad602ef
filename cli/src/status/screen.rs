//! The overview as text.

use jiff::{SignedDuration, Timestamp};

use super::table::{Cell, Paint, line, widths};
use super::text::{age, count, pace, percent, rate, taken};
use super::view::{Health, Overview, Summary, System};

/// Numbers of something that works are written once a minute; older ones mean that nobody writes.
const STALE: SignedDuration = SignedDuration::from_mins(3);

const HEADING: [&str; 13] = [
    "RESOURCE", "HEALTH", "PODS", "DECLARED", "OBSERVED", "EVENTS", "ERRORS", "INJECTED", "FAILED",
    "LAG", "MEMBERS", "TUNING", "SEEN",
];
/// Columns that are left out where no resource has them.
const OPTIONAL: [usize; 2] = [9, 10];

/// The lines of an overview; `place` says where was looked.
pub(crate) fn screen(overview: &Overview, place: &str, now: Timestamp, color: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if overview.systems.is_empty() {
        lines.push(format!("There is no resource of ours {place}."));
    }
    let heading = HEADING
        .map(|text| Cell::painted(text, Paint::Heading))
        .to_vec();
    let rows = |system: &System| -> Vec<Vec<Cell>> {
        system.resources.iter().map(|it| row(it, now)).collect()
    };
    let all: Vec<_> = overview.systems.iter().flat_map(rows).collect();
    let keep: Vec<bool> = (0..HEADING.len())
        .map(|column| {
            !OPTIONAL.contains(&column) || all.iter().any(|row| row[column] != Cell::from("-"))
        })
        .collect();
    let kept = |row: Vec<Cell>| -> Vec<Cell> {
        let cells = row.into_iter().zip(&keep);
        cells
            .filter_map(|(cell, keep)| keep.then_some(cell))
            .collect()
    };
    let heading = kept(heading);
    let all: Vec<_> = all.into_iter().map(kept).collect();
    let widths = widths(std::iter::once(&heading).chain(&all));
    let mut rows = all.iter();
    for (index, system) in overview.systems.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        lines.push(title(system, color));
        lines.push(line(&heading, &widths, color));
        for (summary, row) in system.resources.iter().zip(rows.by_ref()) {
            lines.push(line(row, &widths, color));
            lines.extend(
                troubles(summary, now)
                    .into_iter()
                    .map(|text| format!("  {text}")),
            );
        }
    }
    if !overview.systems.is_empty() {
        lines.push(String::new());
        lines.push(sum(overview));
    }
    lines.extend(overview.notes.iter().map(|note| format!("note: {note}")));
    lines
}

fn title(system: &System, color: bool) -> String {
    let name = system
        .name
        .as_deref()
        .map_or_else(|| "No system".to_owned(), |name| format!("System {name}"));
    Paint::Heading.on(&format!("{name}, namespace {}", system.namespace), color)
}

fn sum(overview: &Overview) -> String {
    let all = || overview.systems.iter().flat_map(|system| &system.resources);
    let ready = all().filter(|it| it.health.is_ready()).count();
    match all().count() {
        1 if ready == 1 => "1 resource, ready".to_owned(),
        1 => "1 resource, not ready".to_owned(),
        count if count == ready => format!("{count} resources, all ready"),
        count => format!("{count} resources, {} not ready", count - ready),
    }
}

fn row(summary: &Summary, now: Timestamp) -> Vec<Cell> {
    let observed = summary.observed.as_ref();
    let field = |field: fn(&ordermill_crds::Observed) -> Option<i64>| observed.and_then(field);
    vec![
        format!("{}/{}", summary.kind, summary.name).into(),
        health(&summary.health),
        pods(summary).into(),
        pace(&summary.declared).into(),
        rate(observed).into(),
        count(field(|it| it.events)).into(),
        summary
            .declared
            .error_rate
            .map_or_else(|| "-".to_owned(), percent)
            .into(),
        count(field(|it| it.injected)).into(),
        count(field(|it| it.failed)).into(),
        count(field(|it| it.lag)).into(),
        count(field(|it| it.members)).into(),
        tuning(summary),
        observed
            .and_then(taken)
            .map_or_else(|| "-".to_owned(), |then| age(then, now))
            .into(),
    ]
}

/// The health as one cell.
pub(crate) fn health(health: &Health) -> Cell {
    let Health { ready, reason, .. } = health;
    match ready.as_str() {
        "True" => Cell::painted(reason, Paint::Good),
        "False" => Cell::painted(format!("not ready: {reason}"), Paint::Bad),
        _ => Cell::painted(format!("unknown: {reason}"), Paint::Doubtful),
    }
}

fn pods(summary: &Summary) -> String {
    let ready = summary.replicas.ready.map(i64::from);
    // The pods of a bounded run are gone when it is done.
    if summary.health.reason == "Completed" {
        return "done".to_owned();
    }
    format!("{}/{}", count(ready), summary.replicas.declared)
}

fn tuning(summary: &Summary) -> Cell {
    let newest = summary.generation;
    match (summary.tuning.applied.as_deref(), summary.tuning.generation) {
        (Some("True"), Some(generation)) if generation < newest => {
            Cell::painted(format!("{generation} → {newest}"), Paint::Doubtful)
        }
        (Some("True"), Some(generation)) => generation.to_string().into(),
        (Some("False"), generation) => {
            Cell::painted(format!("{} → {newest}", count(generation)), Paint::Doubtful)
        }
        (Some("Unknown"), _) => Cell::painted(format!("? → {newest}"), Paint::Doubtful),
        _ => "-".into(),
    }
}

/// What is wrong, in words.
fn troubles(summary: &Summary, now: Timestamp) -> Vec<String> {
    let mut troubles = Vec::new();
    let Health { message, since, .. } = &summary.health;
    if !summary.health.is_ready() {
        let since = since.map_or_else(String::new, |then| format!(" (for {})", age(then, now)));
        troubles.push(format!("{message}{since}"));
    }
    if let Some(message) = &summary.tuning.message
        && matches!(summary.tuning.applied.as_deref(), Some("False" | "Unknown"))
    {
        troubles.push(format!("tuning: {message}"));
    }
    let observed = summary.observed.as_ref();
    let moves = observed
        .and_then(|it| it.rate_per_second.as_deref())
        .is_some_and(|rate| rate != "0");
    let stale = observed
        .and_then(taken)
        .filter(|then| now.duration_since(*then) > STALE);
    if let Some(then) = stale.filter(|_| moves) {
        troubles.push(format!(
            "its numbers are from {} ago: does the operator still run?",
            age(then, now)
        ));
    }
    troubles
}
