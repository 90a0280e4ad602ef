//! The pods of a resource, by the generation of the tuning that each runs with.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ordermill_config::{NUDGE, StateReport};
use ordermill_crds::{Observed, ResourceStatus};
use serde::Serialize;

/// A pod, and what it told or why it told nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskedPod {
    pub(crate) pod: Pod,
    pub(crate) state: Result<StateReport, String>,
}

/// Who says which generation a pod runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Source {
    /// The pod itself.
    Pod,
    /// The operator, of all pods.
    Operator,
    /// Nobody: it is what the pod was asked to take.
    Asked,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodView {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation_from: Option<Source>,
    /// What Kubernetes says: Running, Pending, a reason such as `CrashLoopBackOff`, Terminating.
    pub(crate) phase: String,
    pub(crate) ready: bool,
    pub(crate) restarts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<Timestamp>,
    /// What the pod says: Running, Waiting, Paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) planned_rate_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lateness_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<Observed>,
}

/// The pods, the newest generation first, unknown ones last.
pub(crate) fn pods(asked: &[AskedPod], status: Option<&ResourceStatus>) -> Vec<PodView> {
    let mut views: Vec<_> = asked.iter().map(|asked| view(asked, status)).collect();
    views.sort_by(|one, other| {
        let order = other.generation.cmp(&one.generation);
        order.then_with(|| one.name.cmp(&other.name))
    });
    views
}

fn view(asked: &AskedPod, status: Option<&ResourceStatus>) -> PodView {
    let AskedPod { pod, state } = asked;
    let told = state.as_ref().ok();
    let (generation, generation_from) = generation(pod, told, status).unzip();
    let details = pod.status.as_ref();
    let containers = details
        .and_then(|it| it.container_statuses.as_deref())
        .unwrap_or_default();
    let conditions = details
        .and_then(|it| it.conditions.as_deref())
        .unwrap_or_default();
    PodView {
        name: pod.name_any(),
        generation,
        generation_from,
        phase: phase(pod),
        ready: conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.status == "True"),
        restarts: containers.iter().map(|it| it.restart_count).sum(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        created_at: pod.creation_timestamp().map(|time| time.0),
        state: told.map(|it| it.state.clone()),
        message: told.and_then(|it| {
            let reason = it.reason.as_deref()?;
            Some(format!(
                "{reason}: {}",
                it.message.as_deref().unwrap_or_default()
            ))
        }),
        planned_rate_per_second: told.map(|it| it.planned_rate_per_second),
        lateness_seconds: told.and_then(|it| it.lateness_seconds),
        observed: told.map(|it| it.observed.clone()),
    }
}

fn generation(
    pod: &Pod,
    told: Option<&StateReport>,
    status: Option<&ResourceStatus>,
) -> Option<(i64, Source)> {
    if let Some(told) = told {
        return Some((told.generation, Source::Pod));
    }
    let says_of_all = status.and_then(|status| {
        let mut conditions = status.conditions.iter();
        let applied = conditions.find(|it| it.type_ == "TuningApplied")?;
        (applied.status == "True" && applied.reason == "Applied")
            .then_some(status.tuned_generation)?
    });
    if let Some(generation) = says_of_all {
        return Some((generation, Source::Operator));
    }
    let mark = pod.annotations().get(NUDGE)?;
    let (generation, _) = mark.split_once('.')?;
    Some((generation.parse().ok()?, Source::Asked))
}

/// In one word, as kubectl's column STATUS.
fn phase(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let status = pod.status.as_ref();
    let containers = status
        .and_then(|it| it.container_statuses.as_deref())
        .unwrap_or_default();
    let stuck = containers.iter().find_map(|container| {
        let state = container.state.as_ref()?;
        state.waiting.as_ref()?.reason.clone()
    });
    stuck
        .or_else(|| status.and_then(|it| it.phase.clone()))
        .unwrap_or_else(|| "Unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, mark: Option<&str>) -> Pod {
        let mut pod: Pod = serde_yaml::from_str(&format!("metadata: {{name: {name}}}")).unwrap();
        if let Some(mark) = mark {
            pod.annotations_mut()
                .insert(NUDGE.to_owned(), mark.to_owned());
        }
        pod
    }

    fn asked(name: &str, mark: Option<&str>, generation: Option<i64>) -> AskedPod {
        AskedPod {
            pod: pod(name, mark),
            state: generation
                .map(|generation| StateReport {
                    generation,
                    ..StateReport::default()
                })
                .ok_or_else(|| "refused".to_owned()),
        }
    }

    fn status(applied: &str, reason: &str) -> ResourceStatus {
        serde_yaml::from_str(&format!(
            "{{tunedGeneration: 4, conditions: [{{type: TuningApplied, status: '{applied}', reason: {reason}, \
                message: m, lastTransitionTime: '2026-01-01T00:00:00Z'}}]}}"
        ))
        .unwrap()
    }

    #[test]
    fn the_best_source_is_taken_and_named() {
        let of = |asked: AskedPod, status: Option<&ResourceStatus>| {
            let view = view(&asked, status);
            view.generation.zip(view.generation_from)
        };
        let applied = status("True", "Applied");
        let applying = status("False", "Applying");
        assert_eq!(
            of(asked("a", Some("6.0"), Some(5)), Some(&applied)),
            Some((5, Source::Pod))
        );
        assert_eq!(
            of(asked("a", Some("6.0"), None), Some(&applied)),
            Some((4, Source::Operator))
        );
        assert_eq!(
            of(asked("a", Some("6.0"), None), Some(&applying)),
            Some((6, Source::Asked))
        );
        assert_eq!(of(asked("a", None, None), Some(&applying)), None);
        assert_eq!(
            of(asked("a", None, None), Some(&status("True", "NoPods"))),
            None
        );
    }

    #[test]
    fn the_newest_generation_comes_first() {
        let pods = pods(
            &[
                asked("c", None, None),
                asked("b", None, Some(3)),
                asked("a", None, Some(4)),
            ],
            None,
        );
        let order: Vec<_> = pods
            .iter()
            .map(|pod| (pod.name.as_str(), pod.generation))
            .collect();
        assert_eq!(order, [("a", Some(4)), ("b", Some(3)), ("c", None)]);
    }
}
