//! A namespace with an operator of its own.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use ordermill_crds::{OrderProducer, ResourceStatus};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace, Node};
use ordermill_tests::process::{Launch, Process, Program};
use ordermill_tests::wait::eventually_ok;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Long enough for a machine that compiles meanwhile.
pub const SOON: Duration = Duration::from_mins(1);
/// The same for a status, where numbers that change little are written once a minute.
const STATUS: Duration = Duration::from_mins(2);

/// A namespace of a cluster, with an operator that looks after it alone.
pub struct Stage<C = Cluster, O = Process> {
    /// The cluster.
    pub cluster: Arc<C>,
    /// The namespace.
    pub namespace: Namespace,
    /// The operator.
    pub operator: O,
}

impl Stage {
    /// A new namespace with its operator; Kafka is wherever resources say.
    pub async fn set(prefix: &str) -> TestResult<Self> {
        Self::set_with(prefix, |launch| launch).await
    }

    /// The same with more arguments for the operator.
    pub async fn set_with(
        prefix: &str,
        arguments: impl FnOnce(Launch) -> Launch,
    ) -> TestResult<Self> {
        let cluster = Cluster::shared().await?;
        cluster.install_crds().await?;
        let namespace = cluster.namespace(prefix).await?;
        let launch = operator(&cluster, &namespace).await?;
        let operator = arguments(launch).start()?;
        Ok(Self {
            cluster,
            namespace,
            operator,
        })
    }

    /// A node for its pods, which become ready with no process behind them.
    pub async fn idle_node(&self) -> TestResult<Node> {
        let builder = Node::builder().without_processes();
        let node = builder.start(&self.cluster, self.namespace.name()).await?;
        Ok(node)
    }

    /// Where the operator tells of itself.
    pub async fn admin_address(&mut self) -> TestResult<String> {
        admin_address(&mut self.operator).await
    }
}

impl<C, O> Stage<C, O> {
    /// Objects of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        self.namespace.api()
    }

    /// Creates a resource from its spec as a user writes it.
    pub async fn create<K>(&self, name: &str, spec: &str) -> TestResult<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Serialize
            + Debug,
    {
        let spec: Value = serde_yaml::from_str(spec)?;
        let object: K = serde_json::from_value(json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec,
        }))?;
        Ok(self.api().create(&PostParams::default(), &object).await?)
    }

    /// Edits the spec of a producer by a merge patch; returns the new generation.
    pub async fn edit(&self, name: &str, spec: &str) -> TestResult<i64> {
        self.edit_of::<OrderProducer>(name, spec).await
    }

    /// Edits the spec of a resource of any kind by a merge patch; returns the new generation.
    pub async fn edit_of<K>(&self, name: &str, spec: &str) -> TestResult<i64>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let spec: Value = serde_yaml::from_str(spec)?;
        let patch = Patch::Merge(json!({"spec": spec}));
        let edited = self
            .api::<K>()
            .patch(name, &PatchParams::default().validation_strict(), &patch)
            .await?;
        Ok(edited.meta().generation.unwrap())
    }

    /// Waits until the status of a producer is as `wanted`; returns it.
    pub async fn status(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ResourceStatus) -> bool,
    ) -> ResourceStatus {
        self.status_of::<OrderProducer>(name, what, wanted).await
    }

    /// Waits until the status of any kind is as `wanted`; returns it.
    pub async fn status_of<K>(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ResourceStatus) -> bool,
    ) -> ResourceStatus
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + HasStatus<Status = ResourceStatus>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let api: Api<K> = self.api();
        let what = format!("{name}: {what}");
        eventually_ok(STATUS, &what, async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let status = object.status().ok_or("no status")?;
            if wanted(status) {
                Ok(status.clone())
            } else {
                Err(serde_json::to_string(status).unwrap_or_default())
            }
        })
        .await
    }

    /// Waits until a producer is ready for a reason.
    pub async fn ready(&self, name: &str, reason: &str) -> ResourceStatus {
        self.status(name, &format!("ready, {reason}"), |status| {
            has(status, "Ready", "True", reason)
        })
        .await
    }

    /// Waits until a producer is not ready for a reason, with these words.
    pub async fn not_ready_because(&self, name: &str, reason: &str, words: &str) {
        let what = format!("not ready, {reason}: {words}");
        self.status(name, &what, |status| {
            has(status, "Ready", "False", reason) && message(status, "Ready").contains(words)
        })
        .await;
    }
}

/// Where an operator tells of itself.
pub async fn admin_address(operator: &mut Process) -> TestResult<String> {
    let line = operator.wait_for_line(SOON, "the operator starts").await?;
    let line: Value = serde_json::from_str(&line)?;
    Ok(line["address"].as_str().unwrap().to_owned())
}

/// How the operator is started for one namespace, where its Lease and keys are too.
pub async fn operator(cluster: &Cluster, namespace: &Namespace) -> TestResult<Launch> {
    operator_from(cluster, namespace, namespace).await
}

/// The same with Lease and keys in another namespace.
pub async fn operator_from(
    cluster: &Cluster,
    namespace: &Namespace,
    home: &Namespace,
) -> TestResult<Launch> {
    let launch = Program::operator().await?;
    let kubeconfig = cluster.kubeconfig();
    Ok(launch.arg("--kubeconfig").arg(&kubeconfig).args([
        "--namespace",
        namespace.name(),
        "--operator-namespace",
        home.name(),
    ]))
}

/// Whether a condition is there with this status and reason, about the newest generation.
pub fn has(status: &ResourceStatus, kind: &str, value: &str, reason: &str) -> bool {
    status.conditions.iter().any(|condition| {
        condition.type_ == kind
            && condition.status == value
            && condition.reason == reason
            && condition.observed_generation == status.observed_generation
    })
}

/// The message of a condition.
pub fn message(status: &ResourceStatus, kind: &str) -> String {
    let mut conditions = status.conditions.iter();
    let condition = conditions.find(|condition| condition.type_ == kind);
    condition.unwrap().message.clone()
}
