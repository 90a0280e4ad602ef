//! The tools that the recipes need, where they are found, and what to say when they are not.

mod go;
mod jdk;
mod maven;
mod python;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use go::Go;
pub use jdk::Jdk;
pub use maven::Maven;
pub use python::Python;
pub(crate) use python::interpreter_in;

/// A tool that is not there, or too old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct MissingTool {
    /// What is needed, for instance `a JDK 21 or newer`.
    pub need: String,
    /// Each place that was looked at, with what was found there.
    pub looked: Vec<String>,
    /// How to give it.
    pub remedy: &'static str,
}

impl fmt::Display for MissingTool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "missing: {}", self.need)?;
        for place in &self.looked {
            write!(formatter, "\n  looked at {place}")?;
        }
        write!(formatter, "\n  {}", self.remedy)
    }
}

/// A command that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("{command} cannot be started")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It failed.
    #[error("{command} ended with {status}:\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
}

/// Runs `command` to its end and gives what it wrote.
///
/// # Errors
/// [`CommandError`], also when it ends with a status other than 0.
pub fn run(command: &mut Command) -> Result<Output, CommandError> {
    let line = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let line = line();
    let output = command.output().map_err(|source| CommandError::Start {
        command: line.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let written = [output.stdout, output.stderr].concat();
    let output_tail = tail(&String::from_utf8_lossy(&written), 40);
    Err(CommandError::Failed {
        command: line,
        status: output.status,
        output: output_tail,
    })
}

/// Copies a folder with all that is in it; `to` becomes what `from` is.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<(), CommandError> {
    let mut copy = Command::new("cp");
    copy.args(["--recursive", "--no-target-directory"]);
    run(copy.arg(from).arg(to)).map(drop)
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Programs called `name` in the folders of `PATH`, in its order.
fn on_path(name: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let name = name.to_owned();
    folders
        .into_iter()
        .map(move |folder| folder.join(&name))
        .filter(|program| program.is_file())
}

/// The folder that an environment variable names, unless it is unset or empty.
fn folder_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The entries of `folder` in the order of their names; none when it cannot be read.
fn entries_of(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_told_in_one_message() {
        let missing = MissingTool {
            need: "a JDK 21 or newer".to_owned(),
            looked: vec!["/usr (Java 17)".to_owned()],
            remedy: "Set JAVA_HOME.",
        };
        assert_eq!(
            missing.to_string(),
            "missing: a JDK 21 or newer\n  looked at /usr (Java 17)\n  Set JAVA_HOME."
        );
    }

    #[test]
    fn a_failed_command_shows_what_it_wrote() {
        let error =
            run(Command::new("sh").args(["-c", "echo oh; echo no >&2; exit 3"])).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("exit status: 3") && message.ends_with("oh\nno"),
            "{message}"
        );
    }

    #[test]
    fn a_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
