//! The Service of a backend.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::kinds::Port;
use crate::pipeline::validate::Identity;

pub(super) fn build(identity: &Identity, port: Port) -> Service {
    Service {
        metadata: metadata(identity, identity.child_name.clone()),
        spec: Some(ServiceSpec {
            selector: Some(identity.selector()),
            ports: Some(vec![ServicePort {
                name: Some(port.name.to_owned()),
                app_protocol: (port.name == "grpc").then(|| "kubernetes.io/h2c".to_owned()),
                port: port.number.into(),
                target_port: Some(IntOrString::String(port.name.to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
