//! `ordermill report`: what somebody who helps needs to see, without secrets.

mod bundle;
mod collect;
mod logs;
mod redact;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::{Timestamp, Unit};
use ordermill_config::full_error;

use self::bundle::Bundle;
use crate::cluster::{Cluster, ClusterError, ClusterOptions, Patience};
use crate::command;
use crate::status::{View, document, overview, overview_lines, resources};

/// Writes a support bundle: resources, what the operator made of them, events, logs, versions and the status.
///
/// Secrets are never read, and what looks like a credential is replaced. README.txt in the bundle says what was left out, and
/// what could not be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0: the bundle is written, with whatever could be read. 1: there is none. 2: the command line is wrong.")]
pub(crate) struct Options {
    /// The file, which must not exist; - is standard output. Default: ordermill-report-TIME.tar.gz.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the operator runs. Default: it is looked for in all namespaces.
    #[arg(long, value_name = "NAME")]
    operator_namespace: Option<String>,
    /// Lines from the end of each log; 0 for no logs.
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(..=100_000))]
    log_lines: u32,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the bundle cannot be written to {path}")]
    Write {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the status cannot be written")]
    Status(#[source] serde_json::Error),
}

/// Writes the bundle.
pub(crate) fn run(options: &Options) -> ExitCode {
    command::run(async {
        match report(options).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {}", full_error(&failure));
                ExitCode::FAILURE
            }
        }
    })
}

async fn report(options: &Options) -> Result<(), Failure> {
    let now = Timestamp::now();
    let now = now.round(Unit::Second).unwrap_or(now);
    let cluster = Cluster::connect(&options.cluster, Patience::Answer).await?;
    let mut bundle = collect(&cluster, options, now).await?;
    bundle.read_me(&about(&cluster, now));
    let folder = format!("ordermill-report-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let default = PathBuf::from(format!("{folder}.tar.gz"));
    let path = options.output.as_deref().unwrap_or(&default);
    let wrong = |source| Failure::Write {
        path: path.display().to_string(),
        source,
    };
    if path == Path::new("-") {
        return bundle
            .write(&folder, now, io::stdout().lock())
            .map_err(wrong);
    }
    // For its owner's eyes: what a pattern missed must not lie open to all.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(wrong)?;
    let written = bundle.write(&folder, now, &mut file);
    written.and_then(|()| file.flush()).map_err(wrong)?;
    command::say(format_args!("{}: {} files", path.display(), bundle.len()));
    if !bundle.unread.is_empty() {
        let unread = bundle.unread.len();
        command::say(format_args!(
            "{unread} things could not be read: README.txt in it says which, and why"
        ));
    }
    Ok(())
}

async fn collect(cluster: &Cluster, options: &Options, now: Timestamp) -> Result<Bundle, Failure> {
    let mut bundle = Bundle::default();
    let (found, errors) = match resources(cluster).await {
        Ok(found) => found,
        // What else can be read may say why.
        Err(error) if error.is_of_one_kind() => (Vec::new(), vec![error]),
        Err(error) => return Err(error.into()),
    };
    bundle
        .unread
        .extend(errors.iter().map(|error| full_error(error)));
    let view = overview(&found, crate::status::notes(&errors));
    let screen = overview_lines(&view, &cluster.scope.words(), now, false);
    bundle.text("status.txt".to_owned(), &(screen.join("\n") + "\n"));
    let status = document(&View::Overview(view), now).map_err(Failure::Status)?;
    bundle.json("status.json".to_owned(), status);
    collect::versions(cluster, &mut bundle).await;
    let objects = found.into_iter().map(|resource| {
        let mut object = resource.object;
        object.types.get_or_insert_with(|| kube::core::TypeMeta {
            api_version: resource.kind.api_resource().api_version,
            kind: resource.kind.to_string(),
        });
        object
    });
    let mut pods = collect::objects(cluster, objects.collect(), &mut bundle).await;
    let operator = options.operator_namespace.as_deref();
    pods.extend(collect::operator(cluster, operator, &mut bundle).await);
    logs::logs(cluster, &pods, i64::from(options.log_lines), &mut bundle).await;
    Ok(bundle)
}

fn about(cluster: &Cluster, now: Timestamp) -> Vec<String> {
    vec![
        format!("Support bundle of Ordermill, {now}"),
        format!("Written by ordermill {}", env!("CARGO_PKG_VERSION")),
        format!(
            "Cluster {}, resources {}",
            cluster.server,
            cluster.scope.words()
        ),
        String::new(),
        "status.txt, status.json: what ordermill status shows".to_owned(),
        "versions.yaml: of this command, the API server and the definitions".to_owned(),
        "namespaces/NAMESPACE/: objects by kind, and logs by pod".to_owned(),
    ]
}
