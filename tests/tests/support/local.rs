//! `ordermill local` on a folder of manifests of its own.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ordermill_tests::ports::{self, Port};
use ordermill_tests::process::{Exit, Process, Program, Signal};
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::{Scratch, TestResult};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use serde::Deserialize;

/// For what takes a moment on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);

/// For a producer of wood orders: in one partition the records lie as they were sent, so that what was read so far has no
/// gaps.
pub const ONE_PARTITION: &str = "topics: {orders: {name: orders, partitions: 1}}";

/// A folder of manifests.
#[derive(Debug)]
pub struct Manifests {
    folder: Scratch,
    // Of its backends: the defaults are the same for all that run at once.
    ports: Vec<Port>,
}

impl Manifests {
    /// A folder with these files.
    pub fn new(files: &[(&str, &str)]) -> TestResult<Self> {
        let manifests = Self {
            folder: Scratch::new("manifests")?,
            ports: Vec::new(),
        };
        for (file, text) in files {
            manifests.save(file, text)?;
        }
        Ok(manifests)
    }

    /// A copy of the examples, with each text changed as `change` likes, and a port of its own for each backend.
    pub fn of_examples(change: impl Fn(&str) -> String) -> TestResult<Self> {
        let mut manifests = Self::new(&[])?;
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
        for system in fs::read_dir(examples)? {
            let system = system?.path();
            let copy = manifests.folder.path().join(system.file_name().unwrap());
            fs::create_dir(&copy)?;
            for file in fs::read_dir(&system)? {
                let file = file?.path();
                let text = change(&fs::read_to_string(&file)?);
                let text = manifests.with_port(&text)?;
                fs::write(copy.join(file.file_name().unwrap()), text)?;
            }
        }
        Ok(manifests)
    }

    /// The manifest of a backend with a port that no other test has; any other as it is.
    pub fn with_port(&mut self, manifest: &str) -> TestResult<String> {
        const SPEC: &str = "\nspec:\n";
        if !manifest.contains("\nkind: Backend\n") {
            return Ok(manifest.to_owned());
        }
        let [port] = ports::pick()?;
        let with_port = format!("{SPEC}  port: {}\n", port.number());
        self.ports.push(port);
        Ok(manifest.replacen(SPEC, &with_port, 1))
    }

    /// Where a file is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Saves a file in place, and says when: milliseconds since 1970, at the latest moment before the first byte.
    pub fn save(&self, file: &str, text: &str) -> TestResult<i64> {
        let now = unix_ms();
        fs::write(self.path(file), text)?;
        Ok(now)
    }

    /// Saves a file as many editors do: beside it, and then by renaming.
    pub fn save_by_renaming(&self, file: &str, text: &str) -> TestResult {
        let beside = self.path(&format!(".{file}.swp"));
        fs::write(&beside, text)?;
        fs::rename(beside, self.path(file))?;
        Ok(())
    }

    /// Deletes a file.
    pub fn delete(&self, file: &str) -> TestResult {
        Ok(fs::remove_file(self.path(file))?)
    }
}

/// `ordermill local` at work.
#[derive(Debug)]
pub struct Local {
    /// The files that it follows.
    pub manifests: Manifests,
    /// Its process.
    pub process: Process,
}

/// The document that `--output json` ends with.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    /// Where Kafka was reached.
    pub kafka: String,
    /// Every resource.
    pub resources: Vec<Shown>,
}

/// One resource of the document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The generation that it ran with.
    pub generation: i64,
    /// What it was doing.
    pub state: String,
    /// Why it did not what it should.
    pub message: Option<String>,
    /// Its plan.
    pub planned_rate_per_second: f64,
    /// What it counted.
    pub observed: Observed,
}

/// The counts of a resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Sent.
    pub events: Option<usize>,
    /// On purpose.
    pub injected: Option<usize>,
    /// For real.
    pub failed: Option<usize>,
}

