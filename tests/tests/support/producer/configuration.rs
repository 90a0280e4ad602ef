//! The folder that a producer is configured by.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ordermill_config::{
    Documents, KafkaConnection, Placement, ResourceReference, TUNING_FILE, TelemetrySettings,
    WORKLOAD_FILE, producer_documents,
};
use ordermill_crds::OrderProducerSpec;
use ordermill_tests::{Scratch, TestResult, unique};

/// What a resource's spec does not say itself.
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
            telemetry: TelemetrySettings {
                service_name: "producer".to_owned(),
                ..TelemetrySettings::default()
            },
        })
    }
}

impl Setup {}

/// How the two files lie in their folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// As somebody saved them.
    Saved,
    /// As a kubelet mounts a `ConfigMap`: links through `..data` to a folder of each version.
    Mounted,
}

const DATA: &str = "..data";

/// A folder with both documents, as the operator derives them from a spec.
#[derive(Debug)]
pub struct Configuration {
    // Shared with the producers that run with it.
    folder: Arc<Scratch>,
    layout: Layout,
    placement: Placement,
}

impl Configuration {
    /// A folder with files of its own.
    pub fn saved(setup: Setup, spec: &str) -> TestResult<Self> {
        Self::new(setup, spec, Layout::Saved)
    }

    /// A folder as a kubelet makes it.
    pub fn mounted(setup: Setup, spec: &str) -> TestResult<Self> {
        Self::new(setup, spec, Layout::Mounted)
    }

    fn new(setup: Setup, spec: &str, layout: Layout) -> TestResult<Self> {
        let Setup {
            name,
            kafka,
            telemetry,
        } = setup;
        let resource = ResourceReference {
            kind: "OrderProducer".to_owned(),
            namespace: "test".to_owned(),
            name,
            uid: unique("uid"),
        };
        let create_topics = true;
        let placement = Placement {
            resource,
            generation: 0,
            revision: 0,
            kafka: Some(kafka),
            telemetry,
            create_topics,
            backends: BTreeMap::new(),
        };
        let mut configuration = Self {
            folder: Arc::new(Scratch::new("configuration")?),
            layout,
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
        let spec: OrderProducerSpec = serde_yaml::from_str(spec)?;
        self.placement.generation += 1;
        Ok(producer_documents(&spec, self.placement.clone()))
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
