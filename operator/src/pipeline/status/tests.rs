use kube::api::DynamicObject;
use ordermill_config::{PartitionReport, StateReport};
use ordermill_crds::{Observed, OrderProducer};
use serde_json::{Value, json};

use super::*;
use crate::error::Category;
use crate::fixtures::{policy, resource, validated};
use crate::pipeline::dereference::Dereferenced;
use crate::pipeline::validate::Validated;

const SPEC: &str = "{model: WoodOrder, replicas: 2}";
const BOUNDED: &str = "{model: WoodOrder, replicas: 2, maxEvents: 50}";

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

/// A resource of this spec whose Deployment or Job has this status and generation 4.
struct Case {
    identity: Identity,
    validated: Validated,
    workload: Option<DynamicObject>,
    pods: Vec<PodReport>,
    topics: Vec<(String, Readiness)>,
}

impl Case {
    fn new(spec: &str, workload: &Value) -> Self {
        let resource = resource::<OrderProducer>("wood", spec);
        let workload = (!workload.is_null()).then(|| {
            let object = json!({"metadata": {"generation": 4}, "spec": {"parallelism": 2}, "status": workload});
            serde_json::from_value(object).unwrap()
        });
        Self {
            identity: Identity::of(&resource).unwrap(),
            validated: validated(&resource, &Dereferenced::default(), &policy()).unwrap(),
            workload,
            pods: vec![pod("a", 3), pod("b", 3)],
            topics: Vec::new(),
        }
    }

    fn running(spec: &str) -> Self {
        let counts = json!({"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2});
        Self::new(spec, &counts)
    }

    fn status(&self, previous: Option<&ResourceStatus>) -> ResourceStatus {
        self.status_after(previous, None)
    }

    fn status_after(
        &self,
        previous: Option<&ResourceStatus>,
        error: Option<&ReconcileError>,
    ) -> ResourceStatus {
        let pods: Vec<std::sync::Arc<k8s_openapi::api::core::v1::Pod>> = Vec::new();
        let workload = WorkloadStatus::of(&self.validated.work, self.workload.as_ref(), &pods);
        let situation = Situation {
            identity: &self.identity,
            validated: Some(&self.validated),
            error,
            workload,
            pods: &self.pods,
            topics: &self.topics,
            previous,
        };
        status(&situation, now())
    }
}

fn pod(name: &str, generation: i64) -> PodReport {
    PodReport {
        name: name.to_owned(),
        state: Some(StateReport {
            generation,
            ..StateReport::default()
        }),
        ..PodReport::default()
    }
}

/// A status as `phase: condition=status/reason …`.
fn told(status: &ResourceStatus) -> String {
    let conditions = status
        .conditions
        .iter()
        .map(|it| format!("{}={}/{}", it.type_, it.status, it.reason));
    let phase = status.phase.clone().unwrap_or_default();
    format!("{phase}: {}", conditions.collect::<Vec<_>>().join(" "))
}

fn ready_message(status: &ResourceStatus) -> &str {
    &condition(status, "Ready").unwrap().message
}

#[test]
fn pods_that_work_are_ready() {
    let status = Case::running(SPEC).status(None);
    assert_eq!(
        told(&status),
        "Running: Ready=True/Running TuningApplied=True/Applied"
    );
    assert_eq!(ready_message(&status), "2 of 2 pods work");
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.tuned_generation, Some(3));
    assert_eq!((status.replicas, status.ready_replicas), (Some(2), Some(2)));
    assert!(
        status
            .conditions
            .iter()
            .all(|it| it.observed_generation == Some(3))
    );
}

#[test]
fn paused_and_without_pods_are_ready_too() {
    let paused = Case::running("{model: WoodOrder, replicas: 2, paused: true}").status(None);
    assert_eq!(
        told(&paused),
        "Paused: Ready=True/Paused TuningApplied=True/Applied"
    );
    let mut none = Case::new(
        "{model: WoodOrder, replicas: 0}",
        &json!({"observedGeneration": 4}),
    );
    none.pods.clear();
    assert_eq!(
        told(&none.status(None)),
        "Running: Ready=True/ScaledToZero TuningApplied=True/NoPods"
    );
}

#[test]
fn what_will_pass_by_itself_is_reconciling() {
    let nothing_yet = Case::new(SPEC, &Value::Null);
    let unseen = Case::new(
        SPEC,
        &json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}),
    );
    let rolling = Case::new(
        SPEC,
        &json!({"observedGeneration": 4, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2}),
    );
    for case in [&nothing_yet, &unseen, &rolling] {
        assert_eq!(
            told(&case.status(None)),
            "Pending: Ready=False/Progressing Reconciling=True/Progressing TuningApplied=True/Applied"
        );
    }
    assert_eq!(
        ready_message(&rolling.status(None)),
        "2 of 2 pods are ready, 1 are as declared now"
    );
    let unavailable = ReconcileError::declared(Category::ApiUnavailable, "no answer");
    assert_eq!(
        told(&Case::running(SPEC).status_after(None, Some(&unavailable))),
        "Pending: Ready=False/ApiUnavailable Reconciling=True/ApiUnavailable TuningApplied=True/Applied"
    );
}

