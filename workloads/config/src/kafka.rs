//! How a workload reaches Kafka, resolved: addresses and files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ordermill_crds::SaslMechanism;
use ordermill_crds::values::BootstrapServers;
use serde::{Deserialize, Serialize};

/// Addresses, security and further librdkafka properties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaConnection {
    /// Where to begin.
    pub bootstrap_servers: BootstrapServers,
    /// TLS, or plain text where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// SASL, or none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslFiles>,
    /// librdkafka properties that Ordermill does not own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl KafkaConnection {
    /// A connection in plain text.
    #[must_use]
    pub const fn plain(bootstrap_servers: BootstrapServers) -> Self {
        Self {
            bootstrap_servers,
            tls: None,
            sasl: None,
            properties: BTreeMap::new(),
        }
    }

    /// Every file whose change means new credentials.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let tls = self.tls.iter().flat_map(|tls| {
            let own = [&tls.certificate, &tls.private_key];
            std::iter::once(&tls.certificate_authority)
                .chain(own)
                .flatten()
        });
        let sasl = self
            .sasl
            .iter()
            .flat_map(|sasl| [&sasl.username, &sasl.password]);
        tls.chain(sasl)
    }
}

/// TLS by PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsFiles {
    /// Certificate authorities; the system's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<PathBuf>,
    /// The client's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of the client's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PathBuf>,
}

/// SASL by files, so that no password stands in a document or in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaslFiles {
    /// The mechanism.
    pub mechanism: SaslMechanism,
    /// File with the user name.
    pub username: PathBuf,
    /// File with the password.
    pub password: PathBuf,
}
