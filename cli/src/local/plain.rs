//! Plain lines, for pipes and logs.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::report::{ResourceReport, Summary, duration, planned};
use super::supervisor::Supervisor;

/// Time between two rounds of lines.
const EVERY: Duration = Duration::from_secs(5);

/// Shows a line for each resource every few seconds, until it is time to end.
pub(super) async fn show(
    supervisor: &mut Supervisor,
    kafka: &str,
    cancelled: &CancellationToken,
    end: Option<Instant>,
) {
    println!("Kafka listens at {kafka}");
    let mut next = Instant::now() + Duration::from_secs(1);
    while supervisor.step(cancelled, end).await {
        if Instant::now() >= next {
            supervisor
                .reports()
                .iter()
                .for_each(|report| println!("{}", line(report)));
            next += EVERY;
        }
    }
}

/// Shows how it ended.
pub(super) fn print_summary(summary: &Summary) {
    println!("At the end:");
    for resource in &summary.resources {
        println!("  {}", line(resource));
    }
}

fn line(report: &ResourceReport) -> String {
    let ResourceReport {
        kind,
        name,
        generation,
        state,
        observed,
        ..
    } = report;
    let count = |value: Option<i64>| value.unwrap_or_default();
    let mut line = format!(
        "{kind}/{name} {state} generation={generation} planned={} observed={} events={} injected={} failed={}",
        planned(report),
        observed
            .rate_per_second
            .as_deref()
            .map_or("-".to_owned(), |rate| format!("{rate}/s")),
        count(observed.events),
        count(observed.injected),
        count(observed.failed),
    );
    let number = |name: &str, value: Option<i64>| value.map(|value| format!("{name}={value}"));
    let details = [
        number("retried", observed.retried.filter(|retried| *retried > 0)),
        number("deadLettered", observed.dead_lettered),
        number("lag", observed.lag),
        report
            .lateness_seconds
            .map(|lateness| format!("lateness={}", duration(lateness).replace(' ', ""))),
        report
            .reason
            .as_ref()
            .map(|reason| format!("reason={reason}")),
        report
            .message
            .as_ref()
            .map(|message| format!("({message})")),
    ];
    for detail in details.into_iter().flatten() {
        line.push(' ');
        line.push_str(&detail);
    }
    line
}
