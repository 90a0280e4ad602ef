//! What the commands that talk to a cluster or to Kafka share.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stdout};
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

/// Whether standard output takes colours.
pub(crate) fn is_painted() -> bool {
    // https://no-color.org
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a line to standard output; what was done is done also where nobody reads it.
pub(crate) fn say(line: impl Display) {
    _ = writeln!(stdout(), "{line}");
}
