//! One broker: it starts, is killed, returns, and goes with its test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use tokio::sync::Mutex;

use super::clients::plain;
use super::distribution::finish;
use super::properties::{KEY_STORE, Listener, Properties, TRUST_STORE, User};
use super::{Distribution, Error, Mechanism};
use crate::Scratch;
use crate::certificates::{self, Authority};
use crate::ports::{self, Port};
use crate::process::{self, Process};

/// It answers after three seconds on an idle machine; this is for one that compiles meanwhile.
const START_DEADLINE: Duration = Duration::from_mins(2);
const STOP_DEADLINE: Duration = Duration::from_mins(1);
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);

/// How often a start that finds a port taken is tried anew.
const ATTEMPTS: usize = 5;

/// Sixteen bytes in URL-safe base 64, as Kafka wants it.
const CLUSTER_ID: &str = "ordermill-test-cluster";

/// A broker that runs, or that was killed and can return. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    distribution: &'static Distribution,
    // Dropped before its folder.
    process: Process,
    addresses: BTreeMap<&'static str, String>,
    folder: Scratch,
    _ports: Vec<Port>,
}

/// What a broker offers besides its plain listener.
#[derive(Debug, Default)]
#[must_use]
pub struct BrokerBuilder<'a> {
    users: Vec<User>,
    authority: Option<&'a Authority>,
    client_authorities: Vec<&'a Authority>,
    authorizer: bool,
    extra: Vec<(String, String)>,
}

