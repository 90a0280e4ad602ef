//! The same command under the name by which kubectl finds it: `kubectl ordermill`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ordermill_cli::main()
}
