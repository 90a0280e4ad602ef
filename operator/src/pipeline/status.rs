//! What is, as conditions and numbers: a function of what was found, and whether it is worth writing.
//!
//! Conditions follow kstatus: `Ready` always; `Reconciling` or `Stalled` only while they hold.

mod observed;
mod reason;
mod workload;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use ordermill_crds::ResourceStatus;

pub use self::observed::worth_writing;
pub use self::reason::Reason;
pub use self::workload::WorkloadStatus;
use super::validate::{Identity, Validated};
use crate::error::{Category, ReconcileError};
use crate::labels::selector_text;
use crate::strimzi::Readiness;
use crate::tuning::{PodReport, Tuned};

/// Everything that a status tells of.
pub struct Situation<'a> {
    /// Which resource.
    pub identity: &'a Identity,
    /// What it became; `None` where it could not be validated.
    pub validated: Option<&'a Validated>,
    /// What ended the reconcile early.
    pub error: Option<&'a ReconcileError>,
    /// Its Deployment or Job.
    pub workload: WorkloadStatus,
    /// What its pods answered.
    pub pods: &'a [PodReport],
    /// Its topics that Strimzi manages.
    pub topics: &'a [(String, Readiness)],
    /// What was written last.
    pub previous: Option<&'a ResourceStatus>,
}

/// Whether it runs as declared, and why (not).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    ready: &'static str,
    reason: Reason,
    message: String,
    /// It will change by itself.
    reconciling: bool,
    /// A person has to change something.
    stalled: bool,
}

impl Verdict {
    fn ready(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: "True",
            reason,
            message: message.into(),
            reconciling: false,
            stalled: false,
        }
    }

    fn not_ready(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: "False",
            ..Self::ready(reason, message)
        }
    }

    fn reconciling(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reconciling: true,
            ..Self::not_ready(reason, message)
        }
    }

    fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            stalled: true,
            ..Self::not_ready(reason, message)
        }
    }
}

/// The status of a resource.
#[must_use]
pub fn status(situation: &Situation<'_>, now: Timestamp) -> ResourceStatus {
    let mut verdict = verdict(situation);
    let notes = situation.validated.map(|it| it.notes.as_slice());
    for note in notes.unwrap_or_default() {
        verdict.message.push_str("; ");
        verdict.message.push_str(note);
    }
    let identity = situation.identity;
    let mut conditions = Conditions {
        generation: Some(identity.generation),
        previous: situation.previous,
        now,
        list: Vec::new(),
    };
    conditions.tell(&verdict);
    let tuned = situation
        .validated
        .map(|validated| crate::tuning::tuned(&validated.documents.tuning, situation.pods));
    if let Some(tuned) = &tuned {
        let (applied, reason, message) = tuning_applied(tuned);
        conditions.add("TuningApplied", applied, reason, &message);
    } else {
        conditions.keep("TuningApplied");
    }
    let previous = situation.previous;
    let observed = observed::observed(situation, now);
    ResourceStatus {
        observed_generation: Some(identity.generation),
        phase: Some(phase(&verdict).to_owned()),
        conditions: conditions.list,
        replicas: Some(situation.workload.replicas),
        ready_replicas: Some(situation.workload.ready_replicas),
        selector: Some(selector_text(&identity.child_name, identity.component)),
        tuned_generation: match &tuned {
            Some(Tuned::Applied { generation }) => Some(*generation),
            _ => previous.and_then(|it| it.tuned_generation),
        },
        partitions: observed::partitions(situation, observed.as_ref()),
        observed,
    }
}

/// The status of a resource that cannot be read, whose status cannot be read either.
#[must_use]
pub fn undecodable_status(
    generation: Option<i64>,
    message: &str,
    now: Timestamp,
) -> ResourceStatus {
    let verdict = Verdict::stalled(Reason::Category(Category::Undecodable), message);
    let mut conditions = Conditions {
        generation,
        previous: None,
        now,
        list: Vec::new(),
    };
    conditions.tell(&verdict);
    ResourceStatus {
        observed_generation: generation,
        phase: Some(phase(&verdict).to_owned()),
        conditions: conditions.list,
        ..ResourceStatus::default()
    }
}

