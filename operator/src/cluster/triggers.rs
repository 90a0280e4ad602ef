//! Whom a change concerns: which resources are to be looked at again.

use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use ordermill_crds::GROUP;

use crate::labels::{COMPONENT, RESOURCE};

/// Which resources are to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// One, by kind or component, namespace and name.
    One {
        /// Its kind (`OrderProducer`) or component (`producer`).
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Those that refer to an object.
    Referring(Reference),
    /// All of the scope.
    All,
}

/// An object that resources may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `Backend`, `Kafka`, `KafkaUser` or `KafkaTopic`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Where triggers go: each controller has a subscription.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    subscribers: Arc<Mutex<Vec<UnboundedSender<Trigger>>>>,
}

impl Triggers {
    /// A new subscription.
    #[must_use]
    pub fn subscribe(&self) -> UnboundedReceiver<Trigger> {
        let (sender, receiver) = unbounded();
        self.lock().push(sender);
        receiver
    }

    pub(super) fn send(&self, trigger: &Trigger) {
        for subscriber in self.lock().iter() {
            // Only a controller that has ended does not listen.
            _ = subscriber.unbounded_send(trigger.clone());
        }
    }

    /// Has every resource looked at again.
    pub fn all(&self) {
        self.send(&Trigger::All);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<UnboundedSender<Trigger>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The resource that controls an object.
pub(super) fn owner(object: &DynamicObject) -> Option<Trigger> {
    let owners = object.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let (group, _) = owner.api_version.split_once('/')?;
    (group == GROUP).then(|| Trigger::One {
        kind: owner.kind.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: owner.name.clone(),
    })
}

/// The resource that a pod works for: a `ReplicaSet` or a Job stands between them.
pub(super) fn resource_of(pod: &Pod) -> Option<Trigger> {
    Some(Trigger::One {
        kind: pod.labels().get(COMPONENT)?.clone(),
        namespace: pod.namespace()?,
        name: pod.annotations().get(RESOURCE)?.clone(),
    })
}
