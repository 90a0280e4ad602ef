//! The `NetworkPolicy`, where it is asked for: only what a workload serves may be reached.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{metadata, pod_selector};
use crate::pipeline::validate::Validated;

/// The name of the port for probes and tuning.
pub(super) const ADMIN: &str = "admin";

pub(super) fn build(validated: &Validated) -> NetworkPolicy {
    let served = validated.needs.port.map(|port| port.name);
    let port = |name: &str| NetworkPolicyPort {
        port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    let ports = served.into_iter().chain([ADMIN]).map(port).collect();
    NetworkPolicy {
        metadata: metadata(&validated.identity, validated.identity.child_name.clone()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pod_selector(&validated.identity)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(ports),
                ..NetworkPolicyIngressRule::default()
            }]),
            ..NetworkPolicySpec::default()
        }),
    }
}
