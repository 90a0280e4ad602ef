//! From a resource to what runs on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ordermill_config::{
    BackendRole, Documents, KafkaConnection, Placement, ResourceReference, StorageSettings,
    TelemetrySettings, WorkloadSettings, backend_documents, consumer_documents, consumer_topics,
    producer_documents, required_backends, worker_documents,
};
use ordermill_crds::validate::Manifest;
use ordermill_crds::values::{BackendReference, Period, TelemetryEndpoint};
use ordermill_crds::{
    Backend, BackendApp, CommonSpec, Connection, ConsumerHandler, GroupProtocol, LogFormat,
    OrderProducer, StreamConsumer, Topic, Worker, WorkerTask,
};
use serde::de::DeserializeOwned;

use super::embedded::MEMBER_PROPERTIES;
use super::manifests::ResourceKey;
use super::ports::Ports;

/// What a resource asks for, as far as this machine can run it.
pub(super) enum Wanted {
    /// It runs.
    Workload(Box<WantedWorkload>),
    /// It cannot run here; why.
    NotHere(String),
}

/// A workload, derived from its resource.
pub(super) struct WantedWorkload {
    pub documents: Documents,
    pub replicas: u32,
    pub expires_after: Option<Duration>,
    /// The topics that are to be there.
    pub topics: Vec<Topic>,
    /// Where a backend keeps its data, where it does not keep it in a file of its own.
    pub database_url: Option<String>,
}

/// What a resource runs with on this machine.
pub(super) struct Surroundings<'a> {
    pub connection: &'a KafkaConnection,
    pub otlp_endpoint: Option<&'a TelemetryEndpoint>,
    pub run: &'a str,
    pub embedded: bool,
    /// Where the backends of the manifests listen.
    pub ports: &'a Ports,
    /// Where they keep their data.
    pub data: &'a Path,
}

/// Why a resource cannot run here.
type NotHere = String;

/// Derives what to run from a resource that keeps every rule.
pub(super) fn wanted(
    key: &ResourceKey,
    manifest: &Manifest,
    generation: i64,
    surroundings: &Surroundings<'_>,
) -> Wanted {
    let place = Place {
        key,
        generation,
        surroundings,
    };
    let workload = match key.kind.as_str() {
        "OrderProducer" => read(manifest).and_then(|resource| producer(&place, resource)),
        "StreamConsumer" => read(manifest).and_then(|resource| consumer(&place, resource)),
        "Worker" => read(manifest).and_then(|resource| worker(&place, resource)),
        "Backend" => read(manifest).and_then(|resource| backend(&place, resource)),
        kind => Err(format!("{kind} cannot run locally yet")),
    };
    match workload {
        Ok(workload) => Wanted::Workload(Box::new(workload)),
        Err(why) => Wanted::NotHere(why),
    }
}

fn read<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, NotHere> {
    serde_json::from_value(manifest.value.clone())
        .map_err(|error| format!("it cannot be read: {error}"))
}

fn producer(place: &Place<'_>, resource: OrderProducer) -> Result<WantedWorkload, NotHere> {
    let spec = resource.spec;
    let options = spec.drink_order.as_ref();
    if options.is_some_and(|options| options.backend.is_some()) {
        return Err("drinkOrder.backend cannot run locally yet".to_owned());
    }
    let documents = producer_documents(&spec, place.placement(&spec.common, BTreeMap::new()));
    let settings = documents.workload.workload.producer();
    let topics = settings.map(|settings| settings.topics.values().cloned().collect());
    Ok(WantedWorkload {
        topics: topics.unwrap_or_default(),
        ..workload(documents, &spec.common)
    })
}

fn consumer(place: &Place<'_>, resource: StreamConsumer) -> Result<WantedWorkload, NotHere> {
    let spec = resource.spec;
    match spec.handler {
        ConsumerHandler::OrderCheck | ConsumerHandler::StockCheck => {}
        handler => return Err(format!("handler {handler:?} cannot run locally yet")),
    }
    let backends = place.urls(&required_backends(&spec))?;
    let mut documents = consumer_documents(&spec, place.placement(&spec.common, backends));
    // In the newer protocol, the broker alone decides on sessions.
    let classic = spec.group_protocol.unwrap_or_default() == GroupProtocol::Classic;
    if let Some(kafka) = &mut documents.workload.kafka
        && place.surroundings.embedded
        && classic
    {
        for (name, value) in MEMBER_PROPERTIES {
            let property = kafka.properties.entry(name.to_owned());
            property.or_insert_with(|| value.to_owned());
        }
    }
    Ok(WantedWorkload {
        topics: consumer_topics(&spec),
        ..workload(documents, &spec.common)
    })
}

