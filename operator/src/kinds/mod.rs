//! The four kinds: what makes each different is one small implementation of [`Kind`].

mod backend;
mod consumer;
mod producer;
mod worker;

use std::collections::BTreeMap;
use std::fmt::Debug;

use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use ordermill_config::{BackendRole, Documents, KafkaUse, Placement};
use ordermill_crds::values::BackendReference;
use ordermill_crds::{CommonSpec, Connection, ResourceStatus, Storage, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of resource that becomes a workload.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status = ResourceStatus>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// One word for what the workload is: part of the children's names and labels.
    const COMPONENT: &'static str;

    /// What all kinds have.
    fn common(&self) -> &CommonSpec;

    /// What the workload needs around it.
    fn needs(&self) -> Needs;

    /// What the workload runs with.
    fn documents(&self, placement: Placement) -> Documents;

    /// What the schema cannot check: why this version cannot do what the spec asks for.
    ///
    /// # Errors
    /// The field, why, and what to do.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What a workload needs around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Whether it talks to Kafka.
    pub kafka: KafkaUse,
    /// Topics that it uses.
    pub topics: Vec<Topic>,
    /// Backends that it calls.
    pub backends: BTreeMap<BackendRole, BackendReference>,
    /// Its database.
    pub database: Option<Connection>,
    /// Its cache.
    pub cache: Option<Connection>,
    /// Where it serves.
    pub port: Option<Port>,
    /// What it keeps on disk.
    pub disk: Disk,
}

impl Needs {
    /// Nothing but Kafka, as it says.
    #[must_use]
    pub const fn kafka(kafka: KafkaUse) -> Self {
        Self {
            kafka,
            topics: Vec::new(),
            backends: BTreeMap::new(),
            database: None,
            cache: None,
            port: None,
            disk: Disk::None,
        }
    }
}

/// A port that others reach a workload by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its name: the protocol, as Services and service meshes take it.
    pub name: &'static str,
    /// Its number.
    pub number: u16,
}

/// What a workload keeps on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Disk {
    /// Nothing.
    #[default]
    None,
    /// Data that ends with the pod.
    Ephemeral,
    /// Data on a volume.
    Volume(Storage),
}

/// The number of a backend's port.
#[must_use]
pub fn backend_port(backend: &ordermill_crds::Backend) -> u16 {
    backend::port(backend).number
}
