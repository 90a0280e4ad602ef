//! What a spec does not say itself, and how it becomes the two documents.

use std::collections::BTreeMap;

use crate::{
    BackendRole, Documents, KafkaConnection, KafkaUse, ResourceReference, TelemetrySettings,
    Tuning, TuningDocument, WorkloadDocument, WorkloadSettings,
};

/// What a spec does not say itself: where the workload runs and what it finds there.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The resource.
    pub resource: ResourceReference,
    /// The resource's generation.
    pub generation: i64,
    /// Tells the tunings of one generation apart; the higher one is newer.
    pub revision: u32,
    /// How Kafka is reached; left out of the documents of a workload that needs none.
    pub kafka: Option<KafkaConnection>,
    /// Where telemetry goes.
    pub telemetry: TelemetrySettings,
    /// Whether the workload creates missing topics.
    pub create_topics: bool,
    /// The URLs of the services that it calls; left out of the documents where it calls none.
    pub backends: BTreeMap<BackendRole, String>,
}

impl Placement {
    /// Both documents of what runs here.
    pub(crate) fn documents(
        self,
        kafka: KafkaUse,
        workload: WorkloadSettings,
        tuning: Tuning,
    ) -> Documents {
        Documents {
            tuning: TuningDocument {
                uid: self.resource.uid.clone(),
                generation: self.generation,
                revision: self.revision,
                tuning,
            },
            workload: WorkloadDocument {
                resource: self.resource,
                kafka: self.kafka.filter(|_| kafka != KafkaUse::Unused),
                telemetry: self.telemetry,
                workload,
            },
        }
    }

    /// The URLs of those services that the workload calls.
    pub(crate) fn urls<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a BackendRole>,
    ) -> BTreeMap<BackendRole, String> {
        let url = |role: &BackendRole| Some((*role, self.backends.get(role)?.clone()));
        roles.into_iter().filter_map(url).collect()
    }
}