impl<'a> BrokerBuilder<'a> {
    /// Adds a user who may log in by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; the first one adds the listeners with passwords.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
        });
        self
    }

    /// Adds the encrypted listeners: one that requires client certificates, and one with passwords if there are users.
    /// `authority` signs the broker's certificate and is trusted to sign those of clients.
    pub fn tls(mut self, authority: &'a Authority) -> Self {
        self.authority = Some(authority);
        self.client_authorities.push(authority);
        self
    }

    /// Trusts client certificates of one more authority; without [`tls`](Self::tls) nobody asks for them.
    pub fn trust_clients_of(mut self, authority: &'a Authority) -> Self {
        self.client_authorities.push(authority);
        self
    }

    /// Refuses everything that was not granted by [`Broker::allow`], except on the plain listener.
    pub fn authorizer(mut self) -> Self {
        self.authorizer = true;
        self
    }

    /// Sets a property of the broker (`message.max.bytes`), and wins over the harness's own choice.
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.extra.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the broker and waits until it answers.
    ///
    /// # Errors
    /// [`Error`], with what the broker wrote when it does not come up.
    pub async fn start(self) -> Result<Broker, Error> {
        let distribution = Distribution::get().await?;
        let mut attempt = 1;
        loop {
            match self.try_start(distribution).await {
                Err(error) if port_is_taken(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_start(&self, distribution: &'static Distribution) -> Result<Broker, Error> {
        let folder = Scratch::new("kafka").map_err(Error::Files)?;
        let ports: Vec<Port> = ports::pick::<5>().map_err(Error::Ports)?.into();
        let numbers = ports.iter().map(Port::number);
        let listeners: Vec<_> = self.listeners().into_iter().zip(numbers).collect();
        let properties = Properties {
            listeners: &listeners,
            users: &self.users,
            authorizer: self.authorizer,
            folder: folder.path(),
            extra: &self.extra,
        };
        fs::write(configuration(&folder), properties.render()).map_err(Error::Files)?;
        if let Some(authority) = self.authority {
            write_key_store(folder.path(), authority)?;
            write_trust_store(folder.path(), &self.client_authorities)?;
        }
        self.format(distribution, &folder).await?;
        let mut broker = Broker {
            distribution,
            process: launch(distribution, &folder)?,
            addresses: listeners
                .iter()
                .map(|(listener, port)| (listener.name(), format!("127.0.0.1:{port}")))
                .collect(),
            folder,
            _ports: ports,
        };
        broker.answer().await?;
        Ok(broker)
    }

    fn listeners(&self) -> Vec<Listener> {
        let (users, tls) = (!self.users.is_empty(), self.authority.is_some());
        let optional = [
            (Listener::Sasl, users),
            (Listener::Tls, tls),
            (Listener::SaslTls, users && tls),
        ];
        [Listener::Plaintext, Listener::Controller]
            .into_iter()
            .chain(
                optional
                    .into_iter()
                    .filter_map(|(listener, asked)| asked.then_some(listener)),
            )
            .collect()
    }

    /// Writes the first records of the cluster's log, with the users in them.
    async fn format(&self, distribution: &Distribution, folder: &Scratch) -> Result<(), Error> {
        let mut launch = distribution
            .java("kafka-storage")
            .args([
                "-XX:TieredStopAtLevel=1",
                "kafka.tools.StorageTool",
                "format",
            ])
            .args(["-t", CLUSTER_ID, "-c"])
            .arg(configuration(folder));
        for User { name, password } in &self.users {
            for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
                let scram = format!("{}=[name={name},password={password}]", mechanism.name());
                launch = launch.arg("--add-scram").arg(scram);
            }
        }
        finish(launch, START_DEADLINE).await.map(drop)
    }
}

impl Broker {
    /// A broker with listeners, users and rules of choice.
    pub fn builder<'a>() -> BrokerBuilder<'a> {
        BrokerBuilder::default()
    }

    /// A broker with nothing but its plain listener.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// The broker that tests running at the same time share: it cannot be killed, and goes with the last of them. Use topics
    /// of names from [`unique`](crate::unique) on it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn shared() -> Result<Arc<Self>, Error> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(broker) = shared.upgrade() {
            return Ok(broker);
        }
        let broker = Arc::new(Self::start().await?);
        *shared = Arc::downgrade(&broker);
        Ok(broker)
    }

    /// `host:port` of the plain listener. The principal there is `User:ANONYMOUS`, who may do anything.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.address(Listener::Plaintext)
    }

    /// `host:port` of the listener with passwords and without encryption (`SASL_PLAINTEXT`).
    ///
    /// # Panics
    /// When the broker has no users.
    #[must_use]
    pub fn bootstrap_sasl(&self) -> &str {
        self.address(Listener::Sasl)
    }

    /// `host:port` of the listener that requires client certificates (`SSL`).
    ///
    /// # Panics
    /// When the broker has no TLS.
    #[must_use]
    pub fn bootstrap_tls(&self) -> &str {
        self.address(Listener::Tls)
    }

    /// `host:port` of the listener with encryption and passwords (`SASL_SSL`).
    ///
    /// # Panics
    /// When the broker has no TLS or no users.
    #[must_use]
    pub fn bootstrap_sasl_ssl(&self) -> &str {
        self.address(Listener::SaslTls)
    }

    #[expect(
        clippy::panic,
        reason = "a test that asks for a listener it did not order is wrong itself"
    )]
    fn address(&self, listener: Listener) -> &str {
        match self.addresses.get(listener.name()) {
            Some(address) => address,
            None => panic!(
                "this broker was started without the listener {}",
                listener.name()
            ),
        }
    }

    pub(super) fn distribution(&self) -> &'static Distribution {
        self.distribution
    }

    /// The process, for its log and its id.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it (SIGKILL) and waits until it is gone. Data and ports stay its own.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn kill(&mut self) -> Result<(), Error> {
        Ok(self.process.kill()?)
    }

    /// Asks it to end in good order and waits until it has. Data and ports stay its own.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.process.stop(STOP_DEADLINE).await?;
        Ok(())
    }

    /// Starts it again on the same ports and data, and waits until it answers and every partition has its leader. If it
    /// still runs it is stopped in good order first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        let mut attempt = 1;
        loop {
            self.process = launch(self.distribution, &self.folder)?;
            match self.answer().await {
                // Whoever has the port may give it back.
                Err(error) if port_is_taken(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Signs the broker's certificate anew by `authority`, from the next [`restart`](Self::restart) on.
    ///
    /// # Errors
    /// [`Error::Certificates`].
    pub fn serve_certificate_of(&self, authority: &Authority) -> Result<(), Error> {
        write_key_store(self.folder.path(), authority)
    }

    /// Trusts client certificates of these authorities and of no others, from the next [`restart`](Self::restart) on.
    ///
    /// # Errors
    /// [`Error::Certificates`].
    pub fn trust_only_clients_of(&self, authorities: &[&Authority]) -> Result<(), Error> {
        write_trust_store(self.folder.path(), authorities)
    }

    /// Creates a topic and waits until each partition has its leader.
    ///
    /// # Errors
    /// [`Error::Topic`], [`Error::Client`].
    pub async fn create_topic(&self, name: &str, partitions: u16) -> Result<(), Error> {
        self.create_topic_with(name, partitions, &[]).await
    }

    /// Like [`create_topic`](Self::create_topic), with configuration (`("max.message.bytes", "1000")`).
    ///
    /// # Errors
    /// [`Error::Topic`], [`Error::Client`].
    pub async fn create_topic_with(
        &self,
        name: &str,
        partitions: u16,
        config: &[(&str, &str)],
    ) -> Result<(), Error> {
        let failed = |source| Error::Client {
            what: format!("creating the topic {name}"),
            source,
        };
        let admin: AdminClient<DefaultClientContext> = self.client().create().map_err(failed)?;
        let topic = NewTopic::new(name, partitions.into(), TopicReplication::Fixed(1));
        let topic = config
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let results = admin
            .create_topics([&topic], &AdminOptions::new())
            .await
            .map_err(failed)?;
        for result in results {
            result.map_err(|(topic, code)| Error::Topic { topic, code })?;
        }
        let metadata = Arc::new(self.client().create().map_err(failed)?);
        let there = async || {
            let seen = fetch_metadata(&metadata)
                .await
                .map_err(|error| error.to_string())?;
            let leaders = led_partitions(&seen, name).unwrap_or_default();
            if leaders == usize::from(partitions) {
                Ok(())
            } else {
                Err(format!("{leaders} have one"))
            }
        };
        crate::wait::until(START_DEADLINE, there)
            .await
            .map_err(|_| {
                failed(KafkaError::MetadataFetch(
                    rdkafka::types::RDKafkaErrorCode::OperationTimedOut,
                ))
            })
    }

    /// How many partitions a topic has; `None` when there is no such topic.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn partitions_of(&self, topic: &str) -> Result<Option<usize>, Error> {
        let failed = |source| Error::Client {
            what: "reading the topics".to_owned(),
            source,
        };
        let consumer = Arc::new(self.client().create().map_err(failed)?);
        let metadata = fetch_metadata(&consumer).await.map_err(failed)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map(|topic| topic.partitions().len()))
    }

    /// Waits until a real request is answered and every partition has its leader.
    async fn answer(&mut self) -> Result<(), Error> {
        let failed = |source| Error::Client {
            what: "asking the broker".to_owned(),
            source,
        };
        let consumer = Arc::new(plain(self.bootstrap()).create().map_err(failed)?);
        let probe = async || {
            let metadata = fetch_metadata(&consumer)
                .await
                .map_err(|error| error.to_string())?;
            let led = metadata.topics().iter().all(|topic| {
                led_partitions(&metadata, topic.name()) == Some(topic.partitions().len())
            });
            if !metadata.brokers().is_empty() && led {
                Ok(())
            } else {
                Err("it has not joined its cluster yet".to_owned())
            }
        };
        Ok(self
            .process
            .wait_for(START_DEADLINE, "an answer to a metadata request", probe)
            .await?)
    }
}

