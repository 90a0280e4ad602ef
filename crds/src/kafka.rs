//! How a workload reaches Kafka, and the topics it uses.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connection::default_key;
use crate::values::{BootstrapServers, ObjectName, TopicName};

/// librdkafka properties that Ordermill sets itself, so that `properties` cannot.
pub const OWNED_PROPERTIES: [&str; 26] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "transactional.id",
    "delivery.timeout.ms",
];

fn properties_rule() -> Rule {
    let owned = OWNED_PROPERTIES.map(|name| format!("'{name}'")).join(", ");
    let names = OWNED_PROPERTIES.join(", ");
    Rule::new(format!("self.all(name, !(name in [{owned}]))"))
        .message(format!("must not set what Ordermill sets itself: {names}").as_str())
}

/// How the workload reaches Kafka: literal addresses, or a Strimzi cluster by name. Absent: the operator's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.bootstrapServers) && has(self.strimzi))")
    .message("set bootstrapServers or strimzi, not both"))]
#[x_kube(validation = Rule::new("!has(self.strimzi) || !has(self.strimzi.user) || (!has(self.sasl) && (!has(self.tls) || !has(self.tls.clientCertificate)))")
    .message("strimzi.user brings its own credentials: leave out sasl and tls.clientCertificate"))]
pub struct Kafka {
    /// Addresses of brokers, such as `kafka-0:9092,kafka-1:9092`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers: Option<BootstrapServers>,
    /// A cluster that Strimzi runs; address and certificate authority come from its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strimzi: Option<StrimziCluster>,
    /// TLS to the brokers. Absent: plain text, unless the Strimzi listener says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// SASL authentication. Absent: none, unless a Strimzi user says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
    /// More librdkafka properties, such as `linger.ms: "5"`, at most 64; not those that Ordermill sets itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "properties_schema")]
    pub properties: BTreeMap<String, String>,
}

fn properties_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    });
    // The rule is built from constants and serializes; an empty list would fail the rules table.
    if let Ok(rule) = serde_json::to_value(properties_rule()) {
        schema.insert(
            "x-kubernetes-validations".to_owned(),
            serde_json::json!([rule]),
        );
    }
    schema
}

/// A Kafka cluster that Strimzi runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrimziCluster {
    /// Name of the `Kafka` resource.
    pub cluster: ObjectName,
    /// Namespace of the `Kafka` resource. Default: the namespace of this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectName>,
    /// Name of the listener, such as `tls`.
    #[schemars(length(min = 1, max = 25), regex(pattern = "^[a-z0-9]+$"))]
    pub listener: String,
    /// Name of a `KafkaUser` in this resource's namespace, whose Secret is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ObjectName>,
}

/// TLS to the brokers, from Secrets of this resource's namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Certificate authorities (PEM) that the brokers' certificates must come from. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<crate::SecretKey>,
    /// The client's own certificate, where brokers ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<KeyPairSecret>,
}

/// A Secret with a certificate and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyPairSecret {
    /// Name of the Secret.
    pub name: ObjectName,
    /// Key of the certificate in the Secret. Default: tls.crt.
    #[serde(default = "default_certificate_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub certificate_key: String,
    /// Key of the private key in the Secret. Default: tls.key.
    #[serde(default = "default_private_key_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub private_key_key: String,
}

default_key!(default_certificate_key, "tls.crt");
default_key!(default_private_key_key, "tls.key");
default_key!(default_username_key, "username");
default_key!(default_password_key, "password");

/// SASL authentication, from a Secret of this resource's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSasl {
    /// The mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    pub mechanism: SaslMechanism,
    /// The Secret with user name and password.
    pub secret: SaslSecret,
}

/// A SASL mechanism, as Kafka spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SaslMechanism {
    /// User name and password as they are: only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted challenge with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Salted challenge with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// The name on the wire and in librdkafka's `sasl.mechanism`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A Secret with a user name and a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SaslSecret {
    /// Name of the Secret.
    pub name: ObjectName,
    /// Key of the user name in the Secret. Default: username.
    #[serde(default = "default_username_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub username_key: String,
    /// Key of the password in the Secret. Default: password.
    #[serde(default = "default_password_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub password_key: String,
}

/// A Kafka topic. One that is missing is created with what stands here; one that exists is left as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// Name of the topic.
    pub name: TopicName,
    /// Number of partitions, 1 to 10,000. Default: the broker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub partitions: Option<i32>,
    /// Number of replicas of each partition, 1 to 15. Default: the broker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub replicas: Option<i32>,
    /// Topic configuration, such as `retention.ms: "86400000"`, at most 64 entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
}

impl Topic {
    /// A topic of this name that leaves everything else to the broker.
    #[must_use]
    pub fn named(name: TopicName) -> Self {
        Self {
            name,
            partitions: None,
            replicas: None,
            config: BTreeMap::new(),
        }
    }
}

fn config_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}
