//! Child processes that write to files, can be asked how they are, and die with their test.

mod error;
mod launch;
mod spawner;
mod workspace;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, kill_process};

pub use error::Error;
pub use launch::Launch;
pub use rustix::process::Signal;
pub(crate) use spawner::children_die_with_us;
pub use workspace::{BuildError, Program};

use crate::http::{self, Response};
use crate::tools::tail;
use crate::wait::until;

/// How many lines of its output an error or a failed test shows.
const LINES_SHOWN: usize = 40;

/// A child process; killed when dropped, and then, if the test has failed, the end of what it wrote is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    // Holds the two files where nobody else does.
    _scratch: Option<crate::Scratch>,
}

/// How a process ended and all that it wrote.
#[derive(Debug, Clone)]
pub struct Exit {
    /// What it was called.
    pub name: String,
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Process {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn stdout(&self) -> Result<String, Error> {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn stderr(&self) -> Result<String, Error> {
        read(&self.stderr)
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// [`Error::Reach`].
    pub fn status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child
            .try_wait()
            .map_err(|source| self.unreachable(source))
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// [`Error::Reach`], also when it has ended already.
    pub fn terminate(&mut self) -> Result<(), Error> {
        self.signal(Signal::TERM)
    }

    /// Sends `signal`.
    ///
    /// # Errors
    /// [`Error::Reach`], also when it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        // A process that has ended may have given its id to another.
        if let Some(status) = self.status()? {
            let source = io::Error::other(format!("it has ended already with {status}"));
            return Err(self.unreachable(source));
        }
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|errno| self.unreachable(errno.into()))
    }

    /// Kills it (SIGKILL) and waits until it is gone; nothing to do when it has ended already.
    ///
    /// # Errors
    /// [`Error::Reach`].
    pub fn kill(&mut self) -> Result<(), Error> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|source| self.unreachable(source))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// [`Error::Deadline`] when it still runs then; it is left running.
    pub async fn wait(&mut self, deadline: Duration) -> Result<Exit, Error> {
        let ended = until(deadline, async || match self.status() {
            Ok(Some(status)) => Ok(Ok(status)),
            Ok(None) => Err("it still runs"),
            Err(error) => Ok(Err(error)),
        })
        .await;
        let status = ended.map_err(|_| self.late("its end", deadline, None))??;
        Ok(Exit {
            name: self.name.clone(),
            status,
            stdout: self.stdout()?,
            stderr: self.stderr()?,
        })
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// [`Error::Deadline`] when it still runs then; it is left running.
    pub async fn stop(&mut self, deadline: Duration) -> Result<Exit, Error> {
        if self.status()?.is_none() {
            self.terminate()?;
        }
        self.wait(deadline).await
    }

    /// Waits for a line with `part` in it, on standard output or standard error, and gives the whole line.
    ///
    /// # Errors
    /// [`Error::Ended`] as soon as it ends without such a line, [`Error::Deadline`].
    pub async fn wait_for_line(&mut self, deadline: Duration, part: &str) -> Result<String, Error> {
        let stdout = self.stdout.clone();
        let stderr = self.stderr.clone();
        self.wait_for(deadline, &format!("a line with {part:?}"), async || {
            let found = [&stdout, &stderr].into_iter().find_map(|path| {
                let text = read(path).ok()?;
                // Without its end a line may still grow.
                let mut complete = text
                    .split_inclusive('\n')
                    .filter(|line| line.ends_with('\n'));
                complete
                    .find(|line| line.contains(part))
                    .map(|line| line.trim_end().to_owned())
            });
            found.ok_or("no such line")
        })
        .await
    }

    /// GETs `url` again and again until `accept` makes something of an answer.
    ///
    /// # Errors
    /// [`Error::Ended`] as soon as the process ends, [`Error::Deadline`] with the last answer.
    pub async fn wait_for_http<T>(
        &mut self,
        deadline: Duration,
        url: &str,
        accept: impl Fn(&Response) -> Option<T>,
    ) -> Result<T, Error> {
        self.wait_for(
            deadline,
            &format!("the answer awaited of {url}"),
            async || {
                let response = http::get(url).await.map_err(|error| error.to_string())?;
                accept(&response).ok_or_else(|| format!("{}: {}", response.status, response.body))
            },
        )
        .await
    }

    /// Calls `probe` until it gives `Ok`, for as long as the process runs; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Ended`] as soon as the process ends, [`Error::Deadline`] with the probe's last error.
    pub async fn wait_for<T, E: std::fmt::Display>(
        &mut self,
        deadline: Duration,
        what: &str,
        mut probe: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, Error> {
        let outcome = until(deadline, async || {
            // Asked first: a process that has ended may have done its part before.
            let status = self.status();
            match (probe().await, status) {
                (Ok(value), _) => Ok(Ok(value)),
                (Err(_), Err(error)) => Ok(Err(error)),
                (Err(_), Ok(Some(status))) => Ok(Err(self.ended(what, status))),
                (Err(error), Ok(None)) => Err(error),
            }
        })
        .await;
        outcome.map_err(|timed_out| {
            let last = timed_out.last.map(|error| error.to_string());
            self.late(what, deadline, last.as_deref())
        })?
    }

    /// The last lines of both outputs.
    #[must_use]
    pub fn last_lines(&self) -> String {
        [
            ("standard output", &self.stdout),
            ("standard error", &self.stderr),
        ]
        .into_iter()
        .filter_map(|(title, path)| {
            let text = tail(&read(path).ok()?, LINES_SHOWN);
            (!text.is_empty()).then(|| format!("--- {title} of {}\n{text}", self.name))
        })
        .collect::<Vec<_>>()
        .join("\n")
    }

    fn unreachable(&self, source: io::Error) -> Error {
        Error::Reach {
            name: self.name.clone(),
            source,
        }
    }

    fn ended(&self, what: &str, status: ExitStatus) -> Error {
        Error::Ended {
            name: self.name.clone(),
            status,
            what: what.to_owned(),
            output: self.last_lines(),
        }
    }

    fn late(&self, what: &str, deadline: Duration, last: Option<&str>) -> Error {
        Error::Deadline {
            name: self.name.clone(),
            what: what.to_owned(),
            deadline,
            detail: last
                .map(|last| format!("; last: {last}"))
                .unwrap_or_default(),
            output: self.last_lines(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.last_lines());
        }
    }
}

impl Exit {
    /// The exit code; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Passes `self` on when it ended with `code`.
    ///
    /// # Panics
    /// When it ended in another way; the message holds the end of what it wrote.
    #[track_caller]
    #[must_use]
    pub fn assert_code(self, code: i32) -> Self {
        let Self {
            name,
            status,
            stdout,
            stderr,
        } = &self;
        assert_eq!(
            self.code(),
            Some(code),
            "{name} ended with {status}\n--- standard output\n{}\n--- standard error\n{}",
            tail(stdout, LINES_SHOWN),
            tail(stderr, LINES_SHOWN),
        );
        self
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|source| Error::Output {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Launch::new("shell", "sh")
            .args(["-c", script])
            .start()
            .unwrap()
    }

    #[tokio::test]
    async fn both_outputs_and_the_code_are_kept() {
        let exit = shell("echo out; echo err >&2; exit 3")
            .wait(SOON)
            .await
            .unwrap();
        assert_eq!(
            (exit.stdout.as_str(), exit.stderr.as_str()),
            ("out\n", "err\n")
        );
        let _ = exit.assert_code(3);
    }

    #[tokio::test]
    #[should_panic(expected = "shell ended with exit status: 3")]
    async fn another_code_fails() {
        let exit = shell("exit 3").wait(SOON).await.unwrap();
        let _ = exit.assert_code(0);
    }

    #[tokio::test]
    async fn a_line_is_awaited_and_a_signal_reaches_the_process() {
        let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        assert_eq!(process.wait_for_line(SOON, "rea").await.unwrap(), "ready");
        let _ = process.stop(SOON).await.unwrap().assert_code(7);
        assert!(matches!(process.terminate(), Err(Error::Reach { .. })));
    }

    #[tokio::test]
    async fn a_kill_is_seen_as_a_signal() {
        let mut process = shell("exec sleep 600");
        process.kill().unwrap();
        assert_eq!(process.wait(SOON).await.unwrap().status.signal(), Some(9));
    }

    #[tokio::test]
    async fn an_early_end_is_told_at_once() {
        let error = shell("echo because >&2; exit 1")
            .wait_for_line(SOON, "ready")
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Ended { .. }), "{error}");
        assert!(error.to_string().ends_with("because"), "{error}");
    }

    #[tokio::test]
    async fn a_line_written_just_before_the_end_counts() {
        let mut process = shell("echo ready");
        process.wait(SOON).await.unwrap();
        assert_eq!(process.wait_for_line(SOON, "ready").await.unwrap(), "ready");
    }

    #[tokio::test]
    async fn a_process_dies_with_its_owner() {
        let mut process = shell("echo up; exec sleep 600");
        process.wait_for_line(SOON, "up").await.unwrap();
        let pid = Pid::from_child(&process.child);
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
