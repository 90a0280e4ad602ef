//! `ordermill dlq`: dead letters of any Kafka, listed, shown, and sent back to where they come from.

mod content;
mod kafka;
mod letter;
mod list;
mod replay;
mod show;
mod ticker;

use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use ordermill_config::full_error;

use self::kafka::BrokerError;
use self::replay::ReplayError;
use crate::command;

const EXIT_CODES: &str = "\
Exit codes: 0: all is shown. 1: something could not be read, which is told. 2: the command line is wrong.";

/// Lists, shows and replays dead letters: messages that a consumer could not handle.
///
/// A consumer that is told to (`onFailure.action: DeadLetter`) puts them on a topic of their own, by default TOPIC.dead-letter, as
/// they were, with headers that say where they come from and why.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Options),
    Show(show::Options),
    Replay(replay::Options),
}

/// How dead letters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Why a command does not do what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("topic {topic} has no partition {partition}")]
    NoPartition { topic: String, partition: i32 },
    #[error("topic {topic} holds no record at {place}")]
    NoRecord { topic: String, place: String },
    #[error("the dead letters cannot be written")]
    Write(#[from] io::Error),
    #[error("the dead letters cannot be written")]
    Json(#[from] serde_json::Error),
    #[error("the task that talks to Kafka was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

impl Failure {
    /// Whether nobody reads any more, which is no failure of ours.
    fn is_unread(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Does what the command line says; see the exit codes in its help.
pub(crate) fn run(options: Options) -> ExitCode {
    command::run(async {
        // librdkafka's calls block.
        let done = tokio::task::spawn_blocking(move || match options.command {
            Command::List(options) => list::list(&options),
            Command::Show(options) => show::show(&options),
            Command::Replay(options) => replay::replay(&options).map(|()| true),
        });
        match done.await.map_err(Failure::Stopped).flatten() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(failure) if failure.is_unread() => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {}", full_error(&failure));
                ExitCode::FAILURE
            }
        }
    })
}
