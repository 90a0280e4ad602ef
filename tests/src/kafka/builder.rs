//! What a broker offers, and its files before its first start.

use std::fs;
use std::path::{Path, PathBuf};

use super::broker::START_DEADLINE;
use super::distribution::finish;
use super::properties::{KEY_STORE, Listener, Properties, TRUST_STORE, User};
use super::{Broker, Distribution, Error, Mechanism};
use crate::Scratch;
use crate::certificates::{self, Authority};
use crate::ports::{self, Port};

/// How often a start that finds a port taken is tried anew.
const ATTEMPTS: usize = 5;

/// Writes the first records of a cluster's log by the properties that follow. The cluster's id is sixteen bytes in URL-safe
/// base 64, as Kafka wants it.
pub(super) const FORMAT: [&str; 5] = [
    "kafka.tools.StorageTool",
    "format",
    "--cluster-id",
    "ordermill-test-cluster",
    "--config",
];

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
        let addresses = listeners
            .iter()
            .map(|(listener, port)| (listener.name(), format!("127.0.0.1:{port}")))
            .collect();
        Broker::launch(distribution, folder, ports, addresses).await
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
        if self.users.is_empty() {
            return Ok(distribution.quick_start().format(folder.path())?);
        }
        let mut launch = distribution
            .java("kafka-storage")
            .args(FORMAT)
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

pub(super) fn configuration(folder: &Scratch) -> PathBuf {
    folder.path().join("server.properties")
}

pub(super) fn write_key_store(folder: &Path, authority: &Authority) -> Result<(), Error> {
    Ok(certificates::replace(
        &folder.join(KEY_STORE),
        &authority.server()?.key_store(),
    )?)
}

pub(super) fn write_trust_store(folder: &Path, authorities: &[&Authority]) -> Result<(), Error> {
    let trusted: String = authorities
        .iter()
        .map(|authority| authority.certificate())
        .collect();
    Ok(certificates::replace(&folder.join(TRUST_STORE), &trusted)?)
}

/// Whether the broker ended because another program has one of its ports.
fn port_is_taken(error: &Error) -> bool {
    matches!(error, Error::Died { complaints, .. } if complaints.contains("Address already in use"))
}
