//! What the commands that talk to a cluster share.

use std::fmt::Display;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

/// Runs a command to its end.
pub(crate) fn run(command: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // A request that nobody waits for any more must not hold up the end.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: no runtime can be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output; what was done is done also where nobody reads it.
pub(crate) fn say(line: impl Display) {
    _ = writeln!(stdout(), "{line}");
}
