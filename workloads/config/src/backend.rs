//! From the spec of a `Backend` to what its workload runs with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ordermill_crds::values::Fraction;
use ordermill_crds::{BackendApp, BackendSpec, ProducerModel, Topic};
use ordermill_events::EventType;
use serde::{Deserialize, Serialize};

use crate::producer::topics;
use crate::{
    BackendRole, BackendTuning, DATA_FOLDER, Documents, Needs, Placement, Tuning, WorkloadSettings,
    optional_backends,
};

/// What a backend serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendSettings {
    /// What it serves.
    pub app: BackendApp,
    /// Port of the API.
    pub port: u16,
    /// Where `SQLite` keeps its file; absent with a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSettings>,
    /// The URLs of the services that it calls where they are there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<BackendRole, String>,
    /// The topic of each type of event that it publishes, where it has a Kafka.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<EventType, Topic>,
    /// Whether the workload creates missing topics; not where somebody else manages them.
    pub create_topics: bool,
}

/// Where `SQLite` keeps its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSettings {
    /// The folder.
    pub folder: PathBuf,
    /// Whether what is there outlives the pod.
    pub persistent: bool,
}

/// Derives both documents of a backend.
#[must_use]
pub fn backend_documents(spec: &BackendSpec, placement: Placement) -> Documents {
    let mut tuning = Tuning::common(&spec.common, Fraction::MINIMUM);
    tuning.backend = Some(BackendTuning {
        faults: spec.faults.clone().unwrap_or_default(),
    });
    let settings = BackendSettings {
        app: spec.app,
        port: backend_port(spec),
        storage: spec.database.is_none().then(|| StorageSettings {
            folder: PathBuf::from(DATA_FOLDER),
            persistent: spec.storage.is_some(),
        }),
        backends: placement.urls(optional_backends(spec).keys()),
        topics: published(spec),
        create_topics: placement.create_topics,
    };
    placement.documents(spec.kafka(), WorkloadSettings::Backend(settings), tuning)
}

/// The port of a backend's API: as given, or that of the app.
#[must_use]
pub fn backend_port(spec: &BackendSpec) -> u16 {
    let default = match spec.app {
        BackendApp::Order => 5000,
        BackendApp::Stock => 5001,
        BackendApp::Customer => 50052,
    };
    spec.port
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(default)
}

/// Every topic that a backend publishes to once drinks are ordered from it. A backend of wood orders never does, so these
/// need not exist before.
#[must_use]
pub fn backend_topics(spec: &BackendSpec) -> Vec<Topic> {
    published(spec).into_values().collect()
}

fn published(spec: &BackendSpec) -> BTreeMap<EventType, Topic> {
    match spec.app {
        BackendApp::Order => topics(ProducerModel::DrinkOrder, None),
        BackendApp::Stock | BackendApp::Customer => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{changed, placement};

    fn documents(spec: &str) -> Documents {
        backend_documents(&serde_yaml::from_str(spec).unwrap(), placement("Backend"))
    }

    #[test]
    fn each_app_has_its_port() {
        for (spec, port) in [
            ("{app: Order}", 5000),
            ("{app: Stock}", 5001),
            ("{app: Customer}", 50052),
            ("{app: Customer, port: 65535}", 65535),
        ] {
            assert_eq!(backend_port(&serde_yaml::from_str(spec).unwrap()), port);
        }
    }

    #[test]
    fn only_the_order_backend_knows_kafka() {
        assert!(documents("{app: Order}").workload.kafka.is_some());
        assert_eq!(documents("{app: Stock}").workload.kafka, None);
        let topics = backend_topics(&serde_yaml::from_str("{app: Order}").unwrap());
        assert_eq!(topics.len(), 4);
    }

    #[test]
    fn an_edit_changes_the_document_that_it_belongs_to() {
        let base = documents("{app: Order}");
        for (spec, workload, tuning) in [
            ("{app: Order, errorRate: 0.5}", false, true),
            ("{app: Order, faults: {httpError: {rate: 1}}}", false, true),
            ("{app: Order, port: 8080}", true, false),
            ("{app: Order, storage: {size: 1Gi}}", true, false),
            (
                "{app: Order, database: {url: 'postgres://a@b/c'}}",
                true,
                false,
            ),
        ] {
            assert_eq!(
                changed(&base, &documents(spec)),
                (workload, tuning),
                "{spec}"
            );
        }
    }
}
