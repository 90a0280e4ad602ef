//! `ordermill dlq replay`: sends dead letters back to where they come from, each exactly once.

mod error;
mod plan;
mod record;
mod screen;
mod session;
mod work;

use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};

use clap::Args;
use ordermill_crds::values::TopicName;
use ordermill_runtime::shutdown;
use tokio_util::sync::CancellationToken;

pub(super) use self::error::ReplayError;
use self::plan::Plan;
use self::screen::{outcome_lines, plan_lines};
use self::work::{Counts, Work};
use super::Failure;
use super::kafka::{Kafka, KafkaOptions, Ledger, Settled, pending};
use crate::command;

/// Sends dead letters back to the topics that they come from, each of them once.
///
/// A letter goes to the partition that it comes from, with its key, payload, time and headers as they were, and one header
/// more: ordermill-replayed says how often it was replayed. What lies in the topic when the command begins is replayed,
/// partition by partition, and stays there. Records that are no dead letters are left alone.
///
/// What was replayed before is not replayed again, also where a replay was killed in its middle: letters and progress are
/// committed in one transaction, and consumers with `isolation.level=read_committed` see each letter exactly once. The progress is
/// the offsets of the consumer group ordermill-dlq-replay.TOPIC. Kafka forgets them when nothing has written them for
/// offsets.retention.minutes, seven days by default, and then a replay begins with the oldest letter. Each replay writes them,
/// also one that finds nothing to do.
///
/// It needs these rights: Read on TOPIC and on that group, Write on the transactional id of the group's name and on the topics
/// that the letters go to.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0: what was asked for is replayed (or there is nothing to replay). 1: something could not be replayed, or Ctrl-C
ended it before. 2: the command line is wrong.")]
pub(super) struct Options {
    /// The dead-letter topic.
    #[arg(value_name = "TOPIC")]
    topic: TopicName,
    /// Replay so many letters at most. Default: all.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Say what would be replayed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before it begins.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    kafka: KafkaOptions,
}

/// Replays.
pub(super) fn replay(options: &Options) -> Result<(), Failure> {
    let topic = options.topic.as_str();
    let kafka = Kafka::connect(&options.kafka)?;
    let partitions = kafka.partitions(topic)?;
    let spans = kafka.spans(topic, &partitions)?;
    let committed = Ledger::new(&kafka, topic, Settled::Now)?.committed(&partitions)?;
    let rest = pending(topic, &spans, &committed).map_err(ReplayError::from)?;
    let plan = Plan::make(&kafka, topic, rest, options.limit)?;
    let targets = plan.check(&kafka, topic)?;
    if options.dry_run || (plan.chosen() > 0 && !options.yes) {
        // Without a question the outcome says it all.
        for line in plan_lines(topic, &plan, committed.is_empty()) {
            command::say(line);
        }
    }
    if options.dry_run {
        return Ok(());
    }
    if plan.chosen() > 0 && !options.yes {
        confirm(plan.chosen())?;
    }
    let stop = CancellationToken::new();
    shutdown::cancel_on_signal(stop.clone()).map_err(ReplayError::Signals)?;
    let mut work = Work {
        kafka: &kafka,
        topic,
        spans,
        limit: options.limit,
        stop: &stop,
        plan,
        targets,
        counts: Counts::default(),
        left: 0,
    };
    let ended = work.run();
    for line in outcome_lines(&work.counts, work.left) {
        command::say(line);
    }
    _ = stdout().flush();
    Ok(ended?)
}

fn confirm(letters: u64) -> Result<(), ReplayError> {
    if !stdin().is_terminal() {
        return Err(ReplayError::NobodyToAsk);
    }
    eprint!("Replay {}? [y/N] ", screen::letters(letters));
    _ = stderr().flush();
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(ReplayError::Declined),
    }
}
