//! Configurations of librdkafka for each way into a broker.

use rdkafka::ClientConfig;

use super::Broker;
use crate::certificates::{Authority, Identity};

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent.
    Plain,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// All that brokers of this harness accept.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// As Kafka's `sasl.mechanism` has it, for instance `SCRAM-SHA-512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A client of `bootstrap` that comes back quickly after an outage.
pub(crate) fn plain(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200");
    config
}

impl Broker {
    /// Of the plain listener.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        plain(self.bootstrap())
    }

    /// Of the listener with passwords.
    ///
    /// # Panics
    /// When the broker has no users.
    #[must_use]
    pub fn sasl_client(&self, mechanism: Mechanism, user: &str, password: &str) -> ClientConfig {
        let mut config = plain(self.bootstrap_sasl());
        config.set("security.protocol", "SASL_PLAINTEXT");
        log_in(&mut config, mechanism, user, password);
        config
    }

    /// Of the listener with client certificates; the broker's own is checked against `trusted`.
    ///
    /// # Panics
    /// When the broker has no TLS.
    #[must_use]
    pub fn tls_client(&self, trusted: &Authority, client: &Identity) -> ClientConfig {
        let mut config = plain(self.bootstrap_tls());
        config
            .set("security.protocol", "SSL")
            .set("ssl.ca.pem", trusted.certificate())
            .set("ssl.certificate.pem", &client.certificate)
            .set("ssl.key.pem", &client.key);
        config
    }

    /// Of the listener with encryption and passwords; the broker's certificate is checked against `trusted`.
    ///
    /// # Panics
    /// When the broker has no TLS or no users.
    #[must_use]
    pub fn sasl_ssl_client(
        &self,
        trusted: &Authority,
        mechanism: Mechanism,
        user: &str,
        password: &str,
    ) -> ClientConfig {
        let mut config = plain(self.bootstrap_sasl_ssl());
        config
            .set("security.protocol", "SASL_SSL")
            .set("ssl.ca.pem", trusted.certificate());
        log_in(&mut config, mechanism, user, password);
        config
    }
}

fn log_in(config: &mut ClientConfig, mechanism: Mechanism, user: &str, password: &str) {
    config
        .set("sasl.mechanism", mechanism.name())
        .set("sasl.username", user)
        .set("sasl.password", password);
}
