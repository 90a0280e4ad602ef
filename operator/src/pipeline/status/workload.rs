//! What a Deployment or a Job tells of itself.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Reason, Situation, Verdict};
use crate::pipeline::apply::is_finished;
use crate::pipeline::validate::Work;

/// Reasons of a waiting container that do not pass by themselves soon.
const NOT_STARTING: [&str; 7] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
];

/// A Deployment's or Job's own account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadStatus {
    /// Number of pods.
    pub replicas: i32,
    /// Number of ready ones.
    pub ready_replicas: i32,
    progress: Progress,
    /// Why a pod does not start.
    not_starting: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Progress {
    /// There is nothing yet, or its controller has not looked at it.
    #[default]
    Unknown,
    /// Its pods are not all as declared.
    Rolling(String),
    /// The API server refuses its pods.
    Refused(String),
    /// It takes longer than it should.
    TooLong(String),
    /// All is as declared.
    Done,
    /// A Job has ended well.
    Completed,
    /// A Job was given up.
    Failed(String),
}

impl WorkloadStatus {
    /// The account of what is there.
    #[must_use]
    pub fn of(work: &Work, object: Option<&DynamicObject>, pods: &[impl AsRef<Pod>]) -> Self {
        let not_starting = pods.iter().find_map(|pod| not_starting(pod.as_ref()));
        let Some(object) = object else {
            return Self {
                not_starting,
                ..Self::default()
            };
        };
        let status = &object.data["status"];
        match work {
            Work::Continuous { replicas } => Self {
                replicas: number(&status["replicas"]),
                ready_replicas: number(&status["readyReplicas"]),
                progress: deployment(object, *replicas),
                not_starting,
            },
            Work::Bounded { .. } => Self {
                replicas: number(&status["active"]),
                ready_replicas: number(&status["ready"]),
                progress: job(object),
                not_starting,
            },
        }
    }

    /// Whether a bounded run is done.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.progress == Progress::Completed
    }

    pub(super) fn verdict(&self, situation: &Situation<'_>) -> Verdict {
        let message = |text: &str| text.to_owned();
        if let Some(why) = &self.not_starting {
            return Verdict::stalled(Reason::PodsNotStarting, why.clone());
        }
        match &self.progress {
            Progress::Completed => {
                Verdict::ready(Reason::Completed, message("every event is sent"))
            }
            Progress::Failed(why) => Verdict::stalled(Reason::WorkFailed, why.clone()),
            Progress::Refused(why) => Verdict::stalled(Reason::PodsRefused, why.clone()),
            Progress::TooLong(why) => Verdict::stalled(Reason::PodsNotStarting, why.clone()),
            Progress::Unknown => {
                Verdict::reconciling(Reason::Progressing, message("the pods are being made"))
            }
            Progress::Rolling(why) => Verdict::reconciling(Reason::Progressing, why.clone()),
            Progress::Done => self.working(situation),
        }
    }

    fn working(&self, situation: &Situation<'_>) -> Verdict {
        let Some(validated) = situation.validated else {
            return Verdict::reconciling(Reason::Progressing, "");
        };
        let (Work::Continuous { replicas } | Work::Bounded { replicas, .. }) = &validated.work;
        if *replicas == 0 {
            let message = "no pods, as spec.replicas says";
            return Verdict::ready(Reason::ScaledToZero, message);
        }
        if validated.documents.tuning.tuning.paused {
            let message = format!("{} pods are ready and paused", self.ready_replicas);
            return Verdict::ready(Reason::Paused, message);
        }
        let message = format!("{} of {replicas} pods work", self.ready_replicas);
        Verdict::ready(Reason::Running, message)
    }
}

fn number(value: &Value) -> i32 {
    let number = value.as_i64().unwrap_or_default();
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn text(condition: &Value) -> String {
    let field = |name: &str| condition[name].as_str().unwrap_or_default();
    format!("{}: {}", field("reason"), field("message"))
}

fn deployment(object: &DynamicObject, replicas: i32) -> Progress {
    let status = &object.data["status"];
    let observed = status["observedGeneration"].as_i64();
    if observed.is_none() || observed < object.metadata.generation {
        return Progress::Unknown;
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|it| it["status"] == "True") {
        return Progress::Refused(text(failure));
    }
    let of = |field: &str| number(&status[field]);
    let (updated, all, ready) = (of("updatedReplicas"), of("replicas"), of("readyReplicas"));
    if updated >= replicas && all == replicas && ready >= replicas {
        return Progress::Done;
    }
    let late = condition(object, "Progressing")
        .filter(|it| it["status"] == "False" && it["reason"] == "ProgressDeadlineExceeded");
    let message = format!("{ready} of {replicas} pods are ready, {updated} are as declared now");
    match late {
        Some(late) => Progress::TooLong(format!("{message}: {}", text(late))),
        None => Progress::Rolling(message),
    }
}

fn job(object: &DynamicObject) -> Progress {
    if is_finished(object) {
        return match condition(object, "Failed").filter(|it| it["status"] == "True") {
            Some(failed) => Progress::Failed(text(failed)),
            None => Progress::Completed,
        };
    }
    let status = &object.data["status"];
    let wanted = number(&object.data["spec"]["parallelism"]);
    let done = number(&status["succeeded"]);
    let ready = number(&status["ready"]);
    if ready + done >= wanted {
        Progress::Done
    } else {
        Progress::Rolling(format!(
            "{ready} of {wanted} pods are ready, {done} are done"
        ))
    }
}

fn not_starting(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        NOT_STARTING.contains(&reason).then(|| {
            let message = waiting.message.as_deref().unwrap_or_default();
            format!("pod {}: {reason}: {message}", pod.name_any())
        })
    })
}
