//! `ordermill status`: one screen of what is declared and what is observed.

mod declared;
mod detail;
mod json;
mod output;
mod screen;
pub(crate) mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod watch;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use futures::future::join_all;
use ordermill_config::full_error;

use self::output::Output;
use self::view::Overview;
use crate::cluster::{Cluster, ClusterError, ClusterOptions, KINDS, Patience, Reference, Resource};
use crate::command;

pub(crate) use self::json::document;
pub(crate) use self::screen::screen as overview_lines;
pub(crate) use self::view::overview;

/// Shows what is declared against what is observed: health and its reason, pods, pace, errors, lag.
///
/// Without KIND/NAME: all resources, by the system that they are part of (label app.kubernetes.io/part-of). With it: one
/// resource in full, with its conditions, pods by tuning generation, topics and events.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0: every resource that is shown is ready (or there is none). 1: one is not ready, is not there, or the
cluster did not tell. 2: the command line is wrong. With --watch: those of what was shown last.")]
pub(crate) struct Options {
    /// One resource, such as orderproducer/customer or oprod/customer.
    #[arg(value_name = "KIND/NAME", conflicts_with = "all_namespaces")]
    resource: Option<Reference>,
    /// Go on showing what changes, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// How a status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// A screen of text.
    #[default]
    Table,
    /// One JSON document; with --watch one on a line for each change.
    Json,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum View {
    Overview(Overview),
    Detail(Box<detail::Detail>),
}

impl View {
    fn is_ready(&self) -> bool {
        match self {
            Self::Overview(overview) => overview.ready,
            Self::Detail(detail) => detail.summary.health.is_ready(),
        }
    }
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the status cannot be written")]
    Write(#[source] std::io::Error),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
}

/// Shows the status; see the exit codes in its help.
pub(crate) fn run(options: &Options) -> ExitCode {
    command::run(async {
        match show(options).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(failure) => {
                eprintln!("error: {}", full_error(&failure));
                ExitCode::FAILURE
            }
        }
    })
}

/// Whether all that was shown last is ready.
async fn show(options: &Options) -> Result<bool, Failure> {
    let patience = if options.watch {
        Patience::Watch
    } else {
        Patience::Answer
    };
    let cluster = Cluster::connect(&options.cluster, patience).await?;
    let mut output = Output::new(options.output, options.watch, &cluster);
    let view = read(&cluster, options.resource.as_ref()).await?;
    let is_read = output.show(&view).map_err(Failure::Write)?;
    if !options.watch || !is_read {
        return Ok(view.is_ready());
    }
    let last = watch::watch(&cluster, options.resource.as_ref(), view, &mut output).await?;
    Ok(last.is_ready())
}

async fn read(cluster: &Cluster, resource: Option<&Reference>) -> Result<View, ClusterError> {
    let Some(reference) = resource else {
        let (resources, errors) = resources(cluster).await?;
        return Ok(View::Overview(overview(&resources, notes(&errors))));
    };
    let resource = cluster.get(reference).await?;
    Ok(of_one(cluster, resource).await)
}

async fn of_one(cluster: &Cluster, resource: Resource) -> View {
    let facts = detail::gather(cluster, resource).await;
    View::Detail(Box::new(detail::detail(&facts)))
}

/// The resources of all kinds, with an error for each kind that cannot be listed.
pub(crate) async fn resources(
    cluster: &Cluster,
) -> Result<(Vec<Resource>, Vec<ClusterError>), ClusterError> {
    let listed = join_all(KINDS.map(|kind| cluster.list(kind))).await;
    let mut resources = Vec::new();
    let mut errors = Vec::new();
    for result in listed {
        match result {
            Ok(found) => resources.extend(found),
            Err(error) if error.is_of_one_kind() => errors.push(error),
            Err(error) => return Err(error),
        }
    }
    if errors.len() == KINDS.len() {
        return Err(errors.remove(0));
    }
    Ok((resources, errors))
}

/// Why some kinds are not shown.
pub(crate) fn notes(errors: &[ClusterError]) -> Vec<String> {
    let notes = errors
        .iter()
        .map(|error| format!("not shown: {}", full_error(error)));
    notes.collect()
}
