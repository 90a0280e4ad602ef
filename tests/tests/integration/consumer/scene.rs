//! A topic with orders, an API that takes down what it is asked, and consumers between the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_config::BackendRole;
use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{TestResult, unique};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::configuration::{Configuration, Setup};
use crate::support::producer::Producer;
use crate::support::recorder::{Answering, Recorder};

/// An order by its number.
pub fn order(number: usize) -> Value {
    json!({
        "order_id": id(number), "customer_id": format!("CUST-{number}"), "wood_type": "oak",
        "quantity": 1 + number % 10, "timestamp": "2026-11-22T10:00:00Z",
    })
}

/// The id of an order by its number.
pub fn id(number: usize) -> String {
    format!("0192f0c1-2d3e-7f00-8000-{number:012}")
}

/// The number of an order by its id.
pub fn number(id: &str) -> usize {
    id[24..].parse().unwrap()
}

/// A message of its own for a test.
#[derive(Debug, Clone, Default)]
pub struct Odd<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// What a test of a consumer is set in.
pub struct Scene {
    pub broker: Arc<Broker>,
    pub topic: String,
    pub group: String,
    pub api: Recorder,
    client: FutureProducer,
}

impl Scene {
    pub async fn set(partitions: u16, answering: Answering) -> TestResult<Self> {
        Self::set_on(Broker::shared().await?, partitions, answering).await
    }

    pub async fn set_on(
        broker: Arc<Broker>,
        partitions: u16,
        answering: Answering,
    ) -> TestResult<Self> {
        let topic = unique("orders");
        broker.create_topic(&topic, partitions).await?;
        Self::set_at(broker, topic, answering).await
    }

    /// One at a topic that is there.
    pub async fn set_at(
        broker: Arc<Broker>,
        topic: String,
        answering: Answering,
    ) -> TestResult<Self> {
        let client = broker.client().create()?;
        Ok(Self {
            broker,
            topic,
            group: unique("group"),
            api: Recorder::start(answering).await?,
            client,
        })
    }

    /// Sends orders by their numbers to a partition, in their order.
    pub async fn send(
        &self,
        partition: i32,
        numbers: impl IntoIterator<Item = usize>,
    ) -> TestResult {
        let mut sending = Vec::new();
        for number in numbers {
            let payload = order(number).to_string();
            let key = format!("CUST-{number}");
            let record = FutureRecord::to(&self.topic)
                .partition(partition)
                .key(&key)
                .payload(&payload);
            // Handed over in order; what is awaited is the acknowledgement.
            let sent = self.client.send_result(record);
            sending.push(sent.map_err(|(error, _)| error)?);
        }
        for sent in sending {
            sent.await?.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// Sends a message as it is.
    pub async fn send_odd(&self, partition: i32, odd: Odd<'_>) -> TestResult {
        let mut headers = OwnedHeaders::new();
        for (key, value) in odd.headers {
            headers = headers.insert(Header {
                key,
                value: Some(*value),
            });
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic)
            .partition(partition)
            .headers(headers);
        (record.key, record.payload) = (odd.key, odd.payload);
        let sent = self.client.send(record, SOON).await;
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// The spec of an `OrderCheck` of this topic and group, with fields besides.
    pub fn spec(&self, fields: &str) -> String {
        let Self { topic, group, .. } = self;
        format!("{{handler: OrderCheck, topics: [{{name: {topic}}}], group: {group}, {fields}}}")
    }

    /// The folder of such a consumer.
    pub fn configuration(&self, fields: &str) -> TestResult<Configuration> {
        let mut setup = Setup::plain(self.broker.bootstrap())?;
        "ordercheck".clone_into(&mut setup.name);
        let backends = BTreeMap::from([(BackendRole::Order, self.api.url())]);
        Configuration::of_consumer(setup, backends, &self.spec(fields))
    }

    /// Starts such a consumer.
    pub async fn consumer(&self, fields: &str) -> TestResult<Producer> {
        Producer::start(&self.configuration(fields)?).await
    }

    /// The name of the topic's own dead-letter topic.
    pub fn dead_letter_topic(&self) -> String {
        format!("{}.dead-letter", self.topic)
    }

    /// The dead letters so far.
    pub async fn dead_letters(&self) -> TestResult<Vec<Record>> {
        let topic = self.dead_letter_topic();
        let bootstrap = self.broker.bootstrap();
        Ok(read_all(bootstrap, &topic, Isolation::ReadCommitted, Until::end()).await?)
    }

    /// What the group has committed of each partition.
    pub async fn committed(&self, partitions: u16) -> TestResult<Vec<Option<i64>>> {
        let mut config = self.broker.client();
        config.set("group.id", &self.group);
        let topic = self.topic.clone();
        let ask = move || {
            let client: BaseConsumer = config.create()?;
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&topic, 0, i32::from(partitions) - 1);
            let committed = client.committed_offsets(list, SOON)?;
            let offset = |offset| match offset {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let elements = committed.elements_for_topic(&topic);
            Ok::<_, rdkafka::error::KafkaError>(
                elements.iter().map(|it| offset(it.offset())).collect(),
            )
        };
        Ok(tokio::task::spawn_blocking(ask).await??)
    }
}
