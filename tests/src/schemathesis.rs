//! Schemathesis, which asks an API whether it keeps to its OpenAPI document.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;
use tokio::task::JoinError;

use crate::cache::{self, Cache, Recipe};
use crate::once::once;
use crate::process::Launch;
use crate::tools::{self, Python, interpreter_in};

/// The release of schemathesis.
pub const VERSION: &str = "4.32.5";

const REQUIREMENTS: &str = include_str!("../platform/schemathesis/requirements.txt");
/// Holds its settings and hooks.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/platform/schemathesis");

/// Why there is no schemathesis.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Python is missing.
    #[error(transparent)]
    Tool(#[from] tools::MissingTool),
    /// It cannot be installed.
    #[error("schemathesis cannot be installed")]
    Install(#[from] cache::Error),
    /// The task that installs it was cancelled.
    #[error("schemathesis was not installed")]
    Cancelled(#[source] JoinError),
}

/// Schemathesis in a virtual environment of its own.
#[derive(Debug, Clone)]
pub struct Schemathesis {
    folder: PathBuf,
    installed: bool,
}

impl Schemathesis {
    /// Installs it unless the cache has it. Blocks for as long as that takes: half a minute the first time.
    ///
    /// # Errors
    /// [`Error::Tool`] and [`Error::Install`].
    pub fn prepare() -> Result<Self, Error> {
        let python = Python::find()?;
        // An environment is of one interpreter, by its path, and of one release of it.
        let interpreter = format!("{} {}", python.version(), python.program().display());
        let recipe = Recipe {
            name: "schemathesis",
            version: VERSION,
            work: "installing it (13 MB) by pip, half a minute",
            files: &[
                ("requirements.txt", REQUIREMENTS),
                ("interpreter", &interpreter),
            ],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let requirements = workshop.recipe.join("requirements.txt");
            python.install(&requirements, &workshop.product)
        })?;
        Ok(Self {
            folder: entry.path,
            installed: entry.made,
        })
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Schemathesis> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// Whether it was installed by this very call.
    #[must_use]
    pub const fn was_installed(&self) -> bool {
        self.installed
    }

    /// Schemathesis with our settings; the command is the caller's to add. It leaves files in `folder`.
    #[must_use]
    pub fn launch(&self, folder: &Path) -> Launch {
        let ours = |name| Path::new(FOLDER).join(name);
        Launch::new("schemathesis", interpreter_in(&self.folder))
            // Nothing is left beside the hooks, and it writes more than ASCII, whatever language the user has.
            .args(["-I", "-B", "-X", "utf8"])
            .args(["-m", "schemathesis.cli", "--no-color"])
            .arg("--config-file")
            .arg(ours("schemathesis.toml"))
            .env("SCHEMATHESIS_HOOKS", ours("hooks.py"))
            .in_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requirements_are_of_this_release_and_name_no_registry() {
        let packages: Vec<&str> = REQUIREMENTS
            .lines()
            .filter(|line| line.contains("=="))
            .collect();
        let pinned = format!("schemathesis=={VERSION} \\");
        assert!(packages.contains(&pinned.as_str()), "{packages:?}");
        assert!(!REQUIREMENTS.contains("://"));
    }
}
