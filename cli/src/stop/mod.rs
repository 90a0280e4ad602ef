//! `ordermill stop` and `ordermill start`: pause everything at once, and the way back.

mod decide;

use std::process::ExitCode;

use clap::Args;
use futures::{StreamExt as _, stream};
use jiff::{Timestamp, Unit};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use ordermill_config::full_error;
use serde_json::Value;

use self::decide::{Decision, pause, summary, unpause};
use crate::cluster::{
    CONCURRENT, Cluster, ClusterError, ClusterOptions, FIELD_MANAGER, Patience, Reference, Resource,
};
use crate::command;
use crate::status::resources;

const EXIT_CODES: &str = "\
Exit codes: 0: all is as asked for. 1: something could not be changed, which is named. 2: the command line is wrong.";

/// Pauses resources, all at once: the pods stay and do no work.
///
/// Sets spec.paused to true. What it pauses is marked, so that `start` without names finds it again; what was paused before
/// stays as it was, and what is done is left alone.
///
/// It writes as field manager ordermill-cli. A later `kubectl apply` of a manifest without spec.paused leaves the resource
/// paused; one with paused: false starts it again, or is told of the conflict if it is a server-side apply.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct StopOptions {
    /// What to pause, such as orderproducer/customer. Default: all resources of the namespace.
    #[arg(value_name = "KIND/NAME", conflicts_with = "all_namespaces")]
    resources: Vec<Reference>,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Lets paused resources work again.
///
/// Without KIND/NAME: those that `stop` has paused, and no others. With it: these, whoever paused them. It takes spec.paused
/// out of the resource, where false is the default.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct StartOptions {
    /// What to start, such as orderproducer/customer. Default: what `stop` has paused in the namespace.
    #[arg(value_name = "KIND/NAME", conflicts_with = "all_namespaces")]
    resources: Vec<Reference>,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Pauses.
pub(crate) fn stop(options: &StopOptions) -> ExitCode {
    let now = Timestamp::now();
    let now = now.round(Unit::Second).unwrap_or(now);
    command::run(change(
        &options.cluster,
        &options.resources,
        "paused",
        |it| pause(it, now),
    ))
}

/// Lets work again.
pub(crate) fn start(options: &StartOptions) -> ExitCode {
    let is_named = !options.resources.is_empty();
    command::run(change(
        &options.cluster,
        &options.resources,
        "started",
        |it| unpause(it, is_named),
    ))
}

async fn change(
    options: &ClusterOptions,
    named: &[Reference],
    done: &str,
    decide: impl Fn(&Resource) -> Decision,
) -> ExitCode {
    let found = async {
        let cluster = Cluster::connect(options, Patience::Answer).await?;
        let found = find(&cluster, named).await?;
        Ok::<_, ClusterError>((cluster, found))
    };
    let (cluster, (resources, errors)) = match found.await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("error: {}", full_error(&error));
            return ExitCode::FAILURE;
        }
    };
    let has_namespaces = options.is_everywhere();
    let changed = resources.iter().map(|resource| {
        let decision = decide(resource);
        let cluster = &cluster;
        async move {
            let place = if has_namespaces {
                format!(
                    "{} in namespace {}",
                    resource.reference(),
                    resource.namespace()
                )
            } else {
                resource.reference().to_string()
            };
            match decision {
                Decision::Leave(outcome) => (place, Ok(outcome)),
                Decision::Write(patch, then) => {
                    let written = write(cluster, resource, &patch).await;
                    (place, written.map(|()| then))
                }
            }
        }
    });
    let mut outcomes: Vec<_> = stream::iter(changed)
        .buffer_unordered(CONCURRENT)
        .collect()
        .await;
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut failures = errors;
    let mut told = Vec::new();
    for (place, outcome) in outcomes {
        match outcome {
            Ok(outcome) => {
                command::say(format_args!("{place}: {}", outcome.words(done)));
                told.push(outcome);
            }
            Err(error) => failures.push(error),
        }
    }
    for failure in &failures {
        eprintln!("error: {}", full_error(failure));
    }
    let words = summary(&told, failures.len(), done, &cluster.scope.words());
    command::say(words);
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The named resources, or all; with an error for each one, or each kind, that cannot be had.
async fn find(
    cluster: &Cluster,
    named: &[Reference],
) -> Result<(Vec<Resource>, Vec<ClusterError>), ClusterError> {
    if named.is_empty() {
        return resources(cluster).await;
    }
    let mut named = named.to_vec();
    named.sort();
    named.dedup();
    let gets = named.iter().map(|reference| cluster.get(reference));
    let got: Vec<_> = stream::iter(gets).buffered(CONCURRENT).collect().await;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for result in got {
        match result {
            Ok(resource) => found.push(resource),
            Err(error @ (ClusterError::Unreachable { .. } | ClusterError::Unauthorized { .. })) => {
                return Err(error);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((found, errors))
}

async fn write(cluster: &Cluster, resource: &Resource, patch: &Value) -> Result<(), ClusterError> {
    let kind = resource.kind;
    let api: Api<DynamicObject> = Api::namespaced_with(
        cluster.client.clone(),
        &resource.namespace(),
        &kind.api_resource(),
    );
    // A merge touches no other field, so it never takes over what somebody applies.
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let (name, patch) = (resource.name(), Patch::Merge(patch));
    let patched = api.patch(&name, &parameters, &patch);
    let what = format!(
        "{} in namespace {}",
        resource.reference(),
        resource.namespace()
    );
    patched
        .await
        .map(drop)
        .map_err(|error| ClusterError::of(&cluster.server, &what, Some(kind), &error))
}
