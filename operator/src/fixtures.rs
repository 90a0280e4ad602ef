//! Resources for tests, from YAML as a user writes it.

pub mod api_server;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ordermill_config::VerifyingKeys;

use crate::error::ReconcileError;
use crate::kinds::Kind;
use crate::pipeline::build::{Children, build};
use crate::pipeline::dereference::{Dereferenced, Strimzi};
use crate::pipeline::validate::{Validated, validate};
use crate::policy::Policy;
use crate::strimzi::{Listener, UserCredentials};

/// The moment at which the resources were created.
pub const CREATED: &str = "2026-01-01T00:00:00Z";

/// A resource as the API server would give it, from its name and spec.
pub fn resource<K: Kind>(name: &str, spec: &str) -> K {
    let spec: serde_json::Value = serde_yaml::from_str(spec).unwrap();
    let mut resource: K = serde_json::from_value(serde_json::json!({
        "apiVersion": "ordermill.dev/v1alpha1",
        "kind": K::kind(&()),
        "metadata": {"name": name, "namespace": "shop", "uid": "uid-1", "generation": 3},
        "spec": spec,
    }))
    .unwrap();
    resource.meta_mut().creation_timestamp = Some(Time(CREATED.parse().unwrap()));
    resource
}

/// An operator that has a default for everything.
pub fn policy() -> Policy {
    Policy {
        workload_image: "ordermill-workload:test".to_owned(),
        bootstrap_servers: Some("kafka:9092".parse().unwrap()),
        telemetry: Some((
            "http://otel:4317".parse().unwrap(),
            ordermill_crds::OtlpProtocol::Grpc,
        )),
        maximum_rate: None,
        allowed_bootstrap_servers: Vec::new(),
        cluster_domain: "cluster.local".to_owned(),
    }
}

/// A cluster that Strimzi runs, with TLS.
pub fn strimzi(user: Option<UserCredentials>) -> Dereferenced {
    Dereferenced {
        strimzi: Some(Strimzi {
            namespace: "kafka".to_owned(),
            cluster: "mill".to_owned(),
            listener: Listener {
                bootstrap_servers: "mill-kafka-bootstrap.kafka.svc:9093".parse().unwrap(),
                certificate_authorities: Some("PEM\n".to_owned()),
            },
            user,
        }),
        ..Dereferenced::default()
    }
}

/// Validates half a minute after the creation.
pub fn validated<K: Kind>(
    resource: &K,
    dereferenced: &Dereferenced,
    policy: &Policy,
) -> Result<Validated, ReconcileError> {
    let created: Timestamp = CREATED.parse().unwrap();
    let now = created + jiff::SignedDuration::from_secs(30);
    validate(resource, dereferenced, policy, now)
}

/// Everything that a resource becomes where all defaults hold.
pub fn children<K: Kind>(name: &str, spec: &str, dereferenced: &Dereferenced) -> Children {
    let resource = resource::<K>(name, spec);
    let validated = validated(&resource, dereferenced, &policy()).unwrap();
    build(&validated, &VerifyingKeys::default()).unwrap()
}
