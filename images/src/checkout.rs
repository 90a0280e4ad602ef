//! What git says about the checkout.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// The commit that the checkout is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name in 40 digits; `-dirty` follows where files differ from it.
    pub revision: String,
    /// Its time, in seconds since 1970.
    pub seconds: i64,
}

/// Why the commit is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no git.
    #[error("git cannot be run: without it, say --revision and --created")]
    Run(#[source] io::Error),
    /// Git does not know it.
    #[error("git {arguments}: {status}: outside of a checkout, say --revision and --created")]
    Failed {
        /// What git was asked.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// Git answers something else.
    #[error("git gave {0:?} for the time of the commit")]
    Time(String),
}

/// The commit of the checkout in `folder`.
///
/// # Errors
/// [`Error`].
pub fn commit(folder: &Path) -> Result<Commit, Error> {
    let name = git(folder, &["rev-parse", "HEAD"])?;
    let edits = git(folder, &["status", "--porcelain"])?;
    let time = git(folder, &["log", "-1", "--format=%ct"])?;
    Ok(Commit {
        revision: format!("{name}{}", if edits.is_empty() { "" } else { "-dirty" }),
        seconds: time.parse().map_err(|_| Error::Time(time))?,
    })
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(Error::Run)?;
    if !output.status.success() {
        return Err(Error::Failed {
            arguments: arguments.join(" "),
            status: output.status,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