impl Summary {
    /// The document on standard output, which holds nothing else.
    #[track_caller]
    pub fn of(exit: &Exit) -> Self {
        serde_json::from_str(&exit.stdout)
            .unwrap_or_else(|error| panic!("{error} in what should be one document: {exit:?}"))
    }

    /// The resource of that name.
    #[track_caller]
    pub fn resource(&self, name: &str) -> &Shown {
        let mut found = self.resources.iter().filter(|shown| shown.name == name);
        let shown = found
            .next()
            .unwrap_or_else(|| panic!("{name} is missing: {self:?}"));
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        shown
    }
}

impl Local {
    /// Starts it on all files of the folder.
    pub async fn start(manifests: Manifests, arguments: &[&str]) -> TestResult<Self> {
        let process = Program::ordermill()
            .await?
            .arg("local")
            .arg("-f")
            .arg(manifests.folder.path())
            .args(arguments)
            .start()?;
        Ok(Self { manifests, process })
    }

    /// Starts it on these files, with its result as JSON.
    pub async fn on(files: &[(&str, &str)]) -> TestResult<Self> {
        Self::start(Manifests::new(files)?, &["--output", "json"]).await
    }

    /// The address of its Kafka, from the log.
    pub async fn kafka(&mut self) -> TestResult<String> {
        let line = self.line("the producer starts").await?;
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("kafka="));
        Ok(address.ok_or("no address in the log")?.to_owned())
    }

    /// Waits for a line of the log with `part` in it.
    pub async fn line(&mut self, part: &str) -> TestResult<String> {
        Ok(self.process.wait_for_line(SOON, part).await?)
    }

    /// The first records of a topic, at least `count`.
    pub async fn records(&mut self, topic: &str, count: usize) -> TestResult<Vec<Record>> {
        let kafka = self.kafka().await?;
        Ok(read_all(&kafka, topic, Isolation::ReadCommitted, Until::count(count)).await?)
    }

    /// Every record of a topic that is there now.
    pub async fn all_records(&mut self, topic: &str) -> TestResult<Vec<Record>> {
        let kafka = self.kafka().await?;
        Ok(read_all(&kafka, topic, Isolation::ReadCommitted, Until::end()).await?)
    }

    /// How many records a topic holds now.
    pub async fn count(&mut self, topic: &str) -> TestResult<usize> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka().await?);
        let topic = topic.to_owned();
        let count = tokio::task::spawn_blocking(move || -> KafkaResult<i64> {
            let client: BaseConsumer = config.create()?;
            let metadata = client.fetch_metadata(Some(&topic), SOON)?;
            let partitions = metadata.topics()[0].partitions().iter();
            partitions
                .map(|partition| client.fetch_watermarks(&topic, partition.id(), SOON))
                .map(|marks| marks.map(|(low, high)| high - low))
                .sum()
        });
        Ok(usize::try_from(count.await??)?)
    }

    /// Waits until a topic holds so many records more than it does now: what is behind it is at work.
    pub async fn flows(&mut self, topic: &str, more: usize) -> TestResult<Vec<Record>> {
        let now = self.count(topic).await?;
        self.records(topic, now + more).await
    }

    /// Presses Ctrl-C, and gives the document that it ends with.
    pub async fn finish(mut self) -> TestResult<Summary> {
        self.process.signal(Signal::INT)?;
        Ok(Summary::of(&self.process.wait(SOON).await?.assert_code(0)))
    }
}

/// A manifest: `spec` is indented as it stands below `spec:`.
pub fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: ordermill.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n{spec}\n"
    )
}

/// A producer whose spec is given field by field.
pub fn producer(name: &str, fields: &[&str]) -> String {
    let spec: Vec<String> = fields.iter().map(|field| format!("  {field}")).collect();
    manifest("OrderProducer", name, &spec.join("\n"))
}

/// Milliseconds since 1970.
pub fn unix_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
