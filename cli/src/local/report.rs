//! What is shown of the resources: the reports of their instances, summed.

use ordermill_backend::Contents;
use ordermill_config::StateReport;
use ordermill_crds::Observed;
use ordermill_runtime::state::Phase;
use serde::Serialize;

/// The document that `--output json` ends with.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Where Kafka was reached.
    pub kafka: String,
    /// Every resource, those that ended included.
    pub resources: Vec<ResourceReport>,
}

/// One resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceReport {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub planned_rate_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness_seconds: Option<f64>,
    pub observed: Observed,
    /// What the database of a backend held when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
}

/// Sums the reports of a resource's instances; `None` for none. What `former` instances, which are ending or have ended,
/// counted still counts.
pub(super) fn sum(instances: &[StateReport], former: &[StateReport]) -> Option<ResourceReport> {
    let first = instances.first()?;
    // The resource is as far as its slowest instance, and in trouble with any.
    let generation = instances.iter().map(|report| report.generation).min()?;
    let telling = instances
        .iter()
        .find(|report| report.state == Phase::Waiting.as_str())
        .or_else(|| {
            instances
                .iter()
                .find(|report| report.state != Phase::Completed.as_str())
        })
        .unwrap_or(first);
    let lateness = instances
        .iter()
        .filter_map(|report| report.lateness_seconds);
    Some(ResourceReport {
        kind: first.kind.clone(),
        namespace: first.namespace.clone(),
        name: first.name.clone(),
        generation,
        state: telling.state.clone(),
        reason: telling.reason.clone(),
        message: telling.message.clone(),
        planned_rate_per_second: instances.iter().map(|it| it.planned_rate_per_second).sum(),
        lateness_seconds: lateness.reduce(f64::max),
        observed: observed(instances, former),
        contents: None,
    })
}

/// The counts of all instances; rate, lag and members of those that are not former.
pub(super) fn observed(instances: &[StateReport], former: &[StateReport]) -> Observed {
    let all = || instances.iter().chain(former).map(|it| &it.observed);
    let total =
        |field: fn(&Observed) -> Option<i64>| all().filter_map(field).reduce(i64::saturating_add);
    let now = |field: fn(&Observed) -> Option<i64>| {
        let told = instances.iter().filter_map(|it| field(&it.observed));
        told.reduce(i64::saturating_add)
    };
    // Without that of one of them, the lag of the group is not known.
    let all_tell_a_lag = instances.iter().all(|it| it.observed.lag.is_some());
    let rates = instances.iter().filter_map(|report| {
        let rate = report.observed.rate_per_second.as_deref()?;
        rate.parse::<f64>().ok()
    });
    let rate = rates.reduce(|left, right| left + right);
    Observed {
        events: total(|it| it.events),
        injected: total(|it| it.injected),
        failed: total(|it| it.failed),
        retried: total(|it| it.retried),
        dead_lettered: total(|it| it.dead_lettered),
        lag: now(|it| it.lag).filter(|_| all_tell_a_lag),
        members: now(|it| it.members),
        since: all().filter_map(|it| it.since.clone()).min(),
        rate_per_second: rate.map(|rate| format!("{rate:.1}")),
        as_of: all().filter_map(|it| it.as_of.clone()).max(),
    }
}

/// The rate that is planned; nothing of what only answers to others.
pub(super) fn planned(report: &ResourceReport) -> String {
    if report.kind == "OrderProducer" {
        rate(report.planned_rate_per_second)
    } else {
        "-".to_owned()
    }
}

/// A duration in seconds as a person reads it.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// A rate as a person reads it: `12.0/s`, or `1.0/min` where a second is too short to tell.
pub(super) fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 0.1 {
        format!("{:.1}/min", per_second * 60.0)
    } else {
        format!("{per_second:.1}/s")
    }
}
