//! What to start, and how.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Error, Process, spawner};
use crate::Scratch;

/// Variables that a program may need to run at all; others would make tests depend on who runs them.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LANG", "TZ"];

/// A program with its arguments and environment.
///
/// Of the caller's environment only `PATH`, `HOME`, `TMPDIR`, `LANG` and `TZ` are passed on.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Launch {
    /// Starts `program`, called `name` in messages.
    pub fn new(name: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            output: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it in `folder` instead of the caller's.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Gives it a file to read on standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, file: impl Into<PathBuf>) -> Self {
        self.input = Some(file.into());
        self
    }

    /// Appends its output to `stdout.log` and `stderr.log` in `folder` instead of a folder that goes with it.
    #[must_use]
    pub fn output_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.output = Some(folder.into());
        self
    }

    /// Starts it. Where util-linux is at hand it dies with this process, even if that is killed.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(self) -> Result<Process, Error> {
        let name = self.name.clone();
        self.spawn().map_err(|source| Error::Start { name, source })
    }

    fn spawn(self) -> io::Result<Process> {
        let (folder, scratch) = if let Some(folder) = self.output {
            (folder, None)
        } else {
            let scratch = Scratch::new("process")?;
            (scratch.path().to_owned(), Some(scratch))
        };
        let (stdout, stderr) = (folder.join("stdout.log"), folder.join("stderr.log"));
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        let mut command: Command = spawner::command(&self.program);
        command
            .args(self.arguments)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs(self.environment)
            .stdout(append(&stdout)?)
            .stderr(append(&stderr)?);
        match self.input {
            Some(path) => command.stdin(std::fs::File::open(path)?),
            None => command.stdin(Stdio::null()),
        };
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let child = spawner::spawn(command)?;
        Ok(Process {
            name: self.name,
            child,
            stdout,
            stderr,
            _scratch: scratch,
        })
    }
}
