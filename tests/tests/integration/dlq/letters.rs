//! Dead letters, written as consumers write them, and the command that handles them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ordermill_runtime::kafka::dead_letter::{DeadLetter, DeadLetterReason};
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Exit, Launch, Program};
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{TestResult, unique};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

pub use crate::support::stage::SOON;

/// The header that a replay adds.
pub const REPLAYED: &str = "ordermill-replayed";
/// A header that tells messages of a test apart.
const NUMBER: &str = "number";
/// When the first letter of a test was given up, in milliseconds; each next one is a second later.
const BEGIN: i64 = 1_795_341_600_000;

/// A message that became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub number: usize,
    /// Where it comes from.
    pub topic: String,
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Message {
    /// A message in words.
    pub fn new(topic: &str, partition: i32, number: usize) -> Self {
        Self {
            number,
            topic: topic.to_owned(),
            partition,
            key: Some(format!("key {}", number % 7).into_bytes()),
            payload: Some(format!("{{\"order\": {number}}}").into_bytes()),
            headers: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        let pair = (name.to_owned(), value.map(<[u8]>::to_vec));
        self.headers.push(pair);
        self
    }

    /// Its own time, in milliseconds.
    pub fn timestamp(&self) -> i64 {
        BEGIN - 86_400_000 + i64::try_from(self.number).unwrap()
    }

    /// When it was given up.
    pub fn time(&self) -> Timestamp {
        let seconds = i64::try_from(self.number).unwrap();
        Timestamp::from_millisecond(BEGIN + 1000 * seconds).unwrap()
    }

    fn letter(&self) -> DeadLetter {
        let reason = match self.number % 3 {
            0 => DeadLetterReason::RetriesExhausted,
            1 => DeadLetterReason::Refused,
            _ => DeadLetterReason::InvalidMessage,
        };
        DeadLetter {
            reason: reason.as_str().to_owned(),
            message: format!("error {}", self.number),
            attempts: 6,
            topic: self.topic.clone(),
            partition: self.partition,
            offset: i64::try_from(self.number).unwrap(),
            group: "order-check-group".to_owned(),
            time: self.time(),
            trace: None,
            injected: None,
        }
    }

    fn own_headers(&self) -> OwnedHeaders {
        let number = self.number.to_string();
        let first = OwnedHeaders::new().insert(Header {
            key: NUMBER,
            value: Some(&number),
        });
        self.headers.iter().fold(first, |headers, (key, value)| {
            let value = value.as_ref();
            headers.insert(Header { key, value })
        })
    }

    /// As a replay leaves it in its topic: partition, time, key, payload and headers. A header that is null reads as empty.
    pub fn replayed(&self, times: u64) -> Replayed {
        let own = self.headers.iter();
        let own = own.filter(|(name, _)| name != REPLAYED);
        let own = own.map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()));
        let mut headers = vec![(NUMBER.to_owned(), self.number.to_string().into_bytes())];
        headers.extend(own);
        headers.push((REPLAYED.to_owned(), times.to_string().into_bytes()));
        Replayed {
            partition: self.partition,
            timestamp: Some(self.timestamp()),
            key: self.key.clone(),
            payload: self.payload.clone(),
            headers,
        }
    }
}

/// A record without its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    pub partition: i32,
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Without a transaction.
    Plainly,
    /// In one that is committed, whose marker takes an offset.
    Committed,
    /// In one that is given up.
    Aborted,
}

/// A dead-letter topic and the topics that its letters come from.
pub struct Scene<'a> {
    pub broker: &'a Broker,
    pub topic: String,
    pub orders: String,
    pub stocks: String,
}

impl<'a> Scene<'a> {
    /// The dead letters in `partitions` partitions, the others in three and one.
    pub async fn new(broker: &'a Broker, partitions: u16) -> TestResult<Self> {
        let orders = unique("orders");
        let scene = Self {
            broker,
            topic: format!("{orders}.dead-letter"),
            stocks: unique("stocks"),
            orders,
        };
        broker.create_topic(&scene.topic, partitions).await?;
        broker.create_topic(&scene.orders, 3).await?;
        broker.create_topic(&scene.stocks, 1).await?;
        Ok(scene)
    }

    /// Messages of `orders`, numbered.
    pub fn orders(&self, numbers: std::ops::Range<usize>) -> Vec<Message> {
        numbers
            .map(|number| Message::new(&self.orders, i32::try_from(number % 3).unwrap(), number))
            .collect()
    }

    /// Puts dead letters of the messages into a partition.
    pub async fn write(&self, partition: i32, messages: &[Message], how: Written) -> TestResult {
        self.put(partition, letters_of(messages), how).await
    }

