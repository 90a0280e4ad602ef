//! How the command is started, and how it finds its cluster.

use std::path::Path;

use ordermill_tests::Scratch;
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, run_kubectl};
use ordermill_tests::process::{Exit, Launch, Program};

use crate::support::stage::SOON;

/// The command with a kubeconfig.
pub async fn command(kubeconfig: &Path, arguments: &[&str]) -> TestResult<Launch> {
    let program = Program::ordermill().await?;
    Ok(program.args(arguments).arg("--kubeconfig").arg(kubeconfig))
}

/// Runs the command to its end.
pub async fn run(kubeconfig: &Path, arguments: &[&str]) -> TestResult<Exit> {
    let mut process = command(kubeconfig, arguments).await?.start()?;
    Ok(process.wait(SOON).await?)
}

/// What it says on standard error: one line.
fn complaint(exit: Exit) -> String {
    let exit = exit.assert_code(1);
    assert_eq!(exit.stdout, "");
    assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
    exit.stderr
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_told_in_one_line() -> TestResult {
    let scratch = Scratch::new("kubeconfig")?;
    let path = scratch.path().join("config");
    let told = complaint(run(&path, &["status"]).await?);
    assert!(told.contains("the kubeconfig cannot be used"), "{told}");
    let away = "{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}], \
        users: [{name: a, user: {token: t}}], contexts: [{name: a, context: {cluster: a, user: a}}]}";
    std::fs::write(&path, away)?;
    for arguments in [
        &["status"][..],
        &["stop", "-A"],
        &["start"],
        &["report", "--output", "-"],
    ] {
        let told = complaint(run(&path, arguments).await?);
        assert!(
            told.starts_with("error: the cluster at https://127.0.0.1:1 cannot be reached:"),
            "{told}"
        );
        assert!(told.contains("refused"), "{told}");
    }
    let told = complaint(run(&path, &["status", "--context", "b"]).await?);
    assert!(told.contains("--context"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_without_our_definitions_says_what_to_do() -> TestResult {
    let cluster = Cluster::start().await?;
    let told = complaint(run(&cluster.kubeconfig(), &["status", "-A"]).await?);
    assert!(told.contains("kubectl apply -f crds/"), "{told}");
    Ok(())
}

#[tokio::test]
async fn kubectl_finds_the_command() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("plugin").await?;
    // Built beside the other one.
    let folder = Scratch::new("plugin")?;
    let program = Program::path("kubectl-ordermill").await?;
    std::os::unix::fs::symlink(program, folder.path().join("kubectl-ordermill"))?;
    let kubectl = |arguments: &[&str]| {
        let path = std::env::var("PATH").unwrap_or_default();
        let launch = cluster.kubectl_launch();
        let launch = launch.env("PATH", format!("{}:{path}", folder.path().display()));
        run_kubectl(launch.args(arguments))
    };
    let shown = kubectl(&["ordermill", "status", "-n", namespace.name()]).await?;
    assert_eq!(
        shown,
        format!("There is no resource of ours in namespace {namespace}.\n")
    );
    let help = kubectl(&["ordermill", "stop", "--help"]).await?;
    assert!(
        help.contains("Usage: kubectl ordermill stop [OPTIONS] [KIND/NAME]..."),
        "{help}"
    );
    Ok(())
}
