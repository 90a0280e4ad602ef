//! One broker: it starts, is killed, returns, and goes with its test.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::builder::{BrokerBuilder, configuration, write_key_store, write_trust_store};
use super::clients::plain;
use super::properties::Listener;
use super::topics::{fetch_metadata, led_partitions};
use super::{Distribution, Error};
use crate::Scratch;
use crate::certificates::Authority;
use crate::ports::Port;
use crate::process::{self, Process};
use crate::shared::Shared;

/// It answers after three seconds on an idle machine; this is for one that compiles meanwhile.
pub(super) const START_DEADLINE: Duration = Duration::from_mins(2);
const STOP_DEADLINE: Duration = Duration::from_mins(1);

/// A broker that runs, or that was killed and can return. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    distribution: &'static Distribution,
    // Dropped before its folder.
    process: Process,
    // Each start has its own log.
    starts: usize,
    addresses: BTreeMap<&'static str, String>,
    folder: Scratch,
    _ports: Vec<Port>,
}

impl Broker {
    /// A broker with listeners, users and rules of choice.
    pub fn builder<'a>() -> BrokerBuilder<'a> {
        BrokerBuilder::default()
    }

    /// Starts the broker whose formatted `folder` holds a configuration with these `addresses`.
    pub(super) async fn launch(
        distribution: &'static Distribution,
        folder: Scratch,
        ports: Vec<Port>,
        addresses: BTreeMap<&'static str, String>,
    ) -> Result<Self, Error> {
        let process = launch(distribution, &folder, 1)?;
        let mut broker = Self {
            distribution,
            process,
            starts: 1,
            addresses,
            folder,
            _ports: ports,
        };
        broker.answer().await?;
        Ok(broker)
    }

    /// A broker with nothing but its plain listener.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// The broker that tests of this process share: it cannot be killed. Use topics of names from [`unique`](crate::unique)
    /// on it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn shared() -> Result<Arc<Self>, Error> {
        static SHARED: Shared<Broker> = Shared::new();
        SHARED.get(Self::start).await
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

    /// The process of the latest start, for its log and its id.
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
    /// [`Error`]; [`Error::Died`] when another program has taken its port meanwhile.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        self.starts += 1;
        self.process = launch(self.distribution, &self.folder, self.starts)?;
        self.answer().await
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
        let what = "an answer to a metadata request";
        let answered = self.process.wait_for(START_DEADLINE, what, probe).await;
        answered.map_err(|source| match source {
            process::Error::Ended { .. } => {
                let log = self.process.stderr().unwrap_or_default();
                Error::Died {
                    complaints: complaints(&log),
                    source: Box::new(source),
                }
            }
            other => other.into(),
        })
    }
}

/// Starts the broker in its folder, for the `start`th time.
fn launch(distribution: &Distribution, folder: &Scratch, start: usize) -> Result<Process, Error> {
    let log = folder.path().join(format!("log-{start}"));
    fs::create_dir(&log).map_err(Error::Files)?;
    let launch = distribution
        .java("kafka")
        .arg("kafka.Kafka")
        .arg(configuration(folder))
        .in_folder(folder.path())
        .output_in(log);
    Ok(launch.start()?)
}

/// The errors in a broker's log and their causes, each once. They are far from its end: a broker that cannot start shuts
/// down in good order and tells of it at length.
fn complaints(log: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in log
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.starts_with("Caused by: "))
    {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_the_errors_and_their_causes() {
        let log = "10:00 [main] INFO kafka - starting\n\
                   10:01 [main] ERROR kafka - Unable to start acceptor\n\
                   \tat java.base/java.lang.Thread.run(Thread.java:1)\n\
                   Caused by: java.net.BindException: Address already in use\n\
                   10:02 [main] INFO kafka - shut down\n\
                   Caused by: java.net.BindException: Address already in use\n";
        let expected = "10:01 [main] ERROR kafka - Unable to start acceptor\n\
                        Caused by: java.net.BindException: Address already in use";
        assert_eq!(complaints(log), expected);
    }
}
