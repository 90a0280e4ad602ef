//! The charts: what Helm makes of them, a real API server takes, and the operator may do by them what it has to and no more.

mod rendering;
mod rights;

use ordermill_tests::TestResult;
use ordermill_tests::helm::Helm;

/// What `helm` writes when it is run with these arguments; an error holds what it complained of.
async fn helm(arguments: &[&str]) -> TestResult<String> {
    let home = tempfile::tempdir()?;
    let launch = Helm::get().await?.launch(home.path());
    let mut process = launch.args(arguments).start()?;
    let exit = process.wait(crate::support::stage::SOON).await?;
    if exit.code() == Some(0) {
        Ok(exit.stdout)
    } else {
        Err(exit.stderr.into())
    }
}
