//! Keeps what runs in line with the manifest files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use ordermill_config::{KafkaConnection, backend_port, full_error};
use ordermill_crds::Backend;
use ordermill_crds::validate::{Manifest, Schemas};
use ordermill_crds::values::TelemetryEndpoint;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::REFRESH;
use super::embedded::EmbeddedKafka;
use super::manifests::{self, Manifests, ResourceKey};
use super::ports::Ports;
use super::report::{ResourceReport, Summary};
use super::resource::Resource;
use super::wanted::{Surroundings, Wanted, wanted};

/// A file is read when it has not changed for this long, so that one being saved is not read half.
const SETTLED: Duration = Duration::from_millis(60);
/// Time after which a manifest that seems to be gone is looked for again.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// What the resources run with.
pub(super) struct Settings {
    pub paths: Vec<PathBuf>,
    pub schemas: Schemas,
    pub connection: KafkaConnection,
    pub otlp_endpoint: Option<TelemetryEndpoint>,
    /// Names this run towards Kafka.
    pub run: String,
}

/// Runs the resources and follows the files.
pub(super) struct Supervisor {
    settings: Settings,
    embedded: Option<EmbeddedKafka>,
    resources: BTreeMap<ResourceKey, Resource>,
    /// Resources whose manifest is gone, ending or ended.
    removed: Vec<Resource>,
    ports: Ports,
    /// Where backends keep their data, for as long as this runs.
    data: TempDir,
    changed: Arc<Notify>,
    _watcher: Option<RecommendedWatcher>,
}

impl Supervisor {
    pub(super) fn new(
        settings: Settings,
        embedded: Option<EmbeddedKafka>,
    ) -> std::io::Result<Self> {
        let changed = Arc::new(Notify::new());
        let watcher = watch(&settings.paths, &changed);
        if watcher.is_none() {
            tracing::warn!(
                "the system offers no file watch: edits of the manifests are not followed"
            );
        }
        Ok(Self {
            settings,
            embedded,
            resources: BTreeMap::new(),
            removed: Vec::new(),
            ports: Ports::default(),
            data: tempfile::Builder::new().prefix("ordermill-").tempdir()?,
            changed,
            _watcher: watcher,
        })
    }

    /// Brings what runs in line with the manifests. A resource whose manifest breaks a rule runs on as it was.
    pub(super) fn apply(&mut self, manifests: Manifests) {
        for violation in &manifests.violations {
            tracing::error!("{violation}; what runs stays as it was");
        }
        for key in manifests.gone(self.running()) {
            if let Some(mut resource) = self.resources.remove(&key) {
                tracing::info!(name = key.name, "the manifest is gone: {} stops", key.kind);
                resource.cancel();
                self.removed.push(resource);
            }
        }
        // Who calls a backend needs to know where it listens, whichever of the two comes first.
        for (key, manifest) in &manifests.objects {
            if let Some(port) = wanted_port(key, manifest) {
                self.ports.find(key, port);
            }
        }
        for (key, manifest) in manifests.objects {
            let file = manifest.file.clone();
            let resource = self.resources.entry(key.clone()).or_insert_with(|| {
                let former = self.removed.iter().position(|it| *it.key() == key);
                former.map_or_else(
                    || Resource::new(key.clone(), file.clone()),
                    |position| self.removed.swap_remove(position).renewed(),
                )
            });
            resource.file = file;
            let surroundings = Surroundings {
                connection: &self.settings.connection,
                otlp_endpoint: self.settings.otlp_endpoint.as_ref(),
                run: &self.settings.run,
                embedded: self.embedded.is_some(),
                ports: &self.ports,
                data: self.data.path(),
            };
            let wanted = wanted(&key, &manifest, resource.next_generation(), &surroundings);
            match (&wanted, &mut self.embedded) {
                (Wanted::Workload(workload), Some(embedded)) => {
                    let topics = workload.topics.iter();
                    topics.for_each(|topic| embedded.create(topic));
                }
                (Wanted::NotHere(why), _) if resource.runs() => {
                    tracing::warn!(name = key.name, "{} is left out: {why}", key.kind);
                }
                _ => {}
            }
            if let Err(error) = resource.apply(wanted) {
                tracing::error!(name = key.name, "cannot run: {}", full_error(&error));
            }
        }
    }

