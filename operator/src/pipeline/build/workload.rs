//! The Deployment of a workload without end, the Indexed Job of a bounded one.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ordermill_config::Bounded;

use super::{metadata, pod, pod_selector};
use crate::error::ReconcileError;
use crate::kinds::Disk;
use crate::pipeline::validate::Validated;

pub(super) fn deployment(
    validated: &Validated,
    replicas: i32,
) -> Result<Deployment, ReconcileError> {
    let identity = &validated.identity;
    Ok(Deployment {
        metadata: metadata(identity, identity.child_name.clone()),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            revision_history_limit: Some(3),
            selector: pod_selector(identity),
            strategy: Some(strategy(validated)),
            template: pod::template(validated, "Always")?,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    })
}

/// All of the strategy, with Kubernetes' own defaults: what it fills in by itself belongs to nobody, stays when the strategy is
/// another one, and is then refused.
fn strategy(validated: &Validated) -> DeploymentStrategy {
    const RECREATE: &str = "Recreate";
    const QUARTER: &str = "25%";
    // Two pods cannot share a volume or the file on it, and of two databases behind one address each has a part of the data.
    let alone = matches!(validated.needs.disk, Disk::Volume(_) | Disk::Ephemeral);
    let mut strategy = validated.workload.strategy.clone().unwrap_or_default();
    let kind = strategy.type_.get_or_insert_with(|| {
        let kind = if alone { RECREATE } else { "RollingUpdate" };
        kind.to_owned()
    });
    if kind != RECREATE {
        let quarter = || IntOrString::String(QUARTER.to_owned());
        let rolling: &mut RollingUpdateDeployment = strategy.rolling_update.get_or_insert_default();
        rolling.max_surge.get_or_insert_with(quarter);
        rolling.max_unavailable.get_or_insert_with(quarter);
    }
    strategy
}

/// Named by its work and not by anything else, so that no other edit runs it again.
pub(super) fn job(
    validated: &Validated,
    bounded: &Bounded,
    replicas: i32,
) -> Result<Job, ReconcileError> {
    let identity = &validated.identity;
    let instances = i32::try_from(bounded.instances).unwrap_or(i32::MAX);
    Ok(Job {
        metadata: metadata(
            identity,
            format!("{}-{}", identity.child_name, bounded.work),
        ),
        spec: Some(JobSpec {
            completion_mode: Some("Indexed".to_owned()),
            completions: Some(instances),
            parallelism: Some(replicas.min(instances)),
            // A pod that is killed goes on where it was; only the user gives up.
            backoff_limit: Some(i32::MAX),
            template: pod::template(validated, "OnFailure")?,
            ..JobSpec::default()
        }),
        ..Job::default()
    })
}
