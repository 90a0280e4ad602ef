//! A Kafka broker as a pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, Error, kafka_image};
use crate::kafka::{ALONE, QUICK_RETURN};
use crate::kubernetes::{self, Namespace};
use crate::wait::until;

/// A JVM on a machine that is busy with other pods.
const READY_DEADLINE: Duration = Duration::from_mins(3);
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
        let service: Service = create(namespace, service()).await?;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let outside = ports
            .iter()
            .find(|port| port.port == OUTSIDE_PORT)
            .and_then(|port| port.node_port)
            .ok_or(Error::NoNodePort)?;
        let broker = Self {
            namespace: namespace.name().to_owned(),
            inside: format!("{NAME}.{}.svc:{INSIDE_PORT}", namespace.name()),
            outside: format!("{}:{outside}", cluster.node_address()?),
            pods: namespace.api(),
        };
        let _: ConfigMap = create(namespace, broker.configuration()).await?;
        let _: Pod = create(namespace, pod(&image)).await?;
        broker.serves(0).await?;
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
        self.serves(before + 1).await
    }

    /// Waits until the pod is ready after so many restarts.
    async fn serves(&self, restarts: i32) -> Result<(), Error> {
        let ready = until(READY_DEADLINE, async || {
            let pod = self
                .pods
                .get(NAME)
                .await
                .map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            let containers = status.container_statuses.unwrap_or_default();
            let serves = containers
                .iter()
                .any(|container| container.ready && container.restart_count >= restarts);
            serves.then_some(()).ok_or(format!("{containers:?}"))
        });
        ready.await.map_err(|timed_out| {
            Error::Kubernetes(kubernetes::Error::Waiting {
                what: "the broker",
                why: timed_out.to_string(),
            })
        })
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
            "java kafka.tools.StorageTool format --ignore-formatted -t 4L6g3nShT-eMCtK--X86sw -c /etc/kafka/server.properties\n\
             exec java -Xmx384m -XX:+UseSerialGC {} -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
             kafka.Kafka /etc/kafka/server.properties\n",
            self.mark()
        );
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {"server.properties": properties, "start.sh": start},
        })
    }
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {
            "type": "NodePort",
            "selector": {"app": NAME},
            // A broker is asked for before it is ready by those who wait for it.
            "publishNotReadyAddresses": true,
            "ports": [
                {"name": "inside", "port": INSIDE_PORT},
                {"name": "outside", "port": OUTSIDE_PORT},
            ],
        },
    })
}

fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "fsGroup": 1001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": NAME,
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["sh", "/etc/kafka/start.sh"],
                "ports": [{"containerPort": INSIDE_PORT}, {"containerPort": OUTSIDE_PORT}],
                "readinessProbe": {"tcpSocket": {"port": INSIDE_PORT}, "periodSeconds": 1},
                "resources": {
                    "requests": {"cpu": "50m", "memory": "512Mi"},
                    "limits": {"cpu": "2", "memory": "768Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/etc/kafka"},
                    {"name": "data", "mountPath": "/data"},
                ],
            }],
            "volumes": [
                {"name": "settings", "configMap": {"name": NAME}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    })
}

async fn create<K>(namespace: &Namespace, object: Value) -> Result<K, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).map_err(kubernetes::Error::Json)?;
    let created = namespace
        .api()
        .create(&PostParams::default(), &object)
        .await;
    Ok(created.map_err(kubernetes::Error::client("making a broker"))?)
}
