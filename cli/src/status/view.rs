//! What is known of resources, arranged as it is shown: a function of the resources alone.

use jiff::Timestamp;
use ordermill_crds::{Observed, ResourceStatus};
use serde::Serialize;

use super::declared::{Declared, declared};
use crate::cluster::{Kind, PART_OF, Resource};

/// All resources of a scope.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// Whether every resource is ready.
    pub(crate) ready: bool,
    pub(crate) systems: Vec<System>,
    /// What could not be looked at, and why.
    pub(crate) notes: Vec<String>,
}

/// The resources of one order system: those of a namespace with the same label `app.kubernetes.io/part-of`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct System {
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) resources: Vec<Summary>,
}

/// One resource on one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
    pub(crate) replicas: Replicas,
    pub(crate) declared: Declared,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<Observed>,
    pub(crate) tuning: Tuning,
}

/// Whether a resource is as it declares, and why (not).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// True, False or Unknown.
    pub(crate) ready: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

impl Health {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready == "True"
    }

    fn unknown(reason: &str, message: String) -> Self {
        Self {
            ready: "Unknown".to_owned(),
            reason: reason.to_owned(),
            message,
            since: None,
        }
    }
}

/// Pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replicas {
    pub(crate) declared: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready: Option<i32>,
}

/// How far the newest tuning has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tuning {
    /// The generation that every pod is known to run with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<i64>,
    /// True, False or Unknown; absent where nobody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) applied: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// Arranges resources by namespace and system.
pub(crate) fn overview(resources: &[Resource], notes: Vec<String>) -> Overview {
    let mut summaries: Vec<_> = resources
        .iter()
        .map(|resource| {
            (
                resource.label(PART_OF).map(str::to_owned),
                summary(resource),
            )
        })
        .collect();
    // Resources of no system come last.
    summaries.sort_by(|(one_system, one), (other_system, other)| {
        let key = |system: &Option<String>, it: &Summary| {
            let place = (it.namespace.clone(), system.is_none(), system.clone());
            (place, it.kind, it.name.clone())
        };
        key(one_system, one).cmp(&key(other_system, other))
    });
    let ready = summaries.iter().all(|(_, it)| it.health.is_ready());
    let mut systems: Vec<System> = Vec::new();
    for (name, summary) in summaries {
        match systems.last_mut() {
            Some(last) if last.name == name && last.namespace == summary.namespace => {
                last.resources.push(summary);
            }
            _ => systems.push(System {
                namespace: summary.namespace.clone(),
                name,
                resources: vec![summary],
            }),
        }
    }
    Overview {
        ready,
        systems,
        notes,
    }
}

/// One resource.
pub(crate) fn summary(resource: &Resource) -> Summary {
    let status = resource.status();
    let declared = declared(resource);
    Summary {
        kind: resource.kind,
        namespace: resource.namespace(),
        name: resource.name(),
        generation: resource.generation(),
        created_at: resource.created(),
        health: health(resource, status.as_ref()),
        phase: status.as_ref().and_then(|it| it.phase.clone()),
        replicas: Replicas {
            declared: declared.replicas,
            current: status.as_ref().and_then(|it| it.replicas),
            ready: status.as_ref().and_then(|it| it.ready_replicas),
        },
        declared,
        tuning: tuning(status.as_ref()),
        observed: status.and_then(|it| it.observed),
    }
}

fn health(resource: &Resource, status: Option<&ResourceStatus>) -> Health {
    if resource.is_being_deleted() {
        let message = "it is being deleted".to_owned();
        return Health::unknown("Deleting", message);
    }
    let ready = status.and_then(|status| {
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready")?;
        Some((status, ready))
    });
    let Some((status, ready)) = ready else {
        let message = "no operator has looked at it: is one running for this namespace?";
        return Health::unknown("NoStatus", message.to_owned());
    };
    let (seen, newest) = (status.observed_generation, resource.generation());
    if let Some(seen) = seen.filter(|seen| *seen < newest) {
        let message = format!(
            "the operator has not looked at generation {newest} yet; at {seen} it was {}: {}",
            ready.reason, ready.message
        );
        return Health::unknown("EditPending", message);
    }
    Health {
        ready: ready.status.clone(),
        reason: ready.reason.clone(),
        message: ready.message.clone(),
        since: Some(ready.last_transition_time.0),
    }
}

fn tuning(status: Option<&ResourceStatus>) -> Tuning {
    let conditions = status
        .map(|it| it.conditions.as_slice())
        .unwrap_or_default();
    let applied = conditions.iter().find(|it| it.type_ == "TuningApplied");
    Tuning {
        generation: status.and_then(|it| it.tuned_generation),
        applied: applied.map(|it| it.status.clone()),
        reason: applied.map(|it| it.reason.clone()),
        message: applied.map(|it| it.message.clone()),
    }
}
