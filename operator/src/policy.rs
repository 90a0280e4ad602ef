//! What the operator allows and what it fills in: the same for every resource.

use ordermill_crds::OtlpProtocol;
use ordermill_crds::values::{BootstrapServers, TelemetryEndpoint};

/// Defaults and limits, from flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The image of workloads that name none.
    pub workload_image: String,
    /// Kafka for resources that name none.
    pub bootstrap_servers: Option<BootstrapServers>,
    /// Where workloads report to that do not say.
    pub telemetry: Option<(TelemetryEndpoint, OtlpProtocol)>,
    /// Events per second that all replicas of one producer may send together.
    pub maximum_rate: Option<f64>,
    /// Brokers that workloads may use; empty: any.
    pub allowed_bootstrap_servers: Vec<AllowedAddress>,
    /// The cluster's domain, for the addresses of backends.
    pub cluster_domain: String,
}

/// An address of a broker that may be used: `host:port`, or `*.domain:port` for every host below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAddress(String);

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address of a broker: use host:port, or *.domain:port for every host below a domain"
)]
pub struct NotAnAddress(String);

impl std::str::FromStr for AllowedAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        match host.parse::<BootstrapServers>() {
            Ok(servers) if servers.addresses().count() == 1 => Ok(Self(text.to_owned())),
            _ => Err(NotAnAddress(text.to_owned())),
        }
    }
}

impl AllowedAddress {
    fn allows(&self, address: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => address.len() > suffix.len() && address.ends_with(suffix),
            None => address == self.0,
        }
    }
}

impl Policy {
    /// The first of these addresses that workloads may not use.
    #[must_use]
    pub fn forbidden<'a>(&self, servers: &'a BootstrapServers) -> Option<&'a str> {
        let allowed = &self.allowed_bootstrap_servers;
        let mut addresses = servers.addresses();
        if allowed.is_empty() {
            return None;
        }
        addresses.find(|address| !allowed.iter().any(|allowed| allowed.allows(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[&str]) -> Policy {
        let allowed = allowed.iter().map(|text| text.parse().unwrap());
        Policy {
            workload_image: "workload".to_owned(),
            bootstrap_servers: None,
            telemetry: None,
            maximum_rate: None,
            allowed_bootstrap_servers: allowed.collect(),
            cluster_domain: "cluster.local".to_owned(),
        }
    }

    #[test]
    fn only_listed_brokers_may_be_used() {
        let servers: BootstrapServers = "kafka-0.test.svc:9092,prod:9092".parse().unwrap();
        assert_eq!(policy(&[]).forbidden(&servers), None);
        assert_eq!(
            policy(&["*.test.svc:9092"]).forbidden(&servers),
            Some("prod:9092")
        );
        assert_eq!(
            policy(&["*.test.svc:9092", "prod:9092"]).forbidden(&servers),
            None
        );
        assert_eq!(
            policy(&["*.test.svc:9093", "prod:9092"]).forbidden(&servers),
            Some("kafka-0.test.svc:9092")
        );
        let bare: BootstrapServers = "test.svc:9092".parse().unwrap();
        assert_eq!(
            policy(&["*.test.svc:9092"]).forbidden(&bare),
            Some("test.svc:9092")
        );
    }

    #[test]
    fn an_address_has_a_port() {
        for text in ["kafka", "*:9092", "*.kafka", "a:1,b:2", ""] {
            assert!(text.parse::<AllowedAddress>().is_err(), "{text}");
        }
    }
}
