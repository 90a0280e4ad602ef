//! The `ordermill` command, also `kubectl ordermill`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cluster;
mod command;
mod dlq;
mod local;
mod report;
mod status;
mod stop;
mod validate;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

// An event is made on one thread and freed on another, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name by which kubectl finds the command.
const PLUGIN: &str = "kubectl-ordermill";

/// Event-driven order systems on Kafka that misbehave on command.
#[derive(Debug, Parser)]
#[command(name = "ordermill", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Options),
    Stop(stop::StopOptions),
    Start(stop::StartOptions),
    Report(report::Options),
    /// Checks manifests by the rules of the custom resources, without a cluster.
    Validate(validate::Options),
    /// Runs the resources in manifests on this machine, and follows edits of the files.
    Local(local::Options),
    Dlq(dlq::Options),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Ok(Command::Status(options)) => status::run(&options),
        Ok(Command::Stop(options)) => stop::stop(&options),
        Ok(Command::Start(options)) => stop::start(&options),
        Ok(Command::Report(options)) => report::run(&options),
        Ok(Command::Validate(options)) => validate::run(&options),
        Ok(Command::Local(options)) => local::run(options),
        Ok(Command::Dlq(options)) => dlq::run(options),
        Err(error) => error.exit(),
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, clap::Error> {
    let arguments: Vec<_> = arguments.collect();
    let program = arguments.first().map(Path::new).and_then(Path::file_stem);
    let mut command = Arguments::command();
    if program.is_some_and(|name| name == PLUGIN) {
        // Help shows what people type.
        command = command.bin_name("kubectl ordermill").no_binary_name(true);
        let matches = command.try_get_matches_from(arguments.iter().skip(1))?;
        return Ok(Arguments::from_arg_matches(&matches)?.command);
    }
    let matches = command.try_get_matches_from(&arguments)?;
    Ok(Arguments::from_arg_matches(&matches)?.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> clap::Error {
        parse(arguments.iter().map(OsString::from)).unwrap_err()
    }

    #[test]
    fn the_definition_holds() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_shows_the_name_that_was_typed() {
        let help = refusal(&["/bin/kubectl-ordermill", "status", "--help"]).to_string();
        assert!(
            help.contains("Usage: kubectl ordermill status [OPTIONS] [KIND/NAME]"),
            "{help}"
        );
        let help = refusal(&["target/debug/ordermill", "status", "--help"]).to_string();
        assert!(help.contains("Usage: ordermill status [OPTIONS]"), "{help}");
        assert!(help.contains("Exit codes"), "{help}");
    }

    #[test]
    fn a_wrong_command_line_ends_with_2() {
        for wrong in [
            vec!["ordermill", "status", "pod/a"],
            vec!["ordermill", "status", "customer"],
            vec!["ordermill", "status", "oprod/a", "-A"],
            vec!["ordermill", "stop", "oprod/a", "-A"],
            vec!["ordermill", "dlq"],
            vec!["ordermill", "dlq", "show", "a b", "--kafka", "k:9092"],
            vec![
                "ordermill",
                "dlq",
                "show",
                "a",
                "--offset",
                "1",
                "--kafka",
                "k:9092",
            ],
            vec!["ordermill", "dlq", "replay", "--kafka", "k:9092"],
        ] {
            assert_eq!(refusal(&wrong).exit_code(), 2, "{wrong:?}");
        }
    }
}