/// Starts the broker in its folder.
fn launch(distribution: &Distribution, folder: &Scratch) -> Result<Process, Error> {
    let launch = distribution
        .java("kafka")
        .arg("kafka.Kafka")
        .arg(configuration(folder))
        .in_folder(folder.path())
        .output_in(folder.path());
    Ok(launch.start()?)
}

fn configuration(folder: &Scratch) -> std::path::PathBuf {
    folder.path().join("server.properties")
}

fn write_key_store(folder: &Path, authority: &Authority) -> Result<(), Error> {
    Ok(certificates::replace(
        &folder.join(KEY_STORE),
        &authority.server()?.key_store(),
    )?)
}

fn write_trust_store(folder: &Path, authorities: &[&Authority]) -> Result<(), Error> {
    let trusted: String = authorities
        .iter()
        .map(|authority| authority.certificate())
        .collect();
    Ok(certificates::replace(&folder.join(TRUST_STORE), &trusted)?)
}

/// Whether the broker ended because another program has one of its ports.
fn port_is_taken(error: &Error) -> bool {
    matches!(error, Error::Process(process::Error::Ended { output, .. }) if output.contains("Address already in use"))
}

/// Asks for the metadata of all topics; librdkafka's call blocks.
async fn fetch_metadata(consumer: &Arc<BaseConsumer>) -> Result<Metadata, KafkaError> {
    let consumer = Arc::clone(consumer);
    tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, REQUEST_DEADLINE))
        .await
        .map_err(|_| KafkaError::Canceled)?
}

/// How many partitions of `topic` have a leader; `None` when there is no such topic.
fn led_partitions(metadata: &Metadata, topic: &str) -> Option<usize> {
    let topic = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic)?;
    let led = |leader| {
        metadata
            .brokers()
            .iter()
            .any(|broker| broker.id() == leader)
    };
    Some(
        topic
            .partitions()
            .iter()
            .filter(|partition| led(partition.leader()))
            .count(),
    )
}
