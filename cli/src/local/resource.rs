//! One resource that runs: its instances, and what an edit does to them.

use std::time::Duration;

use ordermill_backend::{Contents, contents, database_url};
use ordermill_config::{Documents, StateReport, WorkloadSettings, full_error};
use ordermill_runtime::state::Phase;
use ordermill_runtime::telemetry::TelemetryError;
use ordermill_runtime::tuning::TuningHandle;
use tokio::time::Instant;

use super::instance::Running;
use super::manifests::ResourceKey;
use super::report::{ResourceReport, observed, sum};
use super::wanted::{Wanted, WantedWorkload};

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
    /// Where a backend keeps its data, where not in a file of its own.
    database_url: Option<String>,
    /// What a backend held when it ended.
    contents: Option<Contents>,
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
            database_url: None,
            contents: None,
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
            Wanted::Workload(wanted) => wanted,
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
        let WantedWorkload {
            mut documents,
            replicas,
            expires_after,
            database_url,
            topics: _,
        } = *wanted;
        self.not_here = None;
        self.expires_after = expires_after;
        let same_database = self.database_url == database_url;
        self.database_url = database_url;
        documents.tuning.tuning.paused |= self.is_over();
        let same_workload = same_database
            && self
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
            let name = &self.key.name;
            let database_url = self.database_url.clone();
            // Two cannot listen on one port.
            let is_backend = matches!(document.workload, WorkloadSettings::Backend(_));
            let former = self.former.last().filter(|_| is_backend);
            let former = former.map(|it| it.ended.clone());
            let running = Running::start(document, tuning, ordinal, name, database_url, former)?;
            self.instances.push(running);
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

    /// Whether all that it was to do is done; what serves others is never done.
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

    /// When it ends among the others: those that call somebody before those who are called.
    pub(super) fn place_at_the_end(&self) -> u8 {
        match self.documents.as_ref().map(|it| &it.workload.workload) {
            None | Some(WorkloadSettings::Producer(_)) => 0,
            Some(WorkloadSettings::Consumer(_)) => 1,
            Some(WorkloadSettings::Worker(_)) => 2,
            Some(WorkloadSettings::Backend(_)) => 3,
        }
    }

    /// Sums up what a backend that has ended holds.
    pub(super) async fn sum_up(&mut self) {
        let settings = self.documents.as_ref().map(|it| &it.workload.workload);
        let Some(WorkloadSettings::Backend(settings)) = settings else {
            return;
        };
        let summed = async {
            let url = database_url(settings, self.database_url.as_deref()).map_err(told)?;
            contents(settings.app, &url).await.map_err(told)
        };
        match summed.await {
            Ok(contents) => self.contents = contents,
            Err(error) => {
                tracing::warn!(name = self.key.name, "its contents cannot be told: {error}");
            }
        }
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
        let report = sum(&instances, &former).unwrap_or_else(|| ResourceReport {
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
            contents: None,
        });
        ResourceReport {
            contents: self.contents.clone(),
            ..report
        }
    }
}

fn told(error: impl std::error::Error) -> String {
    full_error(&error)
}
