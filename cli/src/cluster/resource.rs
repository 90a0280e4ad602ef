//! One resource of ours, of any kind, also of a newer version of the definitions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use ordermill_crds::ResourceStatus;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Kind, Reference};

/// A resource as the API server stores it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) object: DynamicObject,
}

impl Resource {
    pub(crate) fn new(kind: Kind, object: DynamicObject) -> Self {
        Self { kind, object }
    }

    pub(crate) fn name(&self) -> String {
        self.object.name_any()
    }

    pub(crate) fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> String {
        self.object.uid().unwrap_or_default()
    }

    pub(crate) fn reference(&self) -> Reference {
        Reference {
            kind: self.kind,
            name: self.name(),
        }
    }

    pub(crate) fn generation(&self) -> i64 {
        self.object.metadata.generation.unwrap_or_default()
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.object.creation_timestamp().map(|time| time.0)
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.object.labels().get(name).map(String::as_str)
    }

    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        self.object.annotations()
    }

    pub(crate) fn raw_spec(&self) -> &Value {
        &self.object.data["spec"]
    }

    /// The spec as a type of this version; `None` where it holds something newer.
    pub(crate) fn spec<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.raw_spec()).ok()
    }

    /// What the operator wrote; `None` also where it cannot be read.
    pub(crate) fn status(&self) -> Option<ResourceStatus> {
        let status = self.object.data.get("status")?;
        serde::Deserialize::deserialize(status).ok()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.raw_spec()["paused"] == true
    }
}