#[test]
fn what_a_person_must_mend_is_stalled() {
    let mistake = ReconcileError::declared(Category::InvalidSpec, "spec.rate: too much");
    let status = Case::running(SPEC).status_after(None, Some(&mistake));
    assert_eq!(
        told(&status),
        "Failed: Ready=False/InvalidSpec Stalled=True/InvalidSpec TuningApplied=True/Applied"
    );
    assert_eq!(ready_message(&status), "spec.rate: too much");

    let condition = |kind: &str, reason: &str, status: &str| json!({"type": kind, "status": status, "reason": reason, "message": "why"});
    let refused = json!({"observedGeneration": 4,
        "conditions": [condition("ReplicaFailure", "FailedCreate", "True")]});
    let status = Case::new(SPEC, &refused).status(None);
    assert_eq!(
        told(&status),
        "Failed: Ready=False/PodsRefused Stalled=True/PodsRefused TuningApplied=True/Applied"
    );
    assert_eq!(ready_message(&status), "FailedCreate: why");

    let late = json!({"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2,
        "conditions": [condition("Progressing", "ProgressDeadlineExceeded", "False")]});
    assert_eq!(
        told(&Case::new(SPEC, &late).status(None)),
        "Failed: Ready=False/PodsNotStarting Stalled=True/PodsNotStarting TuningApplied=True/Applied"
    );
}

#[test]
fn a_bounded_run_ends_as_completed_or_failed() {
    let ended = |kind: &str| {
        let condition =
            json!({"type": kind, "status": "True", "reason": "Reason", "message": "why"});
        let mut case = Case::new(BOUNDED, &json!({"succeeded": 2, "conditions": [condition]}));
        case.pods.clear();
        case.status(None)
    };
    let completed = ended("Complete");
    assert_eq!(
        told(&completed),
        "Completed: Ready=True/Completed TuningApplied=True/NoPods"
    );
    assert_eq!(completed.observed.unwrap().events, Some(50));
    assert_eq!(
        told(&ended("Failed")),
        "Failed: Ready=False/WorkFailed Stalled=True/WorkFailed TuningApplied=True/NoPods"
    );
    let first_pod = Case::new(BOUNDED, &json!({"active": 2, "ready": 1}));
    assert_eq!(
        ready_message(&first_pod.status(None)),
        "1 of 2 pods are ready, 0 are done"
    );
    let one_is_done = Case::new(BOUNDED, &json!({"active": 1, "ready": 1, "succeeded": 1}));
    assert_eq!(
        condition(&one_is_done.status(None), "Ready")
            .unwrap()
            .reason,
        "Running"
    );
}

#[test]
fn a_pods_trouble_and_a_topics_come_before_counts() {
    let mut case = Case::running(SPEC);
    case.pods[1].state = Some(StateReport {
        generation: 3,
        reason: Some("TlsFailed".to_owned()),
        message: Some("expired".to_owned()),
        ..StateReport::default()
    });
    let status = case.status(None);
    assert_eq!(
        told(&status),
        "Pending: Ready=False/TlsFailed TuningApplied=True/Applied"
    );
    assert_eq!(
        ready_message(&status),
        "1 of 2 pods cannot work; b: expired"
    );

    let not_ready = Readiness::NotReady {
        reason: "NotSupported".to_owned(),
        message: "fewer".to_owned(),
    };
    case.topics = vec![("orders".to_owned(), not_ready)];
    assert_eq!(
        ready_message(&case.status(None)),
        "KafkaTopic orders is not ready: NotSupported: fewer"
    );
}

