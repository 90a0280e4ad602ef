//! The workspace's own programs.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tokio::sync::OnceCell;

use super::Launch;
use crate::tools::{CommandError, run};

/// The packages whose programs are tested.
const PACKAGES: [&str; 3] = ["ordermill-cli", "ordermill-operator", "ordermill-workload"];

/// The programs of the workspace, ready to be started.
///
/// They are taken from `$ORDERMILL_BIN_DIR`, or else built by cargo, once per test process, with the profile and the target
/// folder of the tests themselves.
#[derive(Debug, Clone, Copy)]
pub struct Program;

/// Why a program of the workspace is not there.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo failed.
    #[error("the programs under test cannot be built")]
    Cargo(#[source] CommandError),
    /// Cargo or the folder has no such program.
    #[error("there is no program {name}; there are: {found}")]
    Absent {
        /// Its name.
        name: String,
        /// The others.
        found: String,
    },
    /// The test is shutting down.
    #[error("the build was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
}

impl Program {
    /// `ordermill`, the command line tool.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn ordermill() -> Result<Launch, BuildError> {
        Self::named("ordermill").await
    }

    /// `ordermill-workload`, what runs in the pods.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn workload() -> Result<Launch, BuildError> {
        Self::named("ordermill-workload").await
    }

    /// `ordermill-operator`, which makes pods of resources.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn operator() -> Result<Launch, BuildError> {
        Self::named("ordermill-operator").await
    }

    /// The program called `name`.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn named(name: &str) -> Result<Launch, BuildError> {
        let path = Self::path(name).await?;
        Ok(Launch::new(name, path))
    }

    /// Where the program called `name` is.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn path(name: &str) -> Result<PathBuf, BuildError> {
        if let Some(folder) = env::var_os("ORDERMILL_BIN_DIR").filter(|folder| !folder.is_empty()) {
            let program = Path::new(&folder).join(name);
            let found = || {
                format!(
                    "none of that name in ORDERMILL_BIN_DIR={}",
                    folder.display()
                )
            };
            return program
                .is_file()
                .then_some(program)
                .ok_or_else(|| BuildError::Absent {
                    name: name.to_owned(),
                    found: found(),
                });
        }
        let programs = BUILT
            .get_or_try_init(async || {
                tokio::task::spawn_blocking(build)
                    .await
                    .map_err(BuildError::Cancelled)?
            })
            .await?;
        programs.get(name).cloned().ok_or_else(|| {
            let found = programs
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            BuildError::Absent {
                name: name.to_owned(),
                found,
            }
        })
    }
}

/// What was built in this test process.
static BUILT: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();

/// Builds the packages and gives their programs by name.
fn build() -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--message-format=json-render-diagnostics"]);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    // Cargo tells the test process its package by these; build scripts that look at them would all run anew.
    let told = env::vars_os().map(|(name, _)| name);
    for name in told.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(name);
    }
    if let Some(place) = env::current_exe().ok().as_deref().and_then(Place::of) {
        place.add_to(&mut cargo);
    }
    let output = run(&mut cargo).map_err(BuildError::Cargo)?;
    Ok(programs_in(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads cargo's messages, one JSON object a line.
fn programs_in(messages: &str) -> BTreeMap<String, PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        executable: Option<PathBuf>,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok()?.executable)
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect()
}

/// Where cargo put the running test: `TARGET[/TRIPLE]/PROFILE/deps/TEST`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    target: PathBuf,
    triple: Option<String>,
    profile: String,
}

impl Place {
    fn of(test: &Path) -> Option<Self> {
        // Cargo marks the folder, so that back-ups leave it out.
        let target = test
            .ancestors()
            .find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
        let mut names: Vec<&str> = test
            .parent()?
            .strip_prefix(target)
            .ok()?
            .iter()
            .map(|name| name.to_str())
            .take_while(|name| *name != Some("deps"))
            .collect::<Option<_>>()?;
        let folder = names.pop()?;
        Some(Self {
            target: target.to_owned(),
            triple: names.pop().map(str::to_owned),
            // The one profile whose folder has another name.
            profile: if folder == "debug" { "dev" } else { folder }.to_owned(),
        })
    }

    fn add_to(&self, cargo: &mut Command) {
        cargo
            .arg("--target-dir")
            .arg(&self.target)
            .args(["--profile", &self.profile]);
        if let Some(triple) = &self.triple {
            cargo.args(["--target", triple]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_tells_profile_and_target() {
        let target = tempfile::tempdir().unwrap();
        std::fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        let of = |path: &str| Place::of(&target.path().join(path)).unwrap();
        let place = of("debug/deps/harness-1");
        assert_eq!((place.profile.as_str(), place.triple), ("dev", None));
        let place = of("x86_64-unknown-linux-gnu/release/deps/harness-1");
        assert_eq!(place.profile, "release");
        assert_eq!(place.triple.as_deref(), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(Place::of(Path::new("/nowhere/harness")), None);
    }

    #[test]
    fn programs_are_read_from_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/debug/ordermill"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        let programs = programs_in(messages);
        assert_eq!(
            programs.into_iter().collect::<Vec<_>>(),
            [("ordermill".to_owned(), PathBuf::from("/t/debug/ordermill"))]
        );
    }
}
