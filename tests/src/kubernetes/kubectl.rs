//! kubectl, as people use it.

use std::path::Path;
use std::time::Duration;

use super::Error;
use crate::process::Launch;
use crate::tools::tail;

/// It answers within a second; `kubectl wait` takes as long as its own timeout says.
const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) fn launch(kubectl: &Path, kubeconfig: &Path, cache: &Path) -> Launch {
    Launch::new("kubectl", kubectl)
        .env("KUBECONFIG", kubeconfig)
        // Else it would keep what another cluster on the same port served in the user's home folder.
        .env("KUBECACHEDIR", cache)
        .in_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs `launch` to its end and gives what it wrote to standard output.
///
/// # Errors
/// [`Error::Kubectl`], with what it wrote to standard error, when it fails.
pub async fn run(launch: Launch) -> Result<String, Error> {
    let exit = launch.start()?.wait(DEADLINE).await?;
    if exit.status.success() {
        return Ok(exit.stdout);
    }
    Err(Error::Kubectl {
        status: exit.status,
        stderr: tail(&exit.stderr, 40),
    })
}
