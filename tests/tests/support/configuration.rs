//! The folder that a workload is configured by.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ordermill_config::{
    BackendRole, Documents, KafkaConnection, Placement, ResourceReference, TUNING_FILE,
    TelemetrySettings, WORKLOAD_FILE, backend_documents, consumer_documents, producer_documents,
    worker_documents,
};
use ordermill_crds::{BackendSpec, OrderProducerSpec, StreamConsumerSpec, WorkerSpec};
use ordermill_tests::{Scratch, TestResult, unique};

/// What a producer's spec does not say itself.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The resource's name, which a seeded run's instances are named after.
    pub name: String,
    /// How Kafka is reached.
    pub kafka: KafkaConnection,
    /// Where telemetry goes.
    pub telemetry: TelemetrySettings,
}

impl Setup {
    /// Kafka in plain text and no telemetry.
    pub fn plain(bootstrap: &str) -> TestResult<Self> {
        Ok(Self {
            name: "producer".to_owned(),
            kafka: KafkaConnection::plain(bootstrap.parse()?),
            telemetry: no_telemetry("producer"),
        })
    }
}

fn no_telemetry(name: &str) -> TelemetrySettings {
    TelemetrySettings {
        service_name: name.to_owned(),
        ..TelemetrySettings::default()
    }
}

/// How the two files lie in their folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// As somebody saved them.
    Saved,
    /// As a kubelet mounts a `ConfigMap`: links through `..data` to a folder of each version.
    Mounted,
}

const DATA: &str = "..data";

/// Derives both documents from a spec in YAML.
type Derive = fn(&str, Placement) -> TestResult<Documents>;

/// A folder with both documents, as the operator derives them from a spec.
#[derive(Debug)]
pub struct Configuration {
    // Shared with the workloads that run with it.
    folder: Arc<Scratch>,
    layout: Layout,
    derive: Derive,
    placement: Placement,
}

impl Configuration {
    /// A producer's folder, with files of its own.
    pub fn saved(setup: Setup, spec: &str) -> TestResult<Self> {
        Self::of_producer(setup, spec, Layout::Saved)
    }

    /// A producer's folder, as a kubelet makes it.
    pub fn mounted(setup: Setup, spec: &str) -> TestResult<Self> {
        Self::of_producer(setup, spec, Layout::Mounted)
    }

    /// The folder of a backend without a Kafka and telemetry, as a kubelet makes it.
    pub fn of_backend(spec: &str) -> TestResult<Self> {
        let placement = placement("Backend", "backend", None, no_telemetry("backend"));
        let derive: Derive = |spec, placement| {
            let spec: BackendSpec = serde_yaml::from_str(spec)?;
            Ok(backend_documents(&spec, placement))
        };
        Self::new(derive, placement, spec, Layout::Mounted)
    }

    /// The folder of a worker that calls these APIs, without telemetry, as a kubelet makes it.
    pub fn of_worker(backends: BTreeMap<BackendRole, String>, spec: &str) -> TestResult<Self> {
        let placement = Placement {
            backends,
            ..placement("Worker", "worker", None, no_telemetry("worker"))
        };
        let derive: Derive = |spec, placement| {
            let spec: WorkerSpec = serde_yaml::from_str(spec)?;
            Ok(worker_documents(&spec, placement))
        };
        Self::new(derive, placement, spec, Layout::Mounted)
    }

    /// The folder of a consumer, as a kubelet makes it.
    pub fn of_consumer(
        setup: Setup,
        backends: BTreeMap<BackendRole, String>,
        spec: &str,
    ) -> TestResult<Self> {
        let Setup {
            name,
            kafka,
            telemetry,
        } = setup;
        let mut placement = placement("StreamConsumer", &name, Some(kafka), telemetry);
        placement.backends = backends;
        let derive: Derive = |spec, placement| {
            let spec: StreamConsumerSpec = serde_yaml::from_str(spec)?;
            Ok(consumer_documents(&spec, placement))
        };
        Self::new(derive, placement, spec, Layout::Mounted)
    }

