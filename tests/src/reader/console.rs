//! The independent reader: Kafka's own Java console consumer.

use std::time::Duration;

use super::Isolation;
use crate::kafka::{Distribution, Error};

const TOOL: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

/// The tool gives up when nothing comes for so long.
const PATIENCE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_mins(2);

/// Control characters of ASCII that mean just this, and that no payload of a test holds.
const BETWEEN_FIELDS: char = '\u{1f}';
const BETWEEN_HEADERS: char = '\u{1e}';
const BETWEEN_RECORDS: char = '\u{1d}';
const NULL: &str = "\u{1a}";

/// A record as the console consumer prints it; bytes that are no UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleRecord {
    /// Its partition.
    pub partition: i32,
    /// Names and values in their order.
    pub headers: Vec<(String, String)>,
    /// Its key.
    pub key: Option<String>,
    /// Its payload.
    pub value: Option<String>,
}

/// Reads the first `count` records of `topic` with Kafka's own Java client.
///
/// # Errors
/// [`Error::Tooling`], also when there are fewer records.
pub async fn console_consumer(
    bootstrap: &str,
    topic: &str,
    isolation: Isolation,
    count: usize,
) -> Result<Vec<ConsoleRecord>, Error> {
    let mut arguments: Vec<String> = [
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--from-beginning",
        "--isolation-level",
        isolation.name(),
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(["--max-messages".to_owned(), count.to_string()]);
    arguments.extend(["--timeout-ms".to_owned(), PATIENCE.as_millis().to_string()]);
    let properties = [
        "print.partition=true".to_owned(),
        "print.headers=true".to_owned(),
        "print.key=true".to_owned(),
        format!("key.separator={BETWEEN_FIELDS}"),
        format!("headers.separator={BETWEEN_HEADERS}"),
        format!("line.separator={BETWEEN_RECORDS}"),
        format!("null.literal={NULL}"),
    ];
    for property in properties {
        arguments.extend(["--formatter-property".to_owned(), property]);
    }
    let exit = Distribution::get()
        .await?
        .run(TOOL, arguments, DEADLINE)
        .await?;
    let records: Option<Vec<ConsoleRecord>> = exit
        .stdout
        .split_terminator(BETWEEN_RECORDS)
        .map(parse)
        .collect();
    match records {
        Some(records) if records.len() == count => Ok(records),
        read => {
            let read = read.map_or_else(
                || "lines that are no records".to_owned(),
                |records| format!("{} of {count} records", records.len()),
            );
            let output = format!("{read}\n{}\n{}", exit.stdout, exit.stderr);
            Err(Error::Tooling {
                tool: exit.name,
                status: exit.status,
                output,
            })
        }
    }
}

/// Reads `Partition:0`, headers, key and value.
fn parse(line: &str) -> Option<ConsoleRecord> {
    let nullable = |text: &str| (text != NULL).then(|| text.to_owned());
    let mut fields = line.splitn(4, BETWEEN_FIELDS);
    let partition = fields.next()?.strip_prefix("Partition:")?.parse().ok()?;
    let headers = match fields.next()? {
        "NO_HEADERS" => Vec::new(),
        text => text
            .split(BETWEEN_HEADERS)
            .map(header)
            .collect::<Option<_>>()?,
    };
    Some(ConsoleRecord {
        partition,
        headers,
        key: nullable(fields.next()?),
        value: nullable(fields.next()?),
    })
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_tool_prints() {
        let line = "Partition:2\u{1f}a:1\u{1e}time:10:30\u{1f}key\u{1f}{\"x\": 1}";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parse(line),
            Some(ConsoleRecord {
                partition: 2,
                headers: vec![pair("a", "1"), pair("time", "10:30")],
                key: Some("key".to_owned()),
                value: Some("{\"x\": 1}".to_owned()),
            })
        );
        let bare = parse("Partition:0\u{1f}NO_HEADERS\u{1f}\u{1a}\u{1f}").unwrap();
        assert_eq!(
            (bare.headers.len(), bare.key, bare.value),
            (0, None, Some(String::new()))
        );
        assert_eq!(parse("Processed a total of 1 messages"), None);
    }
}