    /// Waits for the next thing to do and does it: a refresh is due, or files have changed. `false`: it is time to end.
    pub(super) async fn step(
        &mut self,
        cancelled: &CancellationToken,
        end: Option<Instant>,
    ) -> bool {
        let ended = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => return false,
            () = ended => return false,
            () = self.changed.notified() => self.reload().await,
            () = tokio::time::sleep(REFRESH) => {}
        }
        for resource in self.resources.values_mut() {
            resource.expire();
        }
        end.is_some() || !self.is_completed()
    }

    /// Runs without showing anything.
    pub(super) async fn run_until(&mut self, cancelled: &CancellationToken, end: Option<Instant>) {
        while self.step(cancelled, end).await {}
    }

    async fn reload(&mut self) {
        while tokio::time::timeout(SETTLED, self.changed.notified())
            .await
            .is_ok()
        {}
        let mut manifests = self.load();
        if !manifests.gone(self.running()).is_empty() {
            // A folder that is read while a file in it is replaced can show neither the old nor the new one, and some
            // editors delete before they write: only what stays away is gone.
            tokio::time::sleep(SECOND_LOOK).await;
            manifests = self.load();
        }
        self.apply(manifests);
    }

    fn load(&self) -> Manifests {
        manifests::load(&self.settings.paths, &self.settings.schemas)
    }

    /// What runs, with the file that it stands in.
    fn running(&self) -> impl Iterator<Item = (&ResourceKey, &str)> {
        self.resources
            .iter()
            .map(|(key, it)| (key, it.file.as_str()))
    }

    /// Whether every resource that can run has done all it was to do.
    fn is_completed(&self) -> bool {
        let mut running = self
            .resources
            .values()
            .filter(|resource| resource.runs())
            .peekable();
        running.peek().is_some() && running.all(Resource::is_completed)
    }

    /// Ends everything, those that call before those that are called; returns the records that were not delivered.
    pub(super) async fn stop(&mut self) -> usize {
        let mut undelivered = 0;
        let mut all: Vec<_> = self
            .resources
            .values_mut()
            .chain(&mut self.removed)
            .collect();
        all.sort_by_key(|resource| resource.place_at_the_end());
        for alike in all.chunk_by_mut(|one, next| one.place_at_the_end() == next.place_at_the_end())
        {
            for resource in alike.iter_mut() {
                resource.cancel();
            }
            for resource in alike {
                undelivered += resource.ended().await;
                resource.sum_up().await;
            }
        }
        undelivered
    }

    /// What is shown of the resources that have a manifest.
    pub(super) fn reports(&self) -> Vec<ResourceReport> {
        self.resources.values().map(Resource::report).collect()
    }

    /// What is shown at the end: also of those whose manifest went away.
    pub(super) fn summary(&self, kafka: &str) -> Summary {
        let all = self.resources.values().chain(&self.removed);
        Summary {
            kafka: kafka.to_owned(),
            resources: all.map(Resource::report).collect(),
        }
    }

    /// How to reach the Kafka that is used.
    pub(super) const fn connection(&self) -> &KafkaConnection {
        &self.settings.connection
    }
}

/// The port that a backend wants; none for other kinds.
fn wanted_port(key: &ResourceKey, manifest: &Manifest) -> Option<u16> {
    if key.kind != "Backend" {
        return None;
    }
    let backend: Backend = serde_json::from_value(manifest.value.clone()).ok()?;
    Some(backend_port(&backend.spec))
}

fn watch(paths: &[PathBuf], changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event as well, and no change.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    })
    .ok()?;
    for folder in manifests::folders(paths) {
        watcher.watch(&folder, RecursiveMode::Recursive).ok()?;
    }
    Some(watcher)
}
