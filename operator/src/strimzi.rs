//! What Strimzi's resources tell: addresses and authorities of a cluster, credentials of a user, readiness of a topic.
//!
//! Shapes as in Strimzi's `kafka.strimzi.io/v1`: `Kafka.status.listeners`, `KafkaUser.status`, `KafkaTopic.status`.

use ordermill_crds::values::{BootstrapServers, ObjectName};
use serde_json::Value;

use crate::error::{Category, ReconcileError};

/// The API group of Strimzi's resources.
pub const GROUP: &str = "kafka.strimzi.io";
/// Its version that is used.
pub const VERSION: &str = "v1";
/// The label by which Strimzi's operators know which cluster a topic is for.
pub const CLUSTER_LABEL: &str = "strimzi.io/cluster";

/// How a listener of a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its addresses.
    pub bootstrap_servers: BootstrapServers,
    /// The authorities of its certificates, PEM; `None`: plain text.
    pub certificate_authorities: Option<String>,
}

/// What a user logs in with: names of keys in a Secret, which only pods read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCredentials {
    /// A client certificate: keys `user.crt` and `user.key`.
    Certificate {
        /// The Secret.
        secret: ObjectName,
    },
    /// SCRAM-SHA-512: key `password`.
    Password {
        /// The Secret.
        secret: ObjectName,
        /// The user name.
        username: String,
    },
}

/// Whether an object of Strimzi's is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It is.
    Ready,
    /// It is not, and says why.
    NotReady {
        /// Strimzi's reason.
        reason: String,
        /// Strimzi's message.
        message: String,
    },
    /// Strimzi has not looked at its newest generation.
    Unknown,
}

