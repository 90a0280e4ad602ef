//! The way to Kafka: addresses, and files with what the pods trust and log in with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ordermill_config::{CONFIGURATION_FOLDER, KafkaConnection, KafkaUse, SaslFiles, TlsFiles};
use ordermill_crds::values::{BootstrapServers, ObjectName};
use ordermill_crds::{KafkaSasl, KafkaTls, SaslMechanism};

use super::SecretMount;
use crate::error::{Category, ReconcileError};
use crate::kinds::Kind;
use crate::pipeline::dereference::{Dereferenced, Strimzi};
use crate::policy::Policy;
use crate::strimzi::UserCredentials;

/// Files that the operator puts beside the documents.
const AUTHORITY_FILE: &str = "kafka-ca.crt";
const USERNAME_FILE: &str = "kafka-username";

/// How the pods reach Kafka, and what they need for it.
pub(super) struct KafkaFiles {
    pub connection: KafkaConnection,
    pub files: BTreeMap<&'static str, String>,
    pub secrets: Vec<SecretMount>,
}

/// Where Kafka is by what was declared, found, or is the operator's default; `None`: it is not used.
pub(super) fn kafka_files<K: Kind>(
    resource: &K,
    usage: KafkaUse,
    dereferenced: &Dereferenced,
    policy: &Policy,
) -> Result<Option<KafkaFiles>, ReconcileError> {
    let declared = resource.common().kafka.clone().unwrap_or_default();
    let found = match (&dereferenced.strimzi, &declared.bootstrap_servers) {
        (Some(strimzi), _) => Some(&strimzi.listener.bootstrap_servers),
        (None, declared) => declared.as_ref().or(policy.bootstrap_servers.as_ref()),
    };
    let bootstrap_servers = match (usage, found) {
        (KafkaUse::Unused, _) | (KafkaUse::Optional, None) => return Ok(None),
        (_, Some(servers)) => servers.clone(),
        (KafkaUse::Required, None) => {
            return Err(ReconcileError::declared(
                Category::KafkaNotConfigured,
                "spec.kafka: set bootstrapServers or strimzi; this operator has no default",
            ));
        }
    };
    allowed(&bootstrap_servers, policy)?;
    let mut found = KafkaFiles {
        connection: KafkaConnection {
            properties: declared.properties,
            ..KafkaConnection::plain(bootstrap_servers)
        },
        files: BTreeMap::new(),
        secrets: Vec::new(),
    };
    if let Some(strimzi) = &dereferenced.strimzi {
        found.trust(strimzi);
    }
    if let Some(tls) = &declared.tls {
        found.use_tls(tls);
    }
    if let Some(sasl) = &declared.sasl {
        found.use_sasl(sasl);
    }
    if let Some(user) = dereferenced
        .strimzi
        .as_ref()
        .and_then(|it| it.user.as_ref())
    {
        found.log_in(user);
    }
    Ok(Some(found))
}

fn allowed(servers: &BootstrapServers, policy: &Policy) -> Result<(), ReconcileError> {
    let Some(address) = policy.forbidden(servers) else {
        return Ok(());
    };
    Err(ReconcileError::declared(
        Category::BootstrapNotAllowed,
        format!(
            "spec.kafka: this operator does not allow {address}: use a broker that it allows, or have it added to --allowed-bootstrap-servers"
        ),
    ))
}

impl KafkaFiles {
    fn trust(&mut self, strimzi: &Strimzi) {
        if let Some(authorities) = &strimzi.listener.certificate_authorities {
            self.files.insert(AUTHORITY_FILE, authorities.clone());
            self.connection.tls = Some(TlsFiles {
                certificate_authority: Some(beside_documents(AUTHORITY_FILE)),
                ..TlsFiles::default()
            });
        }
    }

    fn use_tls(&mut self, tls: &KafkaTls) {
        let mut files = self.connection.tls.take().unwrap_or_default();
        if let Some(authority) = &tls.certificate_authority {
            let mount = SecretMount {
                volume: "kafka-authority",
                secret: authority.name.clone(),
                keys: vec![authority.key.clone()],
            };
            files.certificate_authority = Some(mount.file(&authority.key));
            self.secrets.push(mount);
        }
        if let Some(pair) = &tls.client_certificate {
            let keys = [&pair.certificate_key, &pair.private_key_key];
            files = self.mount_pair(files, &pair.name, keys);
        }
        self.connection.tls = Some(files);
    }

    fn mount_pair(&mut self, files: TlsFiles, secret: &ObjectName, keys: [&String; 2]) -> TlsFiles {
        let mount = SecretMount {
            volume: "kafka-certificate",
            secret: secret.clone(),
            keys: keys.map(Clone::clone).into(),
        };
        let [certificate, private_key] = keys.map(|key| Some(mount.file(key)));
        self.secrets.push(mount);
        TlsFiles {
            certificate,
            private_key,
            ..files
        }
    }

    fn use_sasl(&mut self, sasl: &KafkaSasl) {
        let mount = SecretMount {
            volume: "kafka-password",
            secret: sasl.secret.name.clone(),
            keys: vec![
                sasl.secret.username_key.clone(),
                sasl.secret.password_key.clone(),
            ],
        };
        self.connection.sasl = Some(SaslFiles {
            mechanism: sasl.mechanism,
            username: mount.file(&sasl.secret.username_key),
            password: mount.file(&sasl.secret.password_key),
        });
        self.secrets.push(mount);
    }

    fn log_in(&mut self, user: &UserCredentials) {
        match user {
            UserCredentials::Certificate { secret } => {
                let files = self.connection.tls.take().unwrap_or_default();
                let keys = ["user.crt".to_owned(), "user.key".to_owned()];
                let files = self.mount_pair(files, secret, [&keys[0], &keys[1]]);
                self.connection.tls = Some(files);
            }
            UserCredentials::Password { secret, username } => {
                let mount = SecretMount {
                    volume: "kafka-password",
                    secret: secret.clone(),
                    keys: vec!["password".to_owned()],
                };
                self.files.insert(USERNAME_FILE, username.clone());
                self.connection.sasl = Some(SaslFiles {
                    mechanism: SaslMechanism::ScramSha512,
                    username: beside_documents(USERNAME_FILE),
                    password: mount.file("password"),
                });
                self.secrets.push(mount);
            }
        }
    }
}

fn beside_documents(file: &str) -> PathBuf {
    PathBuf::from(CONFIGURATION_FOLDER).join(file)
}
