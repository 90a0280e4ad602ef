//! The definitions of Strimzi's resources, as its releases have them.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio::sync::OnceCell;

use super::Error;
use crate::cache::{Cache, Recipe};
use crate::once::once;
use crate::tools::{self, Jdk, Maven};

/// The release of Strimzi.
pub const VERSION: &str = "1.2.0";

const POM: &str = include_str!("../../platform/strimzi/pom.xml");

/// The classes of the resources, and the files that their definitions are written to.
const RESOURCES: [(&str, &str); 4] = [
    ("kafka.Kafka", "kafkas.yaml"),
    ("nodepool.KafkaNodePool", "kafkanodepools.yaml"),
    ("topic.KafkaTopic", "kafkatopics.yaml"),
    ("user.KafkaUser", "kafkausers.yaml"),
];

/// The arguments by which Strimzi's own build writes them.
const ARGUMENTS: [&str; 13] = [
    "--label",
    "app:strimzi",
    "--label",
    "strimzi.io/crd-install:true",
    "--target-kube",
    "1.16+",
    "--crd-api-version",
    "v1",
    "--api-versions",
    "v1",
    "--storage-version",
    "v1",
    "--yaml",
];

/// The definitions of Kafka, `KafkaNodePool`, `KafkaTopic` and `KafkaUser` (`kafka.strimzi.io/v1`) as files.
#[derive(Debug, Clone)]
pub struct StrimziCrds {
    folder: PathBuf,
    made: bool,
}

impl StrimziCrds {
    /// Fetches Strimzi's generator and writes the files unless the cache has them. Blocks for as long as that takes: about
    /// half a minute the first time.
    ///
    /// # Errors
    /// [`Error::Tool`] and [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        let recipe = Recipe {
            name: "strimzi-crds",
            version: VERSION,
            work: "fetching 37 jars (39 MB) by Maven and writing the definitions, half a minute",
            files: &[("pom.xml", POM)],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let (jdk, pom) = (Jdk::find()?, workshop.recipe.join("pom.xml"));
            let jars = workshop.leftovers.join("jars");
            Maven::find()?.copy_dependencies(&jdk, &pom, &jars)?;
            let mut class_path = jars.into_os_string();
            class_path.push("/*");
            let mut generate = Command::new(jdk.java());
            generate
                .arg("-cp")
                .arg(class_path)
                .arg("io.strimzi.crdgenerator.CrdGenerator")
                .args(ARGUMENTS);
            for (class, file) in RESOURCES {
                let mut output = OsString::from(format!("io.strimzi.api.kafka.model.{class}="));
                output.push(workshop.product.join(file));
                generate.arg(output);
            }
            tools::run(&mut generate)?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        Ok(Self {
            folder: entry.path,
            made: entry.made,
        })
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<StrimziCrds> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// The definitions. One is too large for a `kubectl apply` that is not server-side.
    ///
    /// # Errors
    /// [`Error::Files`] and [`Error::Yaml`].
    pub fn definitions(&self) -> Result<Vec<CustomResourceDefinition>, Error> {
        RESOURCES
            .iter()
            .map(|(_, file)| {
                let path = self.folder.join(file);
                let text = fs::read_to_string(&path).map_err(Error::Files)?;
                serde_yaml::from_str(&text).map_err(|source| Error::Yaml { path, source })
            })
            .collect()
    }

    /// Whether they were fetched by this very call.
    #[must_use]
    pub fn was_fetched(&self) -> bool {
        self.made
    }
}
