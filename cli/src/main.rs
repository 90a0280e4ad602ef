//! The `ordermill` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ordermill_cli::main()
}
