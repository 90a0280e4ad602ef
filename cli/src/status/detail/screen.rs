//! One resource in full, as text.

use jiff::Timestamp;
use ordermill_crds::Observed;

use super::pods::{PodView, Source};
use super::view::Detail;
use crate::status::screen::health;
use crate::status::table::{Cell, Paint, line, table};
use crate::status::text::{age, count, pace, percent, rate, taken};

/// The lines of a detail.
pub(crate) fn screen(detail: &Detail, now: Timestamp, color: bool) -> Vec<String> {
    let mut lines = head(detail, now, color);
    section(&mut lines, numbers(detail, now, color));
    if !detail.conditions.is_empty() {
        section(&mut lines, conditions(detail, now, color));
    }
    if let Some(pods) = detail.pods.as_deref().filter(|pods| !pods.is_empty()) {
        section(
            &mut lines,
            vec![by_generation(pods, detail.summary.generation)],
        );
        lines.extend(pod_table(pods, now, color));
        let told = pods.iter().filter_map(|pod| {
            let message = pod.message.as_ref()?;
            Some(format!("  {}: {message}", pod.name))
        });
        lines.extend(told);
    }
    if !detail.topics.is_empty() {
        section(&mut lines, topics(detail, color));
    }
    if let Some(events) = detail.events.as_deref().filter(|events| !events.is_empty()) {
        let rows = events.iter().map(|event| {
            let paint = if event.kind == "Warning" {
                Paint::Bad
            } else {
                Paint::Plain
            };
            vec![
                event
                    .at
                    .map_or_else(|| "-".to_owned(), |at| age(at, now))
                    .into(),
                Cell::painted(&event.kind, paint),
                event.reason.as_str().into(),
                event.count.to_string().into(),
                event.message.as_str().into(),
            ]
        });
        let heading = ["EVENT", "TYPE", "REASON", "TIMES", "MESSAGE"];
        section(&mut lines, table(&heading, rows.collect(), color));
    }
    if !detail.notes.is_empty() {
        let notes = detail.notes.iter().map(|note| format!("note: {note}"));
        section(&mut lines, notes.collect());
    }
    lines
}

fn section(lines: &mut Vec<String>, more: Vec<String>) {
    lines.push(String::new());
    lines.extend(more);
}

fn head(detail: &Detail, now: Timestamp, color: bool) -> Vec<String> {
    let summary = &detail.summary;
    let system = detail
        .system
        .as_ref()
        .map_or_else(String::new, |name| format!(", system {name}"));
    let what = summary.declared.what.as_deref().unwrap_or("-");
    let title = format!(
        "{}/{} ({what}), namespace {}{system}",
        summary.kind, summary.name, summary.namespace
    );
    let since = summary
        .health
        .since
        .map_or_else(String::new, |then| format!(" for {}", age(then, now)));
    let state = line(&[health(&summary.health)], &[0], color);
    let seen = match detail.observed_generation {
        Some(seen) if seen == summary.generation => String::new(),
        Some(seen) => format!(", the operator has seen {seen}"),
        None => ", the operator has seen none".to_owned(),
    };
    let created = summary.created_at.map_or_else(String::new, |then| {
        format!(", created {} ago", age(then, now))
    });
    vec![
        Paint::Heading.on(&title, color),
        format!("{state}{since}: {}", summary.health.message),
        format!("generation {}{seen}{created}", summary.generation),
    ]
}

