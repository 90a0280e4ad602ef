//! How Kafka is reached, by variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ordermill_crds::SaslMechanism;
use ordermill_crds::values::BootstrapServers;

use super::reader::{EnvironmentErrors, Reader};
use crate::{KafkaConnection, SaslFiles, TlsFiles};

pub(super) fn kafka_connection(reader: &mut Reader<'_>) -> Option<KafkaConnection> {
    let names = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"];
    let given = reader.text(&names).is_some();
    let bootstrap_servers = if given {
        reader.value(&names)?
    } else {
        "localhost:9092".parse().ok()?
    };
    let (tls, sasl) = kafka_security(reader);
    Some(KafkaConnection {
        tls,
        sasl,
        ..KafkaConnection::plain(bootstrap_servers)
    })
}

fn kafka_security(reader: &mut Reader<'_>) -> (Option<TlsFiles>, Option<SaslFiles>) {
    let switch = reader
        .choice(
            "KAFKA_TLS",
            &[("true", true), ("false", false), ("1", true), ("0", false)],
        )
        .unwrap_or(false);
    let mut file = |name| reader.value::<PathBuf>(&[name]);
    let files = TlsFiles {
        certificate_authority: file("KAFKA_TLS_CA_FILE"),
        certificate: file("KAFKA_TLS_CERTIFICATE_FILE"),
        private_key: file("KAFKA_TLS_KEY_FILE"),
    };
    if files.certificate.is_some() != files.private_key.is_some() {
        let allowed = "a certificate and its private key go together";
        let found = reader.text(&["KAFKA_TLS_KEY_FILE"]).map(|(_, found)| found);
        reader.refuse("KAFKA_TLS_KEY_FILE", found.unwrap_or_default(), allowed);
    }
    let tls = (switch || files != TlsFiles::default()).then_some(files);
    let mechanisms = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
    ]
    .map(|mechanism| (mechanism.as_str(), mechanism));
    let sasl = reader
        .choice("KAFKA_SASL_MECHANISM", &mechanisms)
        .and_then(|mechanism| {
            let mut file = |name: &'static str| {
                let file = reader.value::<PathBuf>(&[name]);
                if file.is_none() {
                    reader.refuse(name, String::new(), "KAFKA_SASL_MECHANISM needs this file");
                }
                file
            };
            let (username, password) = (
                file("KAFKA_SASL_USERNAME_FILE"),
                file("KAFKA_SASL_PASSWORD_FILE"),
            );
            Some(SaslFiles {
                mechanism,
                username: username?,
                password: password?,
            })
        });
    (tls, sasl)
}

/// The security part of a connection from environment variables, for a Kafka that is named otherwise.
///
/// # Errors
/// Everything that is wrong with the variables, all at once.
pub fn kafka_from_environment(
    bootstrap_servers: BootstrapServers,
    variables: &BTreeMap<String, String>,
) -> Result<KafkaConnection, EnvironmentErrors> {
    let mut reader = Reader {
        variables,
        errors: Vec::new(),
    };
    let (tls, sasl) = kafka_security(&mut reader);
    if reader.errors.is_empty() {
        Ok(KafkaConnection {
            tls,
            sasl,
            ..KafkaConnection::plain(bootstrap_servers)
        })
    } else {
        Err(EnvironmentErrors(reader.errors))
    }
}