    /// Puts messages into a partition as they are: no dead letters.
    pub async fn write_others(&self, partition: i32, messages: &[Message]) -> TestResult {
        let records = messages
            .iter()
            .map(|message| (message.clone(), message.own_headers()));
        self.put(partition, records.collect(), Written::Plainly)
            .await
    }

    async fn put(
        &self,
        partition: i32,
        records: Vec<(Message, OwnedHeaders)>,
        how: Written,
    ) -> TestResult {
        let (topic, config) = (self.topic.clone(), self.broker.client());
        let put = move || put(config, &topic, partition, &records, how);
        Ok(tokio::task::spawn_blocking(put).await??)
    }

    /// `ordermill dlq` with this Kafka.
    pub async fn command(&self, arguments: &[&str]) -> TestResult<Launch> {
        command(self.broker.bootstrap(), arguments).await
    }

    /// Runs `ordermill dlq` to its end.
    pub async fn run(&self, arguments: &[&str]) -> TestResult<Exit> {
        run(self.command(arguments).await?).await
    }

    /// Replays without a question, and gives the last line: the counts.
    pub async fn replay(&self, further: &[&str]) -> TestResult<String> {
        let arguments = [&["replay", &self.topic, "--yes"], further].concat();
        let exit = self.run(&arguments).await?.assert_code(0);
        Ok(exit.stdout.lines().last().unwrap_or_default().to_owned())
    }

    /// The document of `ordermill dlq`.
    pub async fn json(&self, arguments: &[&str]) -> TestResult<Value> {
        let arguments = [arguments, &["--output", "json"]].concat();
        let exit = self.run(&arguments).await?.assert_code(0);
        Ok(serde_json::from_str(&exit.stdout)?)
    }

    /// What `list` says of the topic.
    pub async fn sum(&self) -> TestResult<Value> {
        let mut document = self.json(&["list", &self.topic]).await?;
        Ok(document["topics"][0].take())
    }

    /// What lies in a topic for readers of committed records, by the numbers of the messages.
    pub async fn replayed(&self, topic: &str) -> TestResult<BTreeMap<usize, Vec<Replayed>>> {
        let mut found: BTreeMap<usize, Vec<Replayed>> = BTreeMap::new();
        for record in self.read(topic).await? {
            let number = record.header(NUMBER).ok_or("a message without a number")?;
            let number = number.parse()?;
            found.entry(number).or_default().push(Replayed {
                partition: record.partition,
                timestamp: record.timestamp,
                key: record.key,
                payload: record.value,
                headers: record.headers,
            });
        }
        Ok(found)
    }

    /// The committed records of a topic.
    pub async fn read(&self, topic: &str) -> TestResult<Vec<Record>> {
        let (committed, end) = (Isolation::ReadCommitted, Until::end());
        Ok(read_all(self.broker.bootstrap(), topic, committed, end).await?)
    }
}

/// What is expected in a topic where each message was replayed once.
pub fn once(messages: &[Message]) -> BTreeMap<usize, Vec<Replayed>> {
    let one = |message: &Message| (message.number, vec![message.replayed(1)]);
    messages.iter().map(one).collect()
}

/// `ordermill dlq` with the Kafka at this address.
pub async fn command(bootstrap: &str, arguments: &[&str]) -> TestResult<Launch> {
    let program = Program::ordermill().await?;
    let program = program.env("KAFKA_BOOTSTRAP_SERVERS", bootstrap);
    Ok(program.arg("dlq").args(arguments))
}

/// Runs a command to its end.
pub async fn run(command: Launch) -> TestResult<Exit> {
    Ok(command.start()?.wait(SOON).await?)
}

/// The dead letters of messages: what is sent and its headers.
pub fn letters_of(messages: &[Message]) -> Vec<(Message, OwnedHeaders)> {
    let letter = |message: &Message| {
        let headers = message.letter().headers(Some(&message.own_headers()));
        (message.clone(), headers)
    };
    messages.iter().map(letter).collect()
}

/// Writes records to a topic, blocking.
pub fn put(
    mut config: ClientConfig,
    topic: &str,
    partition: i32,
    records: &[(Message, OwnedHeaders)],
    how: Written,
) -> KafkaResult<()> {
    const DEADLINE: Duration = SOON;
    if how != Written::Plainly {
        config.set("transactional.id", unique("letters"));
    }
    let producer: BaseProducer = config.create()?;
    if how != Written::Plainly {
        producer.init_transactions(DEADLINE)?;
        producer.begin_transaction()?;
    }
    for (message, headers) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(partition)
            .timestamp(message.timestamp())
            .headers(headers.clone());
        record.key = message.key.as_deref();
        record.payload = message.payload.as_deref();
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(DEADLINE)?;
    match how {
        Written::Plainly => Ok(()),
        Written::Committed => producer.commit_transaction(DEADLINE),
        Written::Aborted => producer.abort_transaction(DEADLINE),
    }
}
