//! `ordermill dlq show`: dead letters in full.

mod screen;
mod view;

use std::io::{Write as _, stdout};

use clap::Args;
use ordermill_crds::values::TopicName;
use rdkafka::message::Message as _;

use self::screen::{document, letter_lines, other_line};
use self::view::{LetterView, OtherView, letter_view};
use super::kafka::{
    BrokerError, Committed, Kafka, KafkaOptions, Ledger, Next, Reading, Settled, Span,
};
use super::letter::{dead_letter, place};
use super::{EXIT_CODES, Failure, Format};
use crate::command;

/// Shows dead letters: where they come from, why they are here, and what they hold.
///
/// They come partition by partition, each from its oldest. Text is shown as text, other bytes in base64. JSON holds all of it;
/// text is cut where it is long.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Options {
    /// The dead-letter topic.
    #[arg(value_name = "TOPIC")]
    topic: TopicName,
    /// Show so many letters at most. Default: all.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Show those of one partition alone.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Show the one at this offset of the partition.
    #[arg(long, value_name = "NUMBER", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    offset: Option<i64>,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    kafka: KafkaOptions,
}

/// What is shown.
#[derive(Debug, Default)]
struct Found {
    letters: Vec<LetterView>,
    others: Vec<OtherView>,
}

/// Shows.
pub(super) fn show(options: &Options) -> Result<bool, Failure> {
    let topic = options.topic.as_str();
    let kafka = Kafka::connect(&options.kafka)?;
    let partitions = kafka.partitions(topic)?;
    let spans = chosen(options, kafka.spans(topic, &partitions)?)?;
    let committed = committed(&kafka, topic, &partitions)?;
    let mut found = Found::default();
    let (mut letters, mut records) = (0, 0);
    let color = command::is_painted();
    each(&kafka, topic, &spans, committed.as_ref(), |shown| {
        records += 1;
        letters += u64::from(shown.is_ok());
        match (options.output, shown) {
            (Format::Json, Ok(letter)) => found.letters.push(letter),
            (Format::Json, Err(other)) => found.others.push(other),
            (Format::Text, shown) => print(topic, &shown, color)?,
        }
        Ok(options.limit != Some(letters))
    })?;
    if let (Some(partition), Some(offset), 0) = (options.partition, options.offset, records) {
        // The place of a transaction's marker, or of a record that was never committed.
        return Err(no_record(topic, partition, offset));
    }
    if options.output == Format::Json {
        let document = document(topic, &found.letters, &found.others)?;
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&document)?)?;
    } else if letters == 0 {
        writeln!(stdout(), "{topic} holds no dead letter.")?;
    }
    Ok(true)
}

/// The spans that are asked for.
fn chosen(options: &Options, spans: Vec<Span>) -> Result<Vec<Span>, Failure> {
    let Some(partition) = options.partition else {
        return Ok(spans);
    };
    let mut spans = spans.into_iter();
    let span = spans
        .find(|span| span.partition == partition)
        .ok_or_else(|| Failure::NoPartition {
            topic: options.topic.to_string(),
            partition,
        })?;
    let Some(offset) = options.offset else {
        return Ok(vec![span]);
    };
    if !(span.start..span.end).contains(&offset) {
        return Err(no_record(options.topic.as_str(), partition, offset));
    }
    Ok(vec![Span {
        start: offset,
        end: offset + 1,
        ..span
    }])
}

fn no_record(topic: &str, partition: i32, offset: i64) -> Failure {
    Failure::NoRecord {
        topic: topic.to_owned(),
        place: place(partition, offset),
    }
}

/// The progress of the replays; `None` where it may not be seen.
fn committed(
    kafka: &Kafka,
    topic: &str,
    partitions: &[i32],
) -> Result<Option<Committed>, BrokerError> {
    match Ledger::new(kafka, topic, Settled::Now)?.committed(partitions) {
        Ok(committed) => Ok(Some(committed)),
        Err(error) if error.is_of_one_topic() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `take` for each record, as long as it wants more.
fn each(
    kafka: &Kafka,
    topic: &str,
    spans: &[Span],
    committed: Option<&Committed>,
    mut take: impl FnMut(Result<LetterView, OtherView>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for span in spans {
        let mut reading = Reading::begin(kafka, topic, &[*span])?;
        loop {
            match reading.next()? {
                Next::Record(message) => {
                    let next = committed.map(|it| it.get(&message.partition()).copied());
                    let replayed = next.map(|next| next.is_some_and(|it| message.offset() < it));
                    let shown = match dead_letter(message.headers()) {
                        Ok(letter) => Ok(letter_view(&message, letter, replayed)),
                        Err(why) => Err(OtherView::new(&message, &why)),
                    };
                    if !take(shown)? {
                        return Ok(());
                    }
                }
                Next::Nothing => {}
                Next::End => break,
            }
        }
    }
    Ok(())
}

fn print(topic: &str, shown: &Result<LetterView, OtherView>, color: bool) -> Result<(), Failure> {
    let lines = match shown {
        Ok(letter) => letter_lines(topic, letter, color),
        Err(other) => vec![other_line(topic, other)],
    };
    let mut out = stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    Ok(())
}
