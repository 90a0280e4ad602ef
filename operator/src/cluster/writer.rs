//! The one place that writes to the API server: only while this process leads, and each request bounded in time, so that
//! none can land after somebody else has taken over.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions,
    PropagationPolicy,
};
use kube::core::ObjectMeta;
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, ResourceExt as _};
use ordermill_config::NUDGE;
use ordermill_crds::ResourceStatus;
use serde_json::json;

use super::ApiError;
use super::child::ChildKind;
use crate::error::ReconcileError;
use crate::kinds::Kind;
use crate::labels::MANAGER;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::pipeline::apply::foreign_owner;
use crate::pipeline::build::{Child, Topic, kafka_topic};

/// How long one write may take.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// Writes, while this process leads.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    leadership: Leadership,
    recorder: Recorder,
    metrics: Metrics,
}

impl Writer {
    /// A writer that asks `leadership` before each request.
    #[must_use]
    pub fn new(
        client: Client,
        leadership: Leadership,
        reporter: Reporter,
        metrics: Metrics,
    ) -> Self {
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            leadership,
            metrics,
        }
    }

    async fn write<T>(
        &self,
        verb: &'static str,
        action: String,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ReconcileError> {
        if !self.leadership.holds_for(WRITE_TIMEOUT) {
            return Err(ReconcileError::NotLeading);
        }
        self.metrics.write(verb);
        timely(WRITE_TIMEOUT, request)
            .await
            .map_err(ReconcileError::api(action))
    }

    /// Applies an object that belongs to a resource; what others have changed of it is set back.
    ///
    /// # Errors
    /// When the API server refuses or this process does not lead.
    pub async fn apply(&self, child: &Child) -> Result<DynamicObject, ReconcileError> {
        let namespace = child.object.namespace().unwrap_or_default();
        let api = self.objects(&namespace, &child.kind.resource());
        let action = format!("apply {} {}", child.kind.as_str(), child.name());
        let parameters = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&child.object);
        self.write(
            "apply",
            action,
            api.patch(child.name(), &parameters, &patch),
        )
        .await
    }

    /// Applies a topic without taking over what another manager has set.
    ///
    /// # Errors
    /// When another manager has set it differently (409), the API server refuses, or this process does not lead.
    pub async fn apply_topic(
        &self,
        topic: &Topic,
        manager: &str,
    ) -> Result<DynamicObject, ReconcileError> {
        let name = topic.object.name_any();
        let namespace = topic.object.namespace().unwrap_or_default();
        let api = self.objects(&namespace, &kafka_topic());
        let action = format!("apply KafkaTopic {namespace}/{name}");
        let patch = Patch::Apply(&topic.object);
        self.write(
            "apply",
            action,
            api.patch(&name, &PatchParams::apply(manager), &patch),
        )
        .await
    }

    /// Deletes an object of a resource with what belongs to it, if it is still the one that was seen.
    ///
    /// # Errors
    /// When the API server refuses or this process does not lead.
    pub async fn delete(
        &self,
        kind: ChildKind,
        object: &DynamicObject,
    ) -> Result<(), ReconcileError> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api = self.objects(&namespace, &kind.resource());
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: object.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let action = format!("delete {} {name}", kind.as_str());
        let deleted = self
            .write("delete", action, api.delete(&name, &parameters))
            .await;
        match deleted {
            Err(error) if error.is_about_a_missing_object() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Writes a resource's status whole.
    ///
    /// # Errors
    /// When the API server refuses or this process does not lead.
    pub async fn write_status<K: Kind>(
        &self,
        metadata: &ObjectMeta,
        status: &ResourceStatus,
    ) -> Result<(), ReconcileError> {
        let kind = K::kind(&());
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let api = self.objects(namespace, &ApiResource::erase::<K>(&()));
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": kind,
            // The status of a later object of the same name is not this one's.
            "metadata": {"name": name, "namespace": namespace, "uid": metadata.uid},
            "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        let action = format!("write the status of {kind} {name}");
        let patch = Patch::Apply(&patch);
        let patched = api.patch_status(name, &parameters, &patch);
        self.write("status", action, patched).await.map(|_| ())
    }

    /// Marks a pod, so that its kubelet refreshes the mounted tuning now and not within a minute.
    ///
    /// # Errors
    /// When the API server refuses or this process does not lead.
    pub async fn nudge(&self, pod: &Pod, mark: &str) -> Result<(), ReconcileError> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let patch = json!({"metadata": {"annotations": {NUDGE: mark}}});
        let patch = Patch::Merge(&patch);
        let parameters = PatchParams::default();
        let nudged = self
            .write(
                "nudge",
                format!("mark pod {name}"),
                api.patch(&name, &parameters, &patch),
            )
            .await;
        match nudged {
            Err(error) if error.is_about_a_missing_object() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Tells of a transition. That it cannot be told is no failure of the resource's.
    pub async fn tell<K: Kind>(&self, resource: &K, event: &Event) {
        let reference = resource.object_ref(&());
        let told = self
            .write(
                "event",
                "tell an event".to_owned(),
                self.recorder.publish(event, &reference),
            )
            .await;
        if let Err(error) = told {
            tracing::debug!(error = error.full_message(), "an event was not told");
        }
    }

    /// The owner of an object that the caches do not show because it does not carry our labels.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn foreign_owner(
        &self,
        child: &Child,
        owner_uid: &str,
    ) -> Result<Option<String>, ReconcileError> {
        let namespace = child.object.namespace().unwrap_or_default();
        let api = self.objects(&namespace, &child.kind.resource());
        let action = format!("look for {} {}", child.kind.as_str(), child.name());
        let there = timely(WRITE_TIMEOUT, api.get_opt(child.name()))
            .await
            .map_err(ReconcileError::api(action))?;
        Ok(there.and_then(|there| foreign_owner(&there, owner_uid)))
    }

    fn objects(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }
}

/// Bounds a request in time.
///
/// # Errors
/// Those of the request, or that it took too long.
pub async fn timely<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    let late = |_| {
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        kube::Error::Service(Box::new(late))
    };
    let answer = tokio::time::timeout(limit, request).await;
    Ok(answer.map_err(late)??)
}
