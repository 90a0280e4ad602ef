//! The jars of Apache Kafka and the JVM that runs them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::Error;
use super::quick_start::QuickStart;
use crate::cache::{Cache, Recipe};
use crate::once::once;
use crate::process::{Exit, Launch};
use crate::tools::{Jdk, Maven, tail};

/// The release of Apache Kafka.
pub const VERSION: &str = "4.3.1";

/// Options of every JVM here: it lives for seconds or minutes, so that the optimizing compiler would cost more than it gives.
pub(super) const JVM_OPTIONS: [&str; 3] =
    ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

const POM: &str = include_str!("../../platform/kafka/pom.xml");

/// Kafka's jars and a JDK to run them.
#[derive(Debug, Clone)]
pub struct Distribution {
    jdk: Jdk,
    jars: PathBuf,
    quick_start: QuickStart,
    fetched: bool,
}

impl Distribution {
    /// Looks for a JDK and fetches the jars unless the cache has them. Blocks for as long as that takes: about twenty seconds
    /// the first time.
    ///
    /// # Errors
    /// [`Error::Tool`] and [`Error::Fetch`].
    pub fn prepare() -> Result<Self, Error> {
        let jdk = Jdk::find()?;
        let recipe = Recipe {
            name: "kafka",
            version: VERSION,
            work: "fetching 46 jars (41 MB) by Maven, some seconds",
            files: &[("pom.xml", POM)],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let pom = workshop.recipe.join("pom.xml");
            Maven::find()?.copy_dependencies(&jdk, &pom, &workshop.product)?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        Ok(Self {
            quick_start: QuickStart::prepare(&jdk, &entry.path)?,
            jdk,
            jars: entry.path,
            fetched: entry.made,
        })
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Distribution> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// The folder of the jars.
    #[must_use]
    pub fn jars(&self) -> &Path {
        &self.jars
    }

    /// The JDK.
    #[must_use]
    pub fn jdk(&self) -> &Jdk {
        &self.jdk
    }

    /// What brokers start quickly with.
    pub(super) const fn quick_start(&self) -> &QuickStart {
        &self.quick_start
    }

    /// Whether the jars were fetched by this very call.
    #[must_use]
    pub fn was_fetched(&self) -> bool {
        self.fetched
    }

    /// A JVM with Kafka's class path and a small heap; what it runs is the caller's to add.
    #[must_use]
    pub fn java(&self, name: impl Into<String>) -> Launch {
        Launch::new(name, self.jdk.java())
            .args(JVM_OPTIONS)
            .arg(format!(
                "-XX:SharedArchiveFile={}",
                self.quick_start.classes().display()
            ))
            // Without the archive it works as well, and need not say so to whoever reads its output.
            .arg("-Xlog:disable")
            .arg("-Xlog:all=warning:stderr")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
            .arg("-cp")
            .arg(class_path(&self.jars))
    }

    /// Runs a command line tool of Kafka by its class (`org.apache.kafka.tools.ProducerPerformance`) to its end.
    ///
    /// # Errors
    /// [`Error::Process`] when it does not end before `deadline`, [`Error::Tooling`] when it fails.
    pub async fn run(
        &self,
        class: &str,
        arguments: impl IntoIterator<Item: AsRef<OsStr>>,
        deadline: Duration,
    ) -> Result<Exit, Error> {
        let launch = self.java(class).arg(class).args(arguments);
        finish(launch, deadline).await
    }
}

/// All jars of a folder.
pub(super) fn class_path(jars: &Path) -> OsString {
    let mut class_path = jars.to_owned().into_os_string();
    class_path.push("/*");
    class_path
}

/// Runs `launch` to its end, which must be a good one.
pub(crate) async fn finish(launch: Launch, deadline: Duration) -> Result<Exit, Error> {
    let exit = launch.start()?.wait(deadline).await?;
    if exit.status.success() {
        return Ok(exit);
    }
    Err(Error::Tooling {
        output: tail(&format!("{}{}", exit.stdout, exit.stderr), 40),
        status: exit.status,
        tool: exit.name,
    })
}