    fn of_producer(setup: Setup, spec: &str, layout: Layout) -> TestResult<Self> {
        let Setup {
            name,
            kafka,
            telemetry,
        } = setup;
        let placement = placement("OrderProducer", &name, Some(kafka), telemetry);
        let derive: Derive = |spec, placement| {
            let spec: OrderProducerSpec = serde_yaml::from_str(spec)?;
            Ok(producer_documents(&spec, placement))
        };
        Self::new(derive, placement, spec, layout)
    }

    fn new(derive: Derive, placement: Placement, spec: &str, layout: Layout) -> TestResult<Self> {
        let mut configuration = Self {
            folder: Arc::new(Scratch::new("configuration")?),
            layout,
            derive,
            placement,
        };
        let documents = configuration.next(spec)?;
        configuration.put(&documents)?;
        Ok(configuration)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps it where it is.
    pub fn hold(&self) -> Arc<Scratch> {
        Arc::clone(&self.folder)
    }

    /// Edits the tuning to what `spec` says, and gives the edit's generation.
    pub fn retune(&mut self, spec: &str) -> TestResult<i64> {
        let documents = self.next(spec)?;
        match self.layout {
            Layout::Saved => self.save(TUNING_FILE, &serde_json::to_string(&documents.tuning)?)?,
            Layout::Mounted => self.swap(&documents)?,
        }
        Ok(documents.tuning.generation)
    }

    fn next(&mut self, spec: &str) -> TestResult<Documents> {
        self.placement.generation += 1;
        (self.derive)(spec, self.placement.clone())
    }
    fn put(&self, documents: &Documents) -> TestResult {
        match self.layout {
            Layout::Saved => {
                self.save(WORKLOAD_FILE, &serde_json::to_string(&documents.workload)?)?;
                self.save(TUNING_FILE, &serde_json::to_string(&documents.tuning)?)
            }
            Layout::Mounted => {
                self.swap(documents)?;
                for file in [WORKLOAD_FILE, TUNING_FILE] {
                    symlink(Path::new(DATA).join(file), self.path().join(file))?;
                }
                Ok(())
            }
        }
    }

    /// Replaces a file in one step.
    fn save(&self, name: &str, text: &str) -> TestResult {
        let draft = self.path().join(format!(".{name}.draft"));
        fs::write(&draft, text)?;
        fs::rename(draft, self.path().join(name))?;
        Ok(())
    }

    /// What a kubelet does: a folder of the new version, a link to it that replaces `..data` in one step, and the old
    /// version goes.
    fn swap(&self, documents: &Documents) -> TestResult {
        let version = format!("..version-{}", documents.tuning.generation);
        let folder = self.path().join(&version);
        fs::create_dir(&folder)?;
        fs::write(
            folder.join(WORKLOAD_FILE),
            serde_json::to_string(&documents.workload)?,
        )?;
        fs::write(
            folder.join(TUNING_FILE),
            serde_json::to_string(&documents.tuning)?,
        )?;
        let (link, data) = (self.path().join("..data_tmp"), self.path().join(DATA));
        let before: Option<PathBuf> = fs::read_link(&data).ok();
        symlink(version, &link)?;
        fs::rename(link, &data)?;
        if let Some(before) = before {
            fs::remove_dir_all(self.path().join(before))?;
        }
        Ok(())
    }
}

fn placement(
    kind: &str,
    name: &str,
    kafka: Option<KafkaConnection>,
    telemetry: TelemetrySettings,
) -> Placement {
    Placement {
        resource: ResourceReference {
            kind: kind.to_owned(),
            namespace: "test".to_owned(),
            name: name.to_owned(),
            uid: unique("uid"),
        },
        generation: 0,
        revision: 0,
        kafka,
        telemetry,
        create_topics: true,
        backends: BTreeMap::new(),
    }
}
