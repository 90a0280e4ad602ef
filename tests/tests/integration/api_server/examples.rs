//! Every file in `examples/` is accepted as it is.

use std::path::{Path, PathBuf};

use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::Cluster;

use super::support::kubectl;

/// All manifests below `folder`.
fn manifests(folder: &Path) -> TestResult<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(manifests(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::test]
async fn every_example_is_accepted() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("examples").await?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let manifests = manifests(Path::new(folder))?;
    assert!(manifests.len() >= 5, "{manifests:?}");
    for manifest in manifests {
        let manifest = manifest.display().to_string();
        for way in ["--server-side=false", "--server-side=true"] {
            let apply = ["apply", "--dry-run=server", way, "--filename", &manifest];
            kubectl(&cluster, &namespace, &apply).await?;
        }
    }
    Ok(())
}
