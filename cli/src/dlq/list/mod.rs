//! `ordermill dlq list`: what lies in the dead-letter topics.

mod screen;
mod sum;

use std::io::{Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use ordermill_config::full_error;
use ordermill_crds::values::TopicName;
use rdkafka::message::Message as _;

use self::screen::{document, screen};
use self::sum::Sum;
use super::kafka::{
    BrokerError, Committed, Kafka, KafkaOptions, Ledger, Next, Reading, Settled, Span, pending,
};
use super::letter::dead_letter;
use super::ticker::Ticker;
use super::{EXIT_CODES, Failure, Format};
use crate::command;

/// Counts dead letters by topic and reason, and those that are not replayed yet.
///
/// Every record is read: what is counted is there, also where transactions or compaction have left gaps between offsets.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Options {
    /// Topics to look into. Default: all whose names end in .dead-letter.
    #[arg(value_name = "TOPIC")]
    topics: Vec<TopicName>,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    kafka: KafkaOptions,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    sums: Vec<Sum>,
    notes: Vec<String>,
}

/// Lists; gives whether every topic could be read.
pub(super) fn list(options: &Options) -> Result<bool, Failure> {
    let kafka = Kafka::connect(&options.kafka)?;
    let topics = if options.topics.is_empty() {
        kafka.dead_letter_topics()?
    } else {
        let mut topics: Vec<_> = options.topics.iter().map(ToString::to_string).collect();
        topics.sort();
        topics.dedup();
        topics
    };
    let mut listing = Listing::default();
    let mut errors = Vec::new();
    for topic in &topics {
        match read(&kafka, topic, &mut listing.notes) {
            Ok(sum) => listing.sums.push(sum),
            Err(error) if error.is_of_one_topic() => errors.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    write(options.output, &listing, errors.len())?;
    for error in &errors {
        eprintln!("error: {}", full_error(error));
    }
    Ok(errors.is_empty())
}

fn read(kafka: &Kafka, topic: &str, notes: &mut Vec<String>) -> Result<Sum, BrokerError> {
    let partitions = kafka.partitions(topic)?;
    let spans = kafka.spans(topic, &partitions)?;
    let committed = match committed(kafka, topic, &partitions, &spans)? {
        Ok(committed) => Some(committed),
        Err(why) => {
            notes.push(format!("{topic}: how much is replayed is not known: {why}"));
            None
        }
    };
    let mut sum = Sum::new(topic, committed.is_some());
    let mut ticker = Ticker::new();
    let mut reading = Reading::begin(kafka, topic, &spans)?;
    loop {
        match reading.next()? {
            Next::Record(message) => {
                let is_replayed = committed.as_ref().is_some_and(|committed| {
                    let next = committed.get(&message.partition());
                    next.is_some_and(|next| message.offset() < *next)
                });
                sum.take(dead_letter(message.headers()).ok().as_ref(), is_replayed);
                ticker.tick(|| format!("{topic}: {} records read", sum.records()));
            }
            Next::Nothing => {}
            Next::End => return Ok(sum),
        }
    }
}

/// The progress of the replays, or why it cannot be told.
fn committed(
    kafka: &Kafka,
    topic: &str,
    partitions: &[i32],
    spans: &[Span],
) -> Result<Result<Committed, String>, BrokerError> {
    let committed = match Ledger::new(kafka, topic, Settled::Now)?.committed(partitions) {
        Ok(committed) => committed,
        Err(error) if error.is_of_one_topic() => return Ok(Err(full_error(&error))),
        Err(error) => return Err(error),
    };
    let told = pending(topic, spans, &committed);
    Ok(told.map(|_| committed).map_err(|beyond| beyond.to_string()))
}

fn write(format: Format, listing: &Listing, failed: usize) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match format {
        Format::Json => {
            let document = document(listing, Timestamp::now())?;
            writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        }
        Format::Text => {
            // Where something failed, that there is nothing is not known.
            if listing.sums.is_empty() && failed > 0 {
                return Ok(());
            }
            for line in screen(listing, command::is_painted()) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}
