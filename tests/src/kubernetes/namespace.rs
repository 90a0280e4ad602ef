//! A namespace for each test.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{self, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;
use crate::wait::until;

/// The controllers take a second to start, and more where a machine compiles meanwhile.
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// Tells the namespaces of tests from all others.
pub(crate) const OF_TESTS: &str = "ordermill.dev/test";

/// The namespaces whose tests have ended. They are deleted when the next one is made: a drop cannot wait for an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving(Arc<Lock<Vec<String>>>);

impl Leaving {
    fn add(&self, name: String) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A namespace of one test, by a client that may do anything.
pub struct Namespace {
    name: String,
    client: Client,
    leaving: Leaving,
}

impl Namespace {
    pub(crate) async fn create(
        client: Client,
        name: &str,
        leaving: &Leaving,
    ) -> Result<Self, Error> {
        for name in leaving.take() {
            delete(&client, &name).await;
        }
        let namespace: v1::Namespace = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted", OF_TESTS: ""},
            },
        }))
        .map_err(Error::Json)?;
        Api::<v1::Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .map_err(Error::client("creating a namespace"))?;
        let namespace = Self {
            name: name.to_owned(),
            client,
            leaving: leaving.clone(),
        };
        let accounts: Api<ServiceAccount> = namespace.api();
        // No pod is admitted without it.
        let exists = until(READY_DEADLINE, async || accounts.get("default").await).await;
        exists.map_err(|timed_out| Error::Waiting {
            what: "the namespace's default ServiceAccount",
            why: timed_out.to_string(),
        })?;
        Ok(namespace)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client that may do anything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The objects of a kind in it.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        Api::namespaced(self.client(), &self.name)
    }
}

/// Without waiting for it: a test that has ended needs no answer. Pods go at once, as no kubelet lets go of them.
async fn delete(client: &Client, name: &str) {
    let namespaces: Api<v1::Namespace> = Api::all(client.clone());
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let _ = namespaces.delete(name, &DeleteParams::default()).await;
    let _ = pods
        .delete_collection(
            &DeleteParams::default().grace_period(0),
            &ListParams::default(),
        )
        .await;
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.leaving.add(std::mem::take(&mut self.name));
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Namespace")
            .field(&self.name)
            .finish()
    }
}
