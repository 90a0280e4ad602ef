//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ordermill_crds::OtlpProtocol;
use ordermill_crds::values::{BootstrapServers, TelemetryEndpoint};

use crate::policy::{AllowedAddress, Policy};

/// The image of workloads that name none, of this version.
const WORKLOAD_IMAGE: &str = concat!("ordermill-workload:", env!("CARGO_PKG_VERSION"));

/// The Ordermill operator: turns `OrderProducer`, `StreamConsumer`, Worker and Backend resources into running workloads.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Arguments {
    /// Look after this namespace only, without any right elsewhere; may be given several times.
    #[arg(
        long,
        value_name = "NAME",
        env = "ORDERMILL_NAMESPACES",
        value_delimiter = ',',
        required_unless_present = "all_namespaces",
        conflicts_with = "all_namespaces"
    )]
    pub namespace: Vec<String>,
    /// Look after all namespaces.
    #[arg(long, env = "ORDERMILL_ALL_NAMESPACES")]
    pub all_namespaces: bool,
    /// Where the operator keeps its Lease and its signing keys. Default: the namespace that it runs in, or that of the
    /// kubeconfig's context.
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub operator_namespace: Option<String>,
    /// The kubeconfig to use outside a cluster. Default: as kubectl does.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Where /livez, /readyz and /metrics are served; port 0 takes any free one.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "ADMIN_ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    pub admin: SocketAddr,
    /// The image of workloads that name none.
    #[arg(
        long,
        value_name = "IMAGE",
        env = "ORDERMILL_WORKLOAD_IMAGE",
        default_value = WORKLOAD_IMAGE
    )]
    pub workload_image: String,
    /// Kafka for resources that name none, such as kafka-0:9092,kafka-1:9092.
    #[arg(long, value_name = "ADDRESSES", env = "ORDERMILL_BOOTSTRAP_SERVERS")]
    pub bootstrap_servers: Option<BootstrapServers>,
    /// Where workloads report to that name nothing, such as <http://otel-collector:4317>.
    #[arg(long, value_name = "URL", env = "ORDERMILL_TELEMETRY_ENDPOINT")]
    pub telemetry_endpoint: Option<TelemetryEndpoint>,
    /// The protocol of that endpoint.
    #[arg(
        long,
        value_name = "PROTOCOL",
        env = "ORDERMILL_TELEMETRY_PROTOCOL",
        default_value = "Grpc",
        value_parser = protocol
    )]
    pub telemetry_protocol: OtlpProtocol,
    /// Events per second that all replicas of one producer may send together. Default: no limit.
    #[arg(long, value_name = "EVENTS", env = "ORDERMILL_MAXIMUM_RATE", value_parser = rate)]
    pub maximum_rate: Option<f64>,
    /// A broker that workloads may use, host:port or *.domain:port; may be given several times. Default: any.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "ORDERMILL_ALLOWED_BOOTSTRAP_SERVERS",
        value_delimiter = ','
    )]
    pub allowed_bootstrap_servers: Vec<AllowedAddress>,
    /// The cluster's domain, for the addresses of backends.
    #[arg(
        long,
        value_name = "DOMAIN",
        env = "ORDERMILL_CLUSTER_DOMAIN",
        default_value = "cluster.local"
    )]
    pub cluster_domain: String,
    /// How long a key signs tunings before the next one follows, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "ORDERMILL_KEY_PERIOD_SECONDS",
        default_value_t = 30 * 24 * 3600,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub key_period_seconds: u64,
    /// Resources of one kind that are reconciled at once.
    #[arg(
        long,
        value_name = "NUMBER",
        env = "ORDERMILL_CONCURRENCY",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    pub concurrency: u16,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| rate.is_finite() && *rate >= 0.0)
        .ok_or_else(|| "use a number of events per second, 0 or more".to_owned())
}

fn protocol(text: &str) -> Result<OtlpProtocol, String> {
    match text {
        "Grpc" => Ok(OtlpProtocol::Grpc),
        "HttpProtobuf" => Ok(OtlpProtocol::HttpProtobuf),
        _ => Err("use Grpc or HttpProtobuf".to_owned()),
    }
}

impl Arguments {
    /// What the operator allows and fills in.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let protocol = self.telemetry_protocol;
        let endpoint = self.telemetry_endpoint.clone();
        Policy {
            workload_image: self.workload_image.clone(),
            bootstrap_servers: self.bootstrap_servers.clone(),
            telemetry: endpoint.map(|endpoint| (endpoint, protocol)),
            maximum_rate: self.maximum_rate,
            allowed_bootstrap_servers: self.allowed_bootstrap_servers.clone(),
            cluster_domain: self.cluster_domain.clone(),
        }
    }

    /// How long a key signs.
    #[must_use]
    pub const fn key_period(&self) -> Duration {
        Duration::from_secs(self.key_period_seconds)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn it_must_be_said_where_to_look() {
        let parse = |arguments: &[&str]| {
            let all = ["ordermill-operator"].iter().chain(arguments);
            Arguments::try_parse_from(all).map_err(|error| error.to_string())
        };
        assert!(parse(&[]).unwrap_err().contains("--namespace"));
        assert!(parse(&["--all-namespaces", "--namespace", "a"]).is_err());
        assert_eq!(
            parse(&["--namespace", "a", "--namespace", "b"])
                .unwrap()
                .namespace,
            ["a", "b"]
        );
        let wrong = parse(&["--all-namespaces", "--maximum-rate=-1"]).unwrap_err();
        assert!(wrong.contains("0 or more"), "{wrong}");
    }
}
