//! Helm, which people install the charts with.

use std::path::Path;

use tokio::sync::OnceCell;

use crate::cache;
use crate::go_program::{Built, GoProgram};
use crate::once::once;
use crate::process::Launch;

/// The release of Helm.
pub const VERSION: &str = "4.3.1";

const PROGRAM: GoProgram = GoProgram {
    name: "helm",
    version: VERSION,
    work: "building it from Go modules, about two minutes",
    files: &[
        ("go.mod", include_str!("../platform/helm/go.mod")),
        ("go.sum", include_str!("../platform/helm/go.sum")),
    ],
    package: "helm.sh/helm/v4/cmd/helm",
};

/// Why there is no Helm.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be built.
    #[error("Helm cannot be built")]
    Build(#[from] cache::Error),
    /// The build was cancelled.
    #[error("the build of Helm was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
}

/// Helm as a program.
#[derive(Debug, Clone)]
pub struct Helm(Built);

impl Helm {
    /// Builds Helm unless the cache has it. Blocks for as long as that takes: about two minutes the first time.
    ///
    /// # Errors
    /// [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        Ok(Self(PROGRAM.prepare()?))
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Helm> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether it was built by this very call.
    #[must_use]
    pub const fn was_built(&self) -> bool {
        self.0.now
    }

    /// Helm in the repository's folder, without anything of the user's own settings.
    #[must_use]
    pub fn launch(&self, home: &Path) -> Launch {
        let mut launch =
            Launch::new("helm", self.path()).in_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            launch = launch.env(name, home);
        }
        launch
    }
}
