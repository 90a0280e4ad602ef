//! A Kafka broker as a pod.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::Api;
use serde_json::{Value, json};

use super::server::{self, create, node_port};
use super::{Cluster, Error, kafka_image};
use crate::kafka::{ALONE, QUICK_RETURN};
use crate::kubernetes::Namespace;

const NAME: &str = "kafka";
/// For pods; the other one is for this machine, by a port of the node.
const INSIDE_PORT: i32 = 9092;
const OUTSIDE_PORT: i32 = 9094;

/// A broker that pods and this machine reach, each at its own address.
#[derive(Debug)]
pub struct Broker {
    namespace: String,
    inside: String,
    outside: String,
    pods: Api<Pod>,
}

impl Broker {
    /// Starts a broker in a namespace and waits until it serves.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start(cluster: &Cluster, namespace: &Namespace) -> Result<Self, Error> {
        let image = kafka_image(cluster.engine())?;
        let ports = json!([
            {"name": "inside", "port": INSIDE_PORT},
            {"name": "outside", "port": OUTSIDE_PORT},
        ]);
        let service: Service = create(namespace, server::service(NAME, &ports)).await?;
        let outside = node_port(&service, OUTSIDE_PORT)?;
        let broker = Self {
            namespace: namespace.name().to_owned(),
            inside: format!("{NAME}.{}.svc:{INSIDE_PORT}", namespace.name()),
            outside: format!("{}:{outside}", cluster.node_address()?),
            pods: namespace.api(),
        };
        let _: ConfigMap = create(namespace, broker.configuration()).await?;
        let _: Pod = create(namespace, pod(&image)).await?;
        server::ready(&broker.pods, NAME, 0).await?;
        Ok(broker)
    }

    /// Its address for pods.
    #[must_use]
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// Its address for this machine.
    #[must_use]
    pub fn outside(&self) -> &str {
        &self.outside
    }

    /// Kills the broker as a crash would; the kubelet starts it again on its data. Waits until it serves.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn kill(&self, cluster: &Cluster) -> Result<(), Error> {
        let before = self.restarts().await.unwrap_or(0);
        // From outside: the first process of a container ignores what comes from within.
        cluster.on_node(&["pkill", "-KILL", "-f", "--", &self.mark()])?;
        server::ready(&self.pods, NAME, before + 1).await
    }

    async fn restarts(&self) -> Option<i32> {
        let pod = self.pods.get(NAME).await.ok()?;
        let containers = pod.status?.container_statuses?;
        Some(containers.first()?.restart_count)
    }

    /// What tells this broker's process from others on the node.
    fn mark(&self) -> String {
        format!("-Dnamespace={}", self.namespace)
    }

    fn configuration(&self) -> Value {
        let (inside, outside) = (&self.inside, &self.outside);
        let properties = format!(
            "{ALONE}{QUICK_RETURN}\
             log.dirs=/data/log\n\
             listeners=PLAINTEXT://:{INSIDE_PORT},OUTSIDE://:{OUTSIDE_PORT},CONTROLLER://localhost:9093\n\
             advertised.listeners=PLAINTEXT://{inside},OUTSIDE://{outside}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.quorum.voters=1@localhost:9093\n"
        );
        let start = format!(
            "java kafka.tools.StorageTool format --ignore-formatted -t 4L6g3nShT-eMCtK--X86sw -c /etc/server/server.properties\n\
             exec java -Xmx384m -XX:+UseSerialGC {} -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
             kafka.Kafka /etc/server/server.properties\n",
            self.mark()
        );
        server::settings(
            NAME,
            &json!({"server.properties": properties, "start.sh": start}),
        )
    }
}

fn pod(image: &str) -> Value {
    let container = json!({
        "image": image,
        "command": ["sh", "/etc/server/start.sh"],
        "ports": [{"containerPort": INSIDE_PORT}, {"containerPort": OUTSIDE_PORT}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "512Mi"},
            "limits": {"cpu": "2", "memory": "768Mi"},
        },
    });
    server::pod(NAME, &container, INSIDE_PORT)
}
