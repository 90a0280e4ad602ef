//! The collector's binary, from Go modules.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use super::Error;
use crate::cache::{Cache, Recipe};
use crate::tools::{self, Go};

/// The release of the OpenTelemetry Collector.
pub const VERSION: &str = "0.115.0";

const GO_MOD: &str = include_str!("../../platform/collector/go.mod");
const GO_SUM: &str = include_str!("../../platform/collector/go.sum");
const MAIN: &str = include_str!("../../platform/collector/main.go");

/// The collector as a program.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    built: bool,
}

impl Binary {
    /// Builds the program unless the cache has it. Blocks for as long as that takes: one to two minutes the first time. Go's
    /// modules and objects, 800 MB of them, are dropped afterwards.
    ///
    /// # Errors
    /// [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        let recipe = Recipe {
            name: "otelcol",
            version: VERSION,
            work: "building it from Go modules, about a minute and a half",
            files: &[("go.mod", GO_MOD), ("go.sum", GO_SUM), ("main.go", MAIN)],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let go = Go::find(GO_MOD)?;
            let mut build = go.command(&workshop.leftovers);
            build
                .current_dir(&workshop.recipe)
                .args([
                    "build",
                    "-mod=readonly",
                    "-trimpath",
                    "-ldflags=-s -w",
                    "-o",
                ])
                .arg(program_in(&workshop.product));
            tools::run(&mut build)?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        Ok(Self {
            path: program_in(&entry.path),
            built: entry.made,
        })
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Binary> = OnceCell::const_new();
        let prepare = async || {
            tokio::task::spawn_blocking(Self::prepare)
                .await
                .map_err(Error::Cancelled)?
        };
        PREPARED.get_or_try_init(prepare).await
    }

    /// The toolchain that a build would use.
    ///
    /// # Errors
    /// [`Error::Tool`].
    pub fn toolchain() -> Result<Go, Error> {
        Ok(Go::find(GO_MOD)?)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was built by this very call.
    #[must_use]
    pub fn was_built(&self) -> bool {
        self.built
    }
}

fn program_in(folder: &Path) -> PathBuf {
    folder.join("otelcol")
}
