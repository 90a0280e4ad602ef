//! One resource that runs: its instances, and what an edit does to them.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_config::{
    Documents, KafkaConnection, Placement, ResourceReference, StateReport, TelemetrySettings,
    TroubleReason, full_error, process_variables, producer_documents,
};
use ordermill_crds::validate::Manifest;
use ordermill_crds::values::{Period, TelemetryEndpoint};
use ordermill_crds::{LogFormat, OrderProducer, Topic};
use ordermill_runtime::state::Phase;
use ordermill_runtime::telemetry::TelemetryError;
use ordermill_runtime::tuning::TuningHandle;
use ordermill_runtime::{Instance, Workload, WorkloadEnd};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::manifests::ResourceKey;
use super::report::{ResourceReport, observed, sum};

/// What a resource asks for, as far as this machine can run it.
pub(super) enum Wanted {
    /// It runs.
    Producer(Box<WantedProducer>),
    /// It cannot run here; why.
    NotHere(String),
}

/// A producer, derived from its resource.
pub(super) struct WantedProducer {
    pub documents: Documents,
    pub replicas: u32,
    pub expires_after: Option<Duration>,
}

/// What a resource runs with on this machine.
pub(super) struct Surroundings<'a> {
    pub connection: &'a KafkaConnection,
    pub otlp_endpoint: Option<&'a TelemetryEndpoint>,
    pub run: &'a str,
    pub embedded: bool,
}

/// Derives what to run from a resource that keeps every rule.
pub(super) fn wanted(
    key: &ResourceKey,
    manifest: &Manifest,
    generation: i64,
    surroundings: &Surroundings<'_>,
) -> Wanted {
    if key.kind != "OrderProducer" {
        return Wanted::NotHere(format!("{} cannot run locally yet", key.kind));
    }
    let producer: OrderProducer = match serde_json::from_value(manifest.value.clone()) {
        Ok(producer) => producer,
        Err(error) => return Wanted::NotHere(format!("it cannot be read: {error}")),
    };
    let spec = producer.spec;
    if spec
        .drink_order
        .as_ref()
        .is_some_and(|options| options.backend.is_some())
    {
        return Wanted::NotHere("drinkOrder.backend cannot run locally yet".to_owned());
    }
    let telemetry = spec.common.telemetry.clone().unwrap_or_default();
    let mut kafka = surroundings.connection.clone();
    if let Some(given) = &spec.common.kafka {
        kafka.properties.extend(given.properties.clone());
    }
    let placement = Placement {
        resource: ResourceReference {
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: surroundings.run.to_owned(),
        },
        generation,
        revision: 0,
        kafka: Some(kafka),
        telemetry: TelemetrySettings {
            endpoint: surroundings.otlp_endpoint.cloned(),
            protocol: telemetry.protocol.unwrap_or_default(),
            service_name: key.name.clone(),
            log_format: LogFormat::Text,
        },
        create_topics: !surroundings.embedded,
        backends: BTreeMap::new(),
    };
    let documents = producer_documents(&spec, placement);
    Wanted::Producer(Box::new(WantedProducer {
        documents,
        replicas: u32::try_from(spec.common.replicas).unwrap_or(0),
        expires_after: spec.common.expires_after.map(Period::get),
    }))
}

impl WantedProducer {
    /// The topics that it sends to.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Topic> {
        let producer = self.documents.workload.workload.producer();
        producer
            .into_iter()
            .flat_map(|settings| settings.topics.values())
    }
}

/// One instance of a resource.
struct Running {
    workload: Workload,
    task: JoinHandle<usize>,
}

/// A resource that is known to the supervisor.
pub(super) struct Resource {
    key: ResourceKey,
    /// The file that it stands in.
    pub file: String,
    generation: i64,
    documents: Option<Documents>,
    tuning: Option<TuningHandle>,
    instances: Vec<Running>,
    not_here: Option<String>,
    created: Instant,
    expires_after: Option<Duration>,
    /// Instances that were replaced or are too many: they are ending or have ended.
    former: Vec<Running>,
}

impl Resource {
    pub(super) fn new(key: ResourceKey, file: String) -> Self {
        Self {
            key,
            file,
            generation: 0,
            documents: None,
            tuning: None,
            instances: Vec::new(),
            not_here: None,
            created: Instant::now(),
            expires_after: None,
            former: Vec::new(),
        }
    }

    /// What tells it from all others.
    pub(super) const fn key(&self) -> &ResourceKey {
        &self.key
    }

    /// The same resource, whose manifest was gone and has come back: it starts anew, and what it counted still counts.
    pub(super) fn renewed(mut self) -> Self {
        self.end_from(0);
        self.documents = None;
        self.created = Instant::now();
        self
    }

    /// The generation that the next edit gets.
    pub(super) const fn next_generation(&self) -> i64 {
        self.generation + 1
    }

