//! The `ordermill` command.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod local;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// An event is made on one thread and freed on another, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Event-driven order systems on Kafka that misbehave on command.
#[derive(Debug, Parser)]
#[command(name = "ordermill", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks manifests by the rules of the custom resources, without a cluster.
    Validate(validate::Options),
    /// Runs the resources in manifests on this machine, and follows edits of the files.
    Local(local::Options),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Validate(options) => validate::run(&options),
        Command::Local(options) => local::run(options),
    }
}
