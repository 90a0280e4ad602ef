//! Go, which builds what is published as Go modules.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use super::{MissingTool, folder_of, on_path, run};
use crate::cache::Workshop;

/// A Go toolchain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Go {
    program: PathBuf,
    version: Version,
}

/// A release of Go, for instance 1.26.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Go {
    /// The first toolchain that can build the module of `go_mod` among `PATH`, `GOROOT` and the usual folder.
    ///
    /// # Errors
    /// [`MissingTool`].
    pub fn find(go_mod: &str) -> Result<Self, MissingTool> {
        let least = needed_by(go_mod);
        let homes = folder_of("GOROOT")
            .into_iter()
            .chain([PathBuf::from("/usr/local/go")])
            .map(|home| home.join("bin/go"))
            .filter(|program| program.is_file());
        let mut looked = Vec::new();
        for program in on_path("go").chain(homes) {
            let found = match version_of(&program) {
                Ok(version) if least.is_none_or(|least| version >= least) => {
                    return Ok(Self { program, version });
                }
                Ok(version) => version.to_string(),
                Err(reason) => reason,
            };
            looked.push(format!("{} ({found})", program.display()));
        }
        if looked.is_empty() {
            looked.push("PATH, GOROOT, /usr/local/go".to_owned());
        }
        let or_newer = least
            .map(|least| format!(" {least} or newer"))
            .unwrap_or_default();
        Err(MissingTool {
            need: format!("Go{or_newer}, for the OpenTelemetry Collector"),
            looked,
            remedy: "Install it from go.dev/dl and put its bin folder on PATH.",
        })
    }

    /// The launcher's path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its release.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// A run that uses this very toolchain, and keeps modules and objects where the other builds find them: programs have
    /// most of theirs in common, and one that was interrupted goes on where it was.
    #[must_use]
    pub fn command(&self, workshop: &Workshop) -> Command {
        let folder = workshop.shared.join("go");
        let mut command = Command::new(&self.program);
        command
            .env("GOTOOLCHAIN", "local")
            .env("GOMODCACHE", folder.join("modules"))
            .env("GOCACHE", folder.join("objects"))
            // Modules are read-only by default, which would keep their folder from being removed.
            .env("GOFLAGS", "-modcacherw -buildvcs=false")
            .env("CGO_ENABLED", "0");
        command
    }
}

/// The version in the line `go 1.23.0`.
fn needed_by(go_mod: &str) -> Option<Version> {
    go_mod
        .lines()
        .find_map(|line| line.strip_prefix("go ")?.trim().parse().ok())
}

fn version_of(program: &Path) -> Result<Version, String> {
    let output = run(Command::new(program)
        .env("GOTOOLCHAIN", "local")
        .args(["env", "GOVERSION"]))
    .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.trim();
    text.strip_prefix("go")
        .unwrap_or(text)
        .parse()
        .map_err(|NotAVersion| format!("it calls itself {text:?}"))
}

/// A text that is no release of Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no release of Go")]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `1.26.8`, `1.26` and, as 1.26.0, `1.26rc1`.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.splitn(3, '.').map(|part| {
            let end = part.find(|character: char| !character.is_ascii_digit());
            part[..end.unwrap_or(part.len())].parse::<u32>().ok()
        });
        let mut next = || parts.next().flatten();
        let (Some(major), Some(minor)) = (next(), next()) else {
            return Err(NotAVersion);
        };
        Ok(Self {
            major,
            minor,
            patch: next().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let of = |text: &str| text.parse::<Version>().unwrap();
        assert!(of("1.9.7") < of("1.23.0"));
        assert!(of("1.23") < of("1.23.1"));
        assert_eq!(of("1.26rc1"), of("1.26.0"));
        assert_eq!(Version::from_str("devel"), Err(NotAVersion));
    }

    #[test]
    fn finds_what_a_module_needs() {
        let go_mod = "module example.org/x\n\ngo 1.23.0\n\nrequire a v1.0.0\n";
        assert_eq!(needed_by(go_mod).unwrap().to_string(), "1.23.0");
        assert_eq!(needed_by("module example.org/x\n"), None);
    }

    #[test]
    fn a_toolchain_that_is_too_old_is_told() {
        let missing = Go::find("go 99.0.0").unwrap_err();
        assert!(missing.need.contains("Go 99.0.0 or newer"), "{missing}");
    }
}