    /// Follows an edit: what is tunable reaches the running instances, anything else replaces them.
    pub(super) fn apply(&mut self, wanted: Wanted) -> Result<(), TelemetryError> {
        let wanted = match wanted {
            Wanted::Producer(wanted) => wanted,
            Wanted::NotHere(why) => {
                self.end_from(0);
                self.documents = None;
                if self.not_here.as_ref() != Some(&why) {
                    self.generation += 1;
                    self.not_here = Some(why);
                }
                return Ok(());
            }
        };
        let WantedProducer {
            mut documents,
            replicas,
            expires_after,
        } = *wanted;
        self.not_here = None;
        self.expires_after = expires_after;
        documents.tuning.tuning.paused |= self.is_over();
        let same_workload = self
            .documents
            .as_ref()
            .is_some_and(|running| running.workload == documents.workload);
        let same_tuning = self
            .documents
            .as_ref()
            .is_some_and(|running| running.tuning.tuning == documents.tuning.tuning);
        let same_size = self.instances.len() == replicas as usize;
        if same_workload && same_tuning && same_size {
            return Ok(());
        }
        self.generation = documents.tuning.generation;
        if same_workload {
            if let Some(tuning) = &self.tuning {
                // The generation only grows, and the uid is this run's.
                _ = tuning.offer(documents.tuning.clone());
            }
        } else {
            if self.documents.is_some() {
                tracing::info!(
                    name = self.key.name,
                    "the edit cannot be taken live: the instances are replaced"
                );
            }
            self.end_from(0);
            self.tuning = Some(TuningHandle::new(documents.tuning.clone()));
        }
        self.documents = Some(documents);
        self.end_from(replicas as usize);
        self.start_up_to(replicas)
    }

    fn start_up_to(&mut self, replicas: u32) -> Result<(), TelemetryError> {
        let (Some(documents), Some(tuning)) = (&self.documents, &self.tuning) else {
            return Ok(());
        };
        for ordinal in u32::try_from(self.instances.len()).unwrap_or(u32::MAX)..replicas {
            let document = documents.workload.clone();
            let instance = Instance::of(&document, ordinal, &self.key.name);
            let cancelled = CancellationToken::new();
            let workload = Workload::start(
                document,
                tuning.clone(),
                instance,
                &process_variables(),
                cancelled,
            )?;
            let task = tokio::spawn(run(workload.clone()));
            self.instances.push(Running { workload, task });
        }
        Ok(())
    }

    fn end_from(&mut self, first: usize) {
        let first = first.min(self.instances.len());
        for instance in self.instances.drain(first..) {
            instance.workload.cancelled.cancel();
            self.former.push(instance);
        }
    }

    /// Whether its time is over.
    fn is_over(&self) -> bool {
        self.expires_after
            .is_some_and(|after| self.created.elapsed() >= after)
    }

    /// Pauses a resource whose time is over.
    pub(super) fn expire(&mut self) {
        let over = self.is_over();
        let (Some(documents), Some(tuning), true) = (&mut self.documents, &self.tuning, over)
        else {
            return;
        };
        let document = &mut documents.tuning;
        if !document.tuning.paused {
            document.tuning.paused = true;
            document.generation = self.generation + 1;
            self.generation = document.generation;
            tracing::info!(
                name = self.key.name,
                "expiresAfter has passed: the resource is paused"
            );
            // The generation only grows, and the uid is this run's.
            _ = tuning.offer(document.clone());
        }
    }

    /// Whether all that it was to do is done.
    pub(super) fn is_completed(&self) -> bool {
        !self.instances.is_empty()
            && self
                .instances
                .iter()
                .all(|it| it.workload.state.phase() == Phase::Completed)
    }

    /// Whether it can run here at all.
    pub(super) const fn runs(&self) -> bool {
        self.not_here.is_none()
    }

    /// Asks every instance to end.
    pub(super) fn cancel(&mut self) {
        for instance in &self.instances {
            instance.workload.cancelled.cancel();
        }
    }

    /// Waits until every instance that was asked to end has ended; returns the records that were not delivered.
    pub(super) async fn ended(&mut self) -> usize {
        let mut undelivered = 0;
        for instance in self.instances.iter_mut().chain(&mut self.former) {
            match (&mut instance.task).await {
                Ok(records) => undelivered += records,
                Err(error) => {
                    tracing::error!(name = self.key.name, "an instance broke down: {error}");
                }
            }
        }
        undelivered
    }

    /// What is shown of it.
    pub(super) fn report(&self) -> ResourceReport {
        let reports = |running: &[Running]| -> Vec<StateReport> {
            running
                .iter()
                .map(|it| it.workload.state.report())
                .collect()
        };
        let (instances, former) = (reports(&self.instances), reports(&self.former));
        let state = if self.runs() {
            "ScaledToZero"
        } else {
            "NotRunnable"
        };
        sum(&instances, &former).unwrap_or_else(|| ResourceReport {
            kind: self.key.kind.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            generation: self.generation,
            state: state.to_owned(),
            reason: None,
            message: self.not_here.clone(),
            planned_rate_per_second: 0.0,
            lateness_seconds: None,
            observed: observed(&[], &former),
        })
    }
}

/// Runs one instance to its end; returns the records that were not delivered.
async fn run(workload: Workload) -> usize {
    let end = ordermill_producer::run_producer(workload.clone()).await;
    workload.flush_telemetry().await;
    match end {
        Ok(WorkloadEnd::Undelivered(records)) => records,
        Ok(WorkloadEnd::Completed | WorkloadEnd::Stopped) => 0,
        Err(error) => {
            workload
                .health
                .report(TroubleReason::ConfigurationInvalid, full_error(&error));
            0
        }
    }
}