fn verdict(situation: &Situation<'_>) -> Verdict {
    if let Some(error) = situation.error {
        let (reason, message) = (Reason::Category(error.category()), error.full_message());
        return if error.category().needs_a_person() {
            Verdict::stalled(reason, message)
        } else {
            Verdict::reconciling(reason, message)
        };
    }
    let not_ready = situation
        .topics
        .iter()
        .find_map(|(topic, readiness)| match readiness {
            Readiness::NotReady { reason, message } => Some((topic, reason, message)),
            _ => None,
        });
    if let Some((topic, reason, message)) = not_ready {
        let message = format!("KafkaTopic {topic} is not ready: {reason}: {message}");
        return Verdict::not_ready(Reason::TopicNotReady, message);
    }
    let troubles = situation.pods.iter().filter_map(|pod| {
        let state = pod.state.as_ref()?;
        let reason = state.reason.clone()?;
        Some((pod, reason, state.message.clone().unwrap_or_default()))
    });
    let troubles: Vec<_> = troubles.collect();
    if let Some((pod, reason, message)) = troubles.first() {
        let (some, all) = (troubles.len(), situation.pods.len());
        let message = format!("{some} of {all} pods cannot work; {}: {message}", pod.name);
        return Verdict::not_ready(Reason::of_pod(reason), message);
    }
    situation.workload.verdict(situation)
}

fn phase(verdict: &Verdict) -> &'static str {
    match verdict.reason {
        Reason::Paused => "Paused",
        Reason::Completed => "Completed",
        _ if verdict.ready == "True" => "Running",
        _ if verdict.stalled => "Failed",
        _ => "Pending",
    }
}

fn tuning_applied(tuned: &Tuned) -> (&'static str, &'static str, String) {
    match tuned {
        Tuned::NoPods => (
            "True",
            "NoPods",
            "no pod runs; each begins with the newest tuning".to_owned(),
        ),
        Tuned::Applied { generation } => (
            "True",
            "Applied",
            format!("every pod runs with the tuning of generation {generation}"),
        ),
        Tuned::Applying { applied, pods } => (
            "False",
            "Applying",
            format!("{applied} of {pods} pods run with the newest tuning"),
        ),
        Tuned::Unknown { silent, why } => (
            "Unknown",
            "PodsUnreachable",
            format!(
                "{silent} pods do not tell the operator what they run with ({why}); their kubelets were asked to refresh the tuning"
            ),
        ),
    }
}

struct Conditions<'a> {
    generation: Option<i64>,
    previous: Option<&'a ResourceStatus>,
    now: Timestamp,
    list: Vec<Condition>,
}

impl Conditions<'_> {
    fn tell(&mut self, verdict: &Verdict) {
        let (reason, message) = (verdict.reason.as_str(), verdict.message.as_str());
        self.add("Ready", verdict.ready, reason, message);
        if verdict.reconciling {
            self.add("Reconciling", "True", reason, message);
        }
        if verdict.stalled {
            self.add("Stalled", "True", reason, message);
        }
    }

    fn add(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let before = self.before(kind).filter(|it| it.status == status);
        let since = before.map_or(Time(self.now), |it| it.last_transition_time.clone());
        self.list.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            // The schema allows 32,768; nobody reads more than this.
            message: message.chars().take(1024).collect(),
            observed_generation: self.generation,
            last_transition_time: since,
        });
    }

    fn keep(&mut self, kind: &str) {
        let before = self.before(kind).cloned();
        self.list.extend(before);
    }

    fn before(&self, kind: &str) -> Option<&Condition> {
        let mut conditions = self.previous?.conditions.iter();
        conditions.find(|condition| condition.type_ == kind)
    }
}

/// A condition of a status by its type.
#[must_use]
pub fn condition<'a>(status: &'a ResourceStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|it| it.type_ == kind)
}

#[cfg(test)]
mod tests;
