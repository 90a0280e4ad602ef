//! The pods of a workload: which they are, and whether any was restarted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};
use ordermill_tests::TestResult;
use ordermill_tests::wait::eventually_ok;

use super::release::{OnKind, SOON};

/// Restarts of each pod's containers, by the pod's uid.
pub type Lives = BTreeMap<String, i32>;

impl OnKind {
    /// The pods of a producer that are not on their way out.
    pub async fn pods(&self, producer: &str) -> TestResult<Vec<Pod>> {
        self.pods_of(producer, "producer").await
    }

    /// The pods of a resource of any kind, by the kind's last word.
    pub async fn pods_of(&self, resource: &str, kind: &str) -> TestResult<Vec<Pod>> {
        self.labelled(&format!(
            "app.kubernetes.io/instance={resource}-{kind},app.kubernetes.io/managed-by=ordermill"
        ))
        .await
    }

    /// The pods of the operator.
    pub async fn operators(&self) -> TestResult<Vec<Pod>> {
        self.labelled("app.kubernetes.io/name=ordermill-operator")
            .await
    }

    /// What the operator tells Prometheus, by way of the API server.
    pub async fn operator_metrics(&self) -> TestResult<String> {
        let pods = self.operators().await?;
        let pod = pods.first().ok_or("no operator")?;
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}:8080/proxy/metrics",
            self.namespace.name(),
            pod.name_any()
        );
        let request = http::Request::get(path).body(Vec::new())?;
        Ok(self.namespace.client().request_text(request).await?)
    }

    async fn labelled(&self, selector: &str) -> TestResult<Vec<Pod>> {
        let list = ListParams::default().labels(selector);
        let mut pods = self.api::<Pod>().list(&list).await?.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// Who runs for a resource, and how often it was restarted.
    pub async fn lives(&self, resource: &str) -> TestResult<Lives> {
        Ok(lives(&self.pods(resource).await?))
    }

    /// Waits until a resource has so many pods, all of them ready.
    pub async fn all_ready(&self, resource: &str, count: usize) -> Vec<Pod> {
        eventually_ok(SOON, "pods that are ready", async || {
            let pods = self.pods(resource).await.map_err(|it| it.to_string())?;
            if pods.len() == count && pods.iter().all(is_ready) {
                Ok(pods)
            } else {
                Err(format!("{:?}", lives(&pods)))
            }
        })
        .await
    }

    /// What a pod has written.
    pub async fn log(&self, pod: &Pod) -> TestResult<String> {
        let name = pod.name_any();
        Ok(self.api::<Pod>().logs(&name, &LogParams::default()).await?)
    }
}

/// Who runs, and how often it was restarted.
pub fn lives(pods: &[Pod]) -> Lives {
    let life = |pod: &Pod| {
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let restarts = containers.iter().map(|it| it.restart_count).sum();
        (pod.uid().unwrap_or_default(), restarts)
    };
    pods.iter().map(life).collect()
}

/// Whether all of a pod serves.
pub fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status
        .into_iter()
        .flat_map(|it| it.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
