//! The kinds of objects that a resource becomes.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::api::ApiResource;

/// A kind of object that belongs to a resource and goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// Who the pods are; without a token.
    ServiceAccount,
    /// What they run with.
    ConfigMap,
    /// Their disk.
    PersistentVolumeClaim,
    /// How others reach them.
    Service,
    /// Who may reach them.
    NetworkPolicy,
    /// How many may be evicted at once.
    PodDisruptionBudget,
    /// Pods without end.
    Deployment,
    /// Pods until the work is done.
    Job,
}

impl ChildKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Deployment,
        Self::Job,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::Job => "Job",
        }
    }

    /// Where the API server serves it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        fn of<K: Resource<DynamicType = ()>>() -> ApiResource {
            ApiResource::erase::<K>(&())
        }
        match self {
            Self::ServiceAccount => of::<ServiceAccount>(),
            Self::ConfigMap => of::<ConfigMap>(),
            Self::PersistentVolumeClaim => of::<PersistentVolumeClaim>(),
            Self::Service => of::<Service>(),
            Self::NetworkPolicy => of::<NetworkPolicy>(),
            Self::PodDisruptionBudget => of::<PodDisruptionBudget>(),
            Self::Deployment => of::<Deployment>(),
            Self::Job => of::<Job>(),
        }
    }
}
