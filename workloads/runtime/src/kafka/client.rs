//! From a [`KafkaConnection`] to librdkafka's settings.

use std::fs;
use std::path::{Path, PathBuf};

use ordermill_config::KafkaConnection;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A file with credentials cannot be read.
    #[error("cannot read the credentials in {path}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// librdkafka refuses the settings or the certificates.
    #[error("the Kafka client refuses its settings")]
    Client(#[source] KafkaError),
    /// The system gives no thread for the client.
    #[error("the system gives no thread for the Kafka client")]
    Thread(#[source] std::io::Error),
}

/// Settings that every client of ours shares. Files are read now, so a client made anew sees rotated ones.
///
/// # Errors
/// When a file cannot be read.
pub fn client_config(
    connection: &KafkaConnection,
    client_id: &str,
) -> Result<ClientConfig, ConnectionError> {
    let mut config = ClientConfig::new();
    for (name, value) in &connection.properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", connection.bootstrap_servers.as_str())
        .set("client.id", client_id)
        // A broker that returns is found within two seconds, at a cost of one attempt each.
        .set("reconnect.backoff.max.ms", "2000")
        .set("statistics.interval.ms", "1000")
        .set("log.connection.close", "false")
        .set("security.protocol", protocol(connection));
    if let Some(tls) = &connection.tls {
        match &tls.certificate_authority {
            Some(path) => config.set("ssl.ca.location", readable(path)?),
            // A static binary finds the system's authorities only when told to probe for them.
            None => config.set("ssl.ca.location", "probe"),
        };
        if let Some(path) = &tls.certificate {
            config.set("ssl.certificate.location", readable(path)?);
        }
        if let Some(path) = &tls.private_key {
            config.set("ssl.key.location", readable(path)?);
        }
    }
    if let Some(sasl) = &connection.sasl {
        config
            .set("sasl.mechanism", sasl.mechanism.as_str())
            .set("sasl.username", secret(&sasl.username)?)
            .set("sasl.password", secret(&sasl.password)?);
    }
    Ok(config)
}

const fn protocol(connection: &KafkaConnection) -> &'static str {
    match (connection.tls.is_some(), connection.sasl.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    }
}

/// Reads a secret; a line end at its end belongs to the editor that wrote it.
fn secret(path: &Path) -> Result<String, ConnectionError> {
    let text = fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The path as librdkafka takes it, once it is known that the file can be read: its own message names no file.
fn readable(path: &Path) -> Result<String, ConnectionError> {
    fs::metadata(path).map_err(|source| unreadable(path, source))?;
    Ok(path.to_string_lossy().into_owned())
}

fn unreadable(path: &Path, source: std::io::Error) -> ConnectionError {
    ConnectionError::Credentials {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ordermill_config::{SaslFiles, TlsFiles};
    use ordermill_crds::SaslMechanism;

    use super::*;

    fn plain() -> KafkaConnection {
        KafkaConnection::plain("kafka:9092".parse().unwrap())
    }

    #[test]
    fn security_follows_what_is_given() {
        let mut connection = plain();
        let config = client_config(&connection, "test").unwrap();
        assert_eq!(config.get("security.protocol"), Some("plaintext"));
        connection.tls = Some(TlsFiles::default());
        let config = client_config(&connection, "test").unwrap();
        assert_eq!(config.get("security.protocol"), Some("ssl"));
        assert_eq!(config.get("ssl.ca.location"), Some("probe"));
    }

    #[test]
    fn secrets_come_from_files_without_their_last_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"s3cret \n").unwrap();
        let mut connection = plain();
        let path = file.path().to_owned();
        let mechanism = SaslMechanism::ScramSha512;
        connection.sasl = Some(SaslFiles {
            mechanism,
            username: path.clone(),
            password: path,
        });
        let config = client_config(&connection, "test").unwrap();
        assert_eq!(config.get("sasl.password"), Some("s3cret "));
        assert_eq!(config.get("security.protocol"), Some("sasl_plaintext"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut connection = plain();
        let certificate_authority = Some("/nowhere/ca.crt".into());
        connection.tls = Some(TlsFiles {
            certificate_authority,
            ..TlsFiles::default()
        });
        let error = client_config(&connection, "test").unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.crt"), "{error}");
    }
}