fn worker(place: &Place<'_>, resource: Worker) -> Result<WantedWorkload, NotHere> {
    let spec = resource.spec;
    if spec.task != WorkerTask::OrderManagement {
        return Err(format!("task {:?} cannot run locally yet", spec.task));
    }
    let backends = place.urls(&required_backends(&spec))?;
    let documents = worker_documents(&spec, place.placement(&spec.common, backends));
    Ok(workload(documents, &spec.common))
}

fn backend(place: &Place<'_>, resource: Backend) -> Result<WantedWorkload, NotHere> {
    let spec = resource.spec;
    if spec.app == BackendApp::Customer {
        return Err("app Customer cannot run locally yet".to_owned());
    }
    let database_url = spec.database.as_ref().map(url).transpose()?;
    let mut documents = backend_documents(&spec, place.placement(&spec.common, BTreeMap::new()));
    if let WorkloadSettings::Backend(settings) = &mut documents.workload.workload {
        if let Some(port) = place.surroundings.ports.of(place.key) {
            settings.port = port;
        }
        settings.storage = None;
        if database_url.is_none() {
            settings.storage = Some(StorageSettings {
                folder: place.data_folder()?,
                persistent: false,
            });
        }
    }
    let workload = workload(documents, &spec.common);
    if workload.replicas > 1 {
        tracing::warn!(
            name = place.key.name,
            "one process listens on the port: of {} replicas, one runs",
            workload.replicas
        );
    }
    Ok(WantedWorkload {
        replicas: workload.replicas.min(1),
        database_url,
        ..workload
    })
}

fn url(database: &Connection) -> Result<String, NotHere> {
    let url = database.url.clone();
    url.ok_or_else(|| "its database is in a Secret, which only a cluster has".to_owned())
}

fn workload(documents: Documents, common: &CommonSpec) -> WantedWorkload {
    WantedWorkload {
        documents,
        replicas: u32::try_from(common.replicas).unwrap_or(0),
        expires_after: common.expires_after.map(Period::get),
        topics: Vec::new(),
        database_url: None,
    }
}

/// Where a resource runs.
struct Place<'a> {
    key: &'a ResourceKey,
    generation: i64,
    surroundings: &'a Surroundings<'a>,
}

impl Place<'_> {
    fn placement(&self, common: &CommonSpec, backends: BTreeMap<BackendRole, String>) -> Placement {
        let telemetry = common.telemetry.clone().unwrap_or_default();
        let mut kafka = self.surroundings.connection.clone();
        if let Some(given) = &common.kafka {
            kafka.properties.extend(given.properties.clone());
        }
        Placement {
            resource: ResourceReference {
                kind: self.key.kind.clone(),
                namespace: self.key.namespace.clone(),
                name: self.key.name.clone(),
                uid: self.surroundings.run.to_owned(),
            },
            generation: self.generation,
            revision: 0,
            kafka: Some(kafka),
            telemetry: TelemetrySettings {
                endpoint: self.surroundings.otlp_endpoint.cloned(),
                protocol: telemetry.protocol.unwrap_or_default(),
                service_name: self.key.name.clone(),
                log_format: LogFormat::Text,
            },
            create_topics: !self.surroundings.embedded,
            backends,
        }
    }

    /// A folder of its own for its data.
    fn data_folder(&self) -> Result<PathBuf, NotHere> {
        let data = self.surroundings.data.join(&self.key.namespace);
        let folder = data.join(&self.key.name);
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        Ok(folder)
    }

    /// Where the services listen that it calls: those of the manifests on this machine, others where they say.
    fn urls(
        &self,
        needed: &BTreeMap<BackendRole, BackendReference>,
    ) -> Result<BTreeMap<BackendRole, String>, NotHere> {
        let url = |reference: &BackendReference| {
            if let Some(url) = reference.url() {
                return Ok(url.to_owned());
            }
            let key = ResourceKey {
                kind: "Backend".to_owned(),
                namespace: self.key.namespace.clone(),
                name: reference.to_string(),
            };
            let port = self.surroundings.ports.of(&key);
            port.map(|port| format!("http://127.0.0.1:{port}"))
                .ok_or_else(|| format!("it calls the Backend {reference}, which no manifest has"))
        };
        needed
            .iter()
            .map(|(role, reference)| Ok((*role, url(reference)?)))
            .collect()
    }
}