/// The readiness that an object's status tells.
#[must_use]
pub fn readiness(object: &Value) -> Readiness {
    let status = &object["status"];
    let generation = object["metadata"]["generation"].as_i64();
    let observed = status["observedGeneration"].as_i64();
    if observed.is_none() || observed < generation {
        return Readiness::Unknown;
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let find = |kind: &str| {
        let mut conditions = conditions.clone();
        conditions.find(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if let Some(condition) = find("NotReady") {
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        return Readiness::NotReady {
            reason: text("reason"),
            message: text("message"),
        };
    }
    match find("Ready") {
        Some(_) => Readiness::Ready,
        None => Readiness::Unknown,
    }
}

/// The listener of a `Kafka` resource by its name.
///
/// # Errors
/// When there is no such listener, or its address is not known yet.
pub fn listener(kafka: &Value, cluster: &str, name: &str) -> Result<Listener, ReconcileError> {
    let declared = listeners(&kafka["spec"]["kafka"]["listeners"]);
    let Some(declared) = find(declared, name) else {
        let names: Vec<_> = listeners(&kafka["spec"]["kafka"]["listeners"])
            .filter_map(|listener| listener["name"].as_str())
            .collect();
        return Err(ReconcileError::declared(
            Category::KafkaNotFound,
            format!(
                "spec.kafka.strimzi.listener: Kafka {cluster} has no listener {name}; it has {}",
                names.join(", ")
            ),
        ));
    };
    let not_ready = |why: String| {
        let message = format!("Kafka {cluster}, listener {name}: {why}");
        ReconcileError::declared(Category::KafkaNotReady, message)
    };
    let found = find(listeners(&kafka["status"]["listeners"]), name);
    let address = found.and_then(|listener| listener["bootstrapServers"].as_str());
    let Some((found, address)) = found.zip(address) else {
        let why = match readiness(kafka) {
            Readiness::NotReady { reason, message } => format!("{reason}: {message}"),
            _ => "Strimzi has not told its address yet".to_owned(),
        };
        return Err(not_ready(why));
    };
    let bootstrap_servers = address.parse().map_err(|error| {
        not_ready(format!(
            "Strimzi tells an address that cannot be used: {error}"
        ))
    })?;
    if declared["tls"] != true {
        return Ok(Listener {
            bootstrap_servers,
            certificate_authorities: None,
        });
    }
    let certificates: Vec<_> = found["certificates"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::trim_end)
        .collect();
    if certificates.is_empty() {
        return Err(not_ready(
            "Strimzi has not told its certificate authority yet".to_owned(),
        ));
    }
    Ok(Listener {
        bootstrap_servers,
        certificate_authorities: Some(certificates.join("\n") + "\n"),
    })
}

fn listeners(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn find<'a>(mut listeners: impl Iterator<Item = &'a Value>, name: &str) -> Option<&'a Value> {
    listeners.find(|listener| listener["name"] == name)
}

/// What a `KafkaUser` logs in with.
///
/// # Errors
/// When it is not ready, or logs in by something that pods cannot be given.
pub fn credentials(user: &Value, name: &str) -> Result<UserCredentials, ReconcileError> {
    let not_ready = |why: String| {
        ReconcileError::declared(Category::KafkaNotReady, format!("KafkaUser {name}: {why}"))
    };
    if let Readiness::NotReady { reason, message } = readiness(user) {
        return Err(not_ready(format!("{reason}: {message}")));
    }
    let told = |field: &str| user["status"][field].as_str();
    let secret = told("secret").and_then(|secret| secret.parse().ok());
    let Some(secret) = secret else {
        return Err(not_ready("Strimzi has not made its Secret yet".to_owned()));
    };
    match user["spec"]["authentication"]["type"].as_str() {
        Some("tls") => Ok(UserCredentials::Certificate { secret }),
        Some("scram-sha-512") => Ok(UserCredentials::Password {
            secret,
            username: told("username").unwrap_or(name).to_owned(),
        }),
        other => Err(ReconcileError::declared(
            Category::KafkaNotFound,
            format!(
                "spec.kafka.strimzi.user: KafkaUser {name} logs in by {}; tls and scram-sha-512 can be used",
                other.unwrap_or("nothing")
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kafka() -> Value {
        json!({
            "metadata": {"generation": 2},
            "spec": {"kafka": {"listeners": [
                {"name": "plain", "tls": false}, {"name": "tls", "tls": true}, {"name": "new", "tls": true}
            ]}},
            "status": {"observedGeneration": 2, "listeners": [
                {"name": "plain", "bootstrapServers": "c-kafka-bootstrap.k.svc:9092"},
                {"name": "tls", "bootstrapServers": "c-kafka-bootstrap.k.svc:9093", "certificates": ["ONE\n", "TWO"]},
            ]},
        })
    }

    #[test]
    fn a_listener_has_its_address_and_authorities() {
        let plain = listener(&kafka(), "c", "plain").unwrap();
        assert_eq!(
            plain.bootstrap_servers.as_str(),
            "c-kafka-bootstrap.k.svc:9092"
        );
        assert_eq!(plain.certificate_authorities, None);
        let tls = listener(&kafka(), "c", "tls").unwrap();
        assert_eq!(tls.certificate_authorities.as_deref(), Some("ONE\nTWO\n"));
    }

    #[test]
    fn what_is_missing_is_told() {
        let unknown = listener(&kafka(), "c", "tsl").unwrap_err();
        assert_eq!(unknown.category(), Category::KafkaNotFound);
        assert!(
            unknown.to_string().ends_with("it has plain, tls, new"),
            "{unknown}"
        );
        let waiting = listener(&kafka(), "c", "new").unwrap_err();
        assert_eq!(waiting.category(), Category::KafkaNotReady);
        let mut failed = kafka();
        failed["status"]["conditions"] = json!([
            {"type": "NotReady", "status": "True", "reason": "FatalProblem", "message": "no disk"}
        ]);
        let failed = listener(&failed, "c", "new").unwrap_err();
        assert!(
            failed.to_string().ends_with("FatalProblem: no disk"),
            "{failed}"
        );
    }

    #[test]
    fn a_user_logs_in_by_what_its_secret_holds() {
        let user = |authentication: &str, status: Value| json!({"spec": {"authentication": {"type": authentication}}, "status": status});
        let ready = json!({"secret": "miller", "username": "CN=miller"});
        let secret: ObjectName = "miller".parse().unwrap();
        assert_eq!(
            credentials(&user("tls", ready.clone()), "miller").unwrap(),
            UserCredentials::Certificate {
                secret: secret.clone()
            }
        );
        assert_eq!(
            credentials(
                &user(
                    "scram-sha-512",
                    json!({"secret": "miller", "username": "m"})
                ),
                "miller"
            )
            .unwrap(),
            UserCredentials::Password {
                secret,
                username: "m".to_owned()
            }
        );
        let waiting = credentials(&user("tls", json!({})), "miller").unwrap_err();
        assert_eq!(waiting.category(), Category::KafkaNotReady);
        let other = credentials(&user("oauth", ready), "miller").unwrap_err();
        assert_eq!(other.category(), Category::KafkaNotFound);
    }

    #[test]
    fn readiness_is_that_of_the_newest_generation() {
        let topic = |observed: i64, condition: &str| {
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": [
                {"type": condition, "status": "True", "reason": "KafkaError", "message": "why"}]}})
        };
        assert_eq!(readiness(&topic(1, "Ready")), Readiness::Unknown);
        assert_eq!(readiness(&topic(2, "Ready")), Readiness::Ready);
        assert_eq!(
            readiness(&topic(2, "NotReady")),
            Readiness::NotReady {
                reason: "KafkaError".to_owned(),
                message: "why".to_owned()
            }
        );
    }
}
