//! What the commands that talk to a cluster share.

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