fn numbers(detail: &Detail, now: Timestamp, color: bool) -> Vec<String> {
    let summary = &detail.summary;
    let declared = &summary.declared;
    let none = Observed::default();
    let observed = summary.observed.as_ref().unwrap_or(&none);
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut add = |name: &str, declared: String, observed: String| {
        rows.push([name.to_owned(), declared, observed]);
    };
    let nothing = String::new;
    let ready = count(summary.replicas.ready.map(i64::from));
    let current = count(summary.replicas.current.map(i64::from));
    add(
        "pods",
        declared.replicas.to_string(),
        format!("{ready} ready of {current}"),
    );
    let paused = if declared.paused { "yes" } else { "no" };
    add(
        "paused",
        paused.to_owned(),
        summary.phase.clone().unwrap_or_default(),
    );
    add("rate", pace(declared), rate(Some(observed)));
    let most = declared.max_events.map(|most| most.to_string());
    add("events", most.unwrap_or_default(), count(observed.events));
    let share = declared.error_rate.map_or_else(|| "-".to_owned(), percent);
    add("errors: injected", share, count(observed.injected));
    add("errors: real", nothing(), count(observed.failed));
    let group = declared.group.as_ref();
    let group = group.map_or_else(nothing, |group| format!("group {group}"));
    let optional = [
        ("retried", nothing(), observed.retried),
        ("dead-lettered", nothing(), observed.dead_lettered),
        ("lag", group, observed.lag),
        ("members", nothing(), observed.members),
    ];
    for (name, declared, value) in optional {
        if value.is_some() {
            add(name, declared, count(value));
        }
    }
    let tuned = match (summary.tuning.generation, summary.tuning.reason.as_deref()) {
        (generation, Some(reason)) => format!("{} ({reason})", count(generation)),
        (generation, None) => count(generation),
    };
    add("tuning generation", summary.generation.to_string(), tuned);
    let rows = rows.into_iter().map(|row| row.map(Cell::from).to_vec());
    let mut lines = table(&["", "DECLARED", "OBSERVED"], rows.collect(), color);
    let since = observed
        .since
        .as_deref()
        .and_then(|since| since.parse::<Timestamp>().ok());
    let times: Vec<_> = [
        taken(observed).map(|then| format!("taken {} ago", age(then, now))),
        since.map(|then| format!("totals of the last {}", age(then, now))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !times.is_empty() {
        lines.push(format!("observed: {}", times.join(", ")));
    }
    lines
}

fn conditions(detail: &Detail, now: Timestamp, color: bool) -> Vec<String> {
    let rows = detail.conditions.iter().map(|condition| {
        vec![
            condition.type_.as_str().into(),
            condition.status.as_str().into(),
            condition.reason.as_str().into(),
            age(condition.last_transition_time.0, now).into(),
            condition.message.as_str().into(),
        ]
    });
    let heading = ["CONDITION", "STATUS", "REASON", "FOR", "MESSAGE"];
    table(&heading, rows.collect(), color)
}

/// How many pods run with which generation.
fn by_generation(pods: &[PodView], newest: i64) -> String {
    let mut groups: Vec<(Option<i64>, usize)> = Vec::new();
    for pod in pods {
        match groups.last_mut() {
            Some((generation, count)) if *generation == pod.generation => *count += 1,
            _ => groups.push((pod.generation, 1)),
        }
    }
    let groups = groups
        .into_iter()
        .map(|(generation, count)| match generation {
            Some(generation) if generation == newest => {
                format!("{count} with {generation} (newest)")
            }
            Some(generation) => format!("{count} with {generation}"),
            None => format!("{count} unknown"),
        });
    let groups: Vec<_> = groups.collect();
    format!("Pods by tuning generation: {}", groups.join(", "))
}

fn pod_table(pods: &[PodView], now: Timestamp, color: bool) -> Vec<String> {
    let rows = pods.iter().map(|pod| {
        let generation = match (pod.generation, pod.generation_from) {
            (Some(generation), Some(Source::Pod)) => generation.to_string(),
            (Some(generation), Some(Source::Operator)) => format!("{generation} (operator)"),
            (Some(generation), _) => format!("{generation}? (asked to take it)"),
            (None, _) => "?".to_owned(),
        };
        let observed = pod.observed.as_ref();
        let paint = if pod.ready {
            Paint::Good
        } else {
            Paint::Doubtful
        };
        let ready = if pod.ready { "yes" } else { "no" };
        vec![
            pod.name.as_str().into(),
            generation.into(),
            pod.phase.as_str().into(),
            Cell::painted(ready, paint),
            pod.restarts.to_string().into(),
            pod.created_at
                .map_or_else(|| "-".to_owned(), |then| age(then, now))
                .into(),
            pod.state.as_deref().unwrap_or("-").into(),
            rate(observed).into(),
            count(observed.and_then(|it| it.events)).into(),
            pod.lateness_seconds
                .map_or_else(|| "-".to_owned(), |it| format!("{:.1} ms", it * 1e3))
                .into(),
        ]
    });
    let heading = [
        "POD",
        "GENERATION",
        "PHASE",
        "READY",
        "RESTARTS",
        "AGE",
        "SAYS",
        "RATE",
        "EVENTS",
        "LATENESS",
    ];
    table(&heading, rows.collect(), color)
}

fn topics(detail: &Detail, color: bool) -> Vec<String> {
    let rows = detail.topics.iter().map(|topic| {
        let number = |value: Option<i32>| {
            value.map_or_else(|| "broker's".to_owned(), |value| value.to_string())
        };
        let config = topic
            .config
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let config = config.collect::<Vec<_>>().join(" ");
        let paint = match topic.strimzi.as_deref() {
            Some("Ready") => Paint::Good,
            Some("NotReady" | "Missing") => Paint::Bad,
            _ => Paint::Doubtful,
        };
        vec![
            topic.name.as_str().into(),
            number(topic.partitions).into(),
            number(topic.replicas).into(),
            Cell::painted(topic.strimzi.as_deref().unwrap_or("-"), paint),
            config.into(),
        ]
    });
    let heading = ["TOPIC", "PARTITIONS", "REPLICAS", "STRIMZI", "CONFIG"];
    let mut lines = table(&heading, rows.collect(), color);
    let troubles = detail.topics.iter().filter_map(|topic| {
        let message = topic.message.as_ref()?;
        Some(format!("  {}: {message}", topic.name))
    });
    lines.extend(troubles);
    lines
}
