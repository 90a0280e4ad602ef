//! Python, which runs what is published as Python packages.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CommandError, MissingTool, on_path, run};

/// The oldest Python that every package can use.
const LEAST: Version = Version {
    major: 3,
    minor: 11,
};

/// What Python tells of itself: its release, its own path, and those modules that it lacks.
const QUESTION: &str = "\
import importlib.util, os, sys
print(*sys.version_info[:2])
print(os.path.realpath(sys.executable))
print(*[name for name in ('venv', 'ensurepip') if not importlib.util.find_spec(name)])";

/// A Python of version 3.11 or newer that can make virtual environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    program: PathBuf,
    version: Version,
}

/// A release without its patches, for instance 3.11: what is installed for one works with all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Python {
    /// The first that fits among `python3` and `python3.11` to `python3.15` on `PATH`.
    ///
    /// # Errors
    /// [`MissingTool`].
    pub fn find() -> Result<Self, MissingTool> {
        let others = (11..=15).rev().map(|minor| format!("python3.{minor}"));
        let names = std::iter::once("python3".to_owned()).chain(others);
        first_fitting(names.flat_map(|name| on_path(&name)))
    }

    /// The interpreter itself, behind all links and launchers.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its release.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Makes a virtual environment in `folder` and installs the wheels that `requirements` names there. Blocks.
    ///
    /// # Errors
    /// [`CommandError`], with what was written.
    pub fn install(&self, requirements: &Path, folder: &Path) -> Result<(), CommandError> {
        let mut make = isolated(&self.program);
        run(make.args(["-m", "venv"]).arg(folder))?;
        let mut install = isolated(&interpreter_in(folder));
        install
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .arg("--disable-pip-version-check")
            // Nothing is installed but the very files that were chosen, and none of their code runs for it.
            .args(["--require-hashes", "--only-binary=:all:", "--requirement"])
            .arg(requirements);
        run(&mut install).map(drop)
    }
}

/// The interpreter of the virtual environment in `folder`. Scripts beside it stop working once the folder is moved; this
/// does not.
pub(crate) fn interpreter_in(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// A run that looks at nothing of the user's own modules and settings of Python.
fn isolated(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-I");
    command
}

fn first_fitting(candidates: impl Iterator<Item = PathBuf>) -> Result<Python, MissingTool> {
    let mut looked = Vec::new();
    for program in candidates {
        let found = match examine(&program) {
            Ok((python, _)) if python.version < LEAST => format!("Python {}", python.version),
            Ok((python, lacking)) if lacking.is_empty() => return Ok(python),
            Ok((python, lacking)) => format!("Python {} without {lacking}", python.version),
            Err(reason) => reason,
        };
        looked.push(format!("{} ({found})", program.display()));
    }
    if looked.is_empty() {
        looked.push("PATH".to_owned());
    }
    Err(MissingTool {
        need: format!("Python {LEAST} or newer with venv, for schemathesis"),
        looked,
        remedy: "Install it (Debian: python3-venv) or put its folder on PATH.",
    })
}

/// Asks the interpreter itself; gives the modules that it lacks beside it.
fn examine(program: &Path) -> Result<(Python, String), String> {
    let output =
        run(isolated(program).args(["-c", QUESTION])).map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stdout);
    told_by(&told).ok_or_else(|| "it does not tell its version".to_owned())
}

fn told_by(text: &str) -> Option<(Python, String)> {
    let mut lines = text.lines();
    let (major, minor) = lines.next()?.split_once(' ')?;
    let version = Version {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    };
    let program = lines.next()?.into();
    let lacking = lines.next().unwrap_or_default();
    Some((Python { program, version }, lacking.replace(' ', ", ")))
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An interpreter that answers so.
    fn interpreter(folder: &Path, name: &str, answer: &str) -> PathBuf {
        let program = folder.join(name);
        std::fs::write(&program, format!("#!/bin/sh\nprintf '{answer}'\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn takes_the_first_that_is_new_enough_and_has_all_modules() {
        let folder = tempfile::tempdir().unwrap();
        let found = [
            ("a", r"3 9\n/usr/bin/python3.9\n\n"),
            ("b", r"3 12\n/usr/bin/python3.12\nensurepip\n"),
            ("c", r"3 11\n/usr/bin/python3.11\n\n"),
            ("d", r"3 13\n/usr/bin/python3.13\n\n"),
        ]
        .map(|(name, answer)| interpreter(folder.path(), name, answer));
        let python = first_fitting(found.into_iter()).unwrap();
        assert_eq!(python.program(), Path::new("/usr/bin/python3.11"));
        assert_eq!(python.version().to_string(), "3.11");
    }

    #[test]
    fn tells_why_none_fits() {
        let folder = tempfile::tempdir().unwrap();
        let found = [
            interpreter(folder.path(), "a", r"3 9\n/usr/bin/python3.9\n\n"),
            interpreter(
                folder.path(),
                "b",
                r"3 12\n/usr/bin/python3.12\nvenv ensurepip\n",
            ),
            interpreter(folder.path(), "c", "hello"),
            folder.path().join("d"),
        ];
        let missing = first_fitting(found.into_iter()).unwrap_err();
        assert!(
            missing.need.starts_with("Python 3.11 or newer"),
            "{missing}"
        );
        for (place, reason) in missing.looked.iter().zip([
            "a (Python 3.9)",
            "b (Python 3.12 without venv, ensurepip)",
            "c (it does not tell its version)",
            "cannot be started)",
        ]) {
            assert!(place.ends_with(reason), "{place}");
        }
    }
}