#[test]
fn a_tuning_is_applied_when_every_pod_says_so_and_stays_known() {
    let mut case = Case::running(SPEC);
    let applied = case.status(None);
    case.pods = vec![pod("a", 3), pod("b", 2)];
    let applying = case.status(Some(&applied));
    assert_eq!(
        told(&applying),
        "Running: Ready=True/Running TuningApplied=False/Applying"
    );
    assert_eq!(
        applying.tuned_generation,
        Some(3),
        "what was reached once stays told"
    );
    case.pods[1].state = None;
    assert_eq!(
        told(&case.status(None)),
        "Running: Ready=True/Running TuningApplied=Unknown/PodsUnreachable"
    );
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let since = |status: &ResourceStatus, kind: &str| {
        condition(status, kind)
            .unwrap()
            .last_transition_time
            .0
            .to_string()
    };
    let mut before = Case::running(SPEC).status(None);
    for condition in &mut before.conditions {
        condition.last_transition_time = Time("2026-01-01T00:00:00Z".parse().unwrap());
    }
    let same = Case::running(SPEC).status(Some(&before));
    assert_eq!(since(&same, "Ready"), "2026-01-01T00:00:00Z");
    let changed = Case::new(SPEC, &Value::Null).status(Some(&before));
    assert_eq!(since(&changed, "Ready"), "2026-01-01T01:00:00Z");
    assert_eq!(since(&changed, "TuningApplied"), "2026-01-01T00:00:00Z");
}

#[test]
fn numbers_are_summed_and_a_rate_without_pods_is_nought() {
    let mut case = Case::running(SPEC);
    for (pod, rate) in case.pods.iter_mut().zip(["1.5", "2"]) {
        pod.state = Some(StateReport {
            generation: 3,
            observed: Observed {
                events: Some(10),
                rate_per_second: Some(rate.to_owned()),
                lag: Some(3),
                members: Some(1),
                since: Some(format!("2026-01-01T00:0{}:00Z", &rate[..1])),
                ..Observed::default()
            },
            ..StateReport::default()
        });
    }
    let status = case.status(None);
    let expected = Observed {
        events: Some(20),
        rate_per_second: Some("3.5".to_owned()),
        lag: Some(6),
        members: Some(2),
        since: Some("2026-01-01T00:01:00Z".to_owned()),
        as_of: Some("2026-01-01T01:00:00Z".to_owned()),
        ..Observed::default()
    };
    assert_eq!(status.observed, Some(expected.clone()));
    for pod in &mut case.pods {
        pod.state = None;
    }
    let silent = case.status(Some(&status));
    assert_eq!(silent.observed, Some(expected.clone()));
    case.pods.clear();
    let none = case.status(Some(&status)).observed.unwrap();
    assert_eq!(none.rate_per_second.as_deref(), Some("0"));
    assert_eq!((none.events, none.members), (Some(20), Some(0)));
    assert_eq!(none.lag, None);
}

#[test]
fn a_lag_is_told_where_every_member_tells_its_own() {
    let mut case = Case::running(SPEC);
    assert!(case.pods.len() > 1);
    let telling = |lag| StateReport {
        generation: 3,
        observed: Observed {
            lag,
            ..Observed::default()
        },
        ..StateReport::default()
    };
    for pod in &mut case.pods {
        pod.state = Some(telling(Some(2)));
    }
    let lag = |case: &Case| case.status(None).observed.unwrap().lag;
    let all = 2 * i64::try_from(case.pods.len()).unwrap();
    assert_eq!(lag(&case), Some(all));
    case.pods[0].state = Some(telling(None));
    assert_eq!(lag(&case), None, "one of them is joining");
    case.pods[0].state = None;
    assert_eq!(lag(&case), None, "one of them is silent");
}

#[test]
fn the_lag_of_each_partition_is_told_once() {
    let mut case = Case::running(SPEC);
    let report = |partition, lag| PartitionReport {
        topic: "orders".to_owned(),
        partition,
        lag: Some(lag),
        ..PartitionReport::default()
    };
    let telling = |partitions: Vec<PartitionReport>| StateReport {
        generation: 3,
        observed: Observed {
            lag: partitions.iter().map(|it| it.lag).sum(),
            ..Observed::default()
        },
        partitions: Some(partitions),
        ..StateReport::default()
    };
    case.pods.truncate(2);
    case.pods[0].state = Some(telling(vec![report(2, 5), report(0, 1)]));
    case.pods[1].state = Some(telling(vec![report(1, 0)]));
    let told = case.status(None);
    let lags: Vec<_> = told
        .partitions
        .iter()
        .map(|it| (it.topic.as_str(), it.partition, it.lag))
        .collect();
    assert_eq!(lags, [("orders", 0, 1), ("orders", 1, 0), ("orders", 2, 5)]);
    assert_eq!(told.observed.as_ref().unwrap().lag, Some(6));
    // One that both have is on its way from one to the other.
    case.pods[1].state = Some(telling(vec![report(1, 0), report(2, 4)]));
    let moving = case.status(Some(&told));
    assert_eq!(moving.partitions, []);
    assert_eq!(moving.observed.unwrap().lag, None);
    // Pods that are silent may still work.
    for pod in &mut case.pods {
        pod.state = None;
    }
    let silent = case.status(Some(&told));
    assert_eq!(silent.partitions, told.partitions);
    case.pods.clear();
    assert_eq!(case.status(Some(&told)).partitions, []);
}
