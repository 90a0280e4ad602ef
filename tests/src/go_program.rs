//! Programs that are built from Go modules.

use std::path::PathBuf;

use crate::cache::{self, Cache, Entry, Recipe, Workshop};
use crate::tools::{self, Go};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A program, and what it is built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoProgram {
    /// Its name in the cache and as a file.
    pub(crate) name: &'static str,
    /// Its release.
    pub(crate) version: &'static str,
    /// What building it is, and how long it takes, for people.
    pub(crate) work: &'static str,
    /// `go.mod`, `go.sum` and sources.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What is built: `.`, or the path of a package.
    pub(crate) package: &'static str,
}

/// A program that is there.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// Where.
    pub(crate) path: PathBuf,
    /// Whether this very call built it.
    pub(crate) now: bool,
}

impl GoProgram {
    /// Builds the program unless the cache has it. Blocks.
    pub(crate) fn prepare(&self) -> Result<Built, cache::Error> {
        let entry = self.prepare_with(|_, _| Ok(()))?;
        Ok(Built {
            path: entry.path.join(self.name),
            now: entry.made,
        })
    }

    /// The same, with more than the program: `more` may add to the product.
    pub(crate) fn prepare_with(
        &self,
        more: impl FnOnce(&Go, &Workshop) -> Result<(), Failure>,
    ) -> Result<Entry, cache::Error> {
        let recipe = Recipe {
            name: self.name,
            version: self.version,
            work: self.work,
            files: self.files,
        };
        Cache::of_user()?.entry(&recipe, |workshop| {
            let go = self.toolchain()?;
            let mut build = go.command(workshop);
            build
                .current_dir(&workshop.recipe)
                .args([
                    "build",
                    "-mod=readonly",
                    "-trimpath",
                    "-ldflags=-s -w",
                    "-o",
                ])
                .arg(workshop.product.join(self.name))
                .arg(self.package);
            tools::run(&mut build)?;
            more(&go, workshop)
        })
    }

    /// The toolchain that a build would use.
    pub(crate) fn toolchain(&self) -> Result<Go, tools::MissingTool> {
        let mut files = self.files.iter();
        let go_mod = files.find(|(name, _)| *name == "go.mod");
        Go::find(go_mod.map_or("", |(_, text)| text))
    }
}
