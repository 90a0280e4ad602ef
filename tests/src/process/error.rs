//! What can go wrong with a child process.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// What can go wrong with a child process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not start.
    #[error("{name} cannot be started")]
    Start {
        /// What it is called.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A signal could not be sent or its state not be read.
    #[error("{name} cannot be reached")]
    Reach {
        /// What it is called.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of its output could not be read.
    #[error("{}: the output cannot be read", .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended while something else was expected of it.
    #[error("{name} ended with {status} while waiting for {what}; it wrote:\n{output}")]
    Ended {
        /// What it is called.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What was awaited.
        what: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// It did not do in time what it should.
    #[error("{name}: {what} not within {deadline:?}{detail}; it wrote:\n{output}")]
    Deadline {
        /// What it is called.
        name: String,
        /// What was awaited.
        what: String,
        /// For how long.
        deadline: Duration,
        /// What was seen instead; empty or `; last: …`.
        detail: String,
        /// The last lines that it wrote.
        output: String,
    },
}
