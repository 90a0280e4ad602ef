//! A cluster of one node by kind: it is made, found again by tests, and deleted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{Engine, Error, Kind, NodeImage};
use crate::kubernetes::{self, Leaving, Namespace, OF_TESTS};
use crate::process::Launch;
use crate::{Scratch, tools, unique};

const CONFIGURATION: &str = include_str!("../../platform/kind/kind-config.yaml");

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, which its container and its context carry.
    pub name: String,
    /// The image of its node.
    pub node: NodeImage,
    /// Images of the engine that its pods run.
    pub images: Vec<String>,
    /// Archives with more of them.
    pub archives: Vec<PathBuf>,
}

/// A cluster that is there. Dropping it leaves it there.
pub struct Cluster {
    name: String,
    engine: Engine,
    folder: Scratch,
    config: Config,
    kubectl: PathBuf,
    leaving: Leaving,
}

impl Cluster {
    /// Makes a cluster, or adds images to the one that is there, and waits until its node is ready.
    ///
    /// # Errors
    /// [`Error`], with what kind wrote; [`Error::AnotherImage`].
    pub async fn up(settings: &Settings) -> Result<Self, Error> {
        let engine = Engine::find()?;
        let kind = Kind::prepare()?;
        let image = settings.node.prepare(&engine)?;
        if exists(&kind, &settings.name)? {
            made_of(&engine, &settings.name, &image)?;
        } else {
            create(&kind, &settings.name, &image)?;
        }
        let mut load = Vec::new();
        for image in &settings.images {
            load.push(vec!["docker-image".into(), PathBuf::from(image)]);
        }
        for archive in &settings.archives {
            load.push(vec!["image-archive".into(), archive.clone()]);
        }
        for arguments in load {
            let mut command = Command::new(kind.program());
            command
                .arg("load")
                .args(&arguments)
                .args(["--name", &settings.name]);
            tools::run(&mut command)
                .map_err(Error::command("loading an image into the cluster"))?;
        }
        Self::connect(engine, &kind, &settings.name).await
    }

    /// The cluster of a name.
    ///
    /// # Errors
    /// [`Error::NoCluster`].
    pub async fn find(name: &str) -> Result<Self, Error> {
        let engine = Engine::find()?;
        let kind = Kind::prepare()?;
        if !exists(&kind, name)? {
            return Err(Error::NoCluster(name.to_owned()));
        }
        Self::connect(engine, &kind, name).await
    }

    async fn connect(engine: Engine, kind: &Kind, name: &str) -> Result<Self, Error> {
        let folder = Scratch::new("kind").map_err(Error::files("a temporary folder"))?;
        let kubeconfig = folder.path().join(KUBECONFIG);
        let mut export = Command::new(kind.program());
        export
            .args(["export", "kubeconfig", "--name", name, "--kubeconfig"])
            .arg(&kubeconfig);
        tools::run(&mut export).map_err(Error::command("asking kind for the kubeconfig"))?;
        let config = read(&kubeconfig)
            .await
            .map_err(|error| Error::Config(Box::new(error)))?;
        let kubectl = kubernetes::Binaries::get().await?.kubectl.clone();
        Ok(Self {
            name: name.to_owned(),
            engine,
            folder,
            config,
            kubectl,
            leaving: Leaving::default(),
        })
    }

    /// Deletes the cluster of a name, if there is one.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn delete(name: &str) -> Result<(), Error> {
        let mut delete = Command::new(Kind::prepare()?.program());
        delete.args(["delete", "cluster", "--name", name]);
        tools::run(&mut delete).map_err(Error::command("deleting the cluster"))?;
        Ok(())
    }

    /// The name of the cluster that the tests use: `$KIND_CLUSTER`, else `ordermill-tests`.
    #[must_use]
    pub fn name_of_tests() -> String {
        let given = std::env::var("KIND_CLUSTER").ok();
        given
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "ordermill-tests".to_owned())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine that its node runs in.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A client that may do anything.
    ///
    /// # Errors
    /// [`Error::Kubernetes`].
    pub fn client(&self) -> Result<Client, Error> {
        Ok(kubernetes::connect(&self.config)?)
    }

    /// The kubeconfig of somebody who may do anything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(KUBECONFIG)
    }

    /// A new namespace, which is deleted after its test.
    ///
    /// # Errors
    /// [`Error::Kubernetes`].
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace, Error> {
        self.namespace_named(&unique(prefix)).await
    }

    /// A new namespace of this very name.
    ///
    /// # Errors
    /// [`Error::Kubernetes`].
    pub async fn namespace_named(&self, name: &str) -> Result<Namespace, Error> {
        Ok(Namespace::create(self.client()?, name, &self.leaving).await?)
    }

    /// Deletes what tests of earlier processes have left, and waits until it is gone: it takes room from the next ones.
    ///
    /// # Errors
    /// [`Error::Kubernetes`].
    pub async fn clear(&self) -> Result<(), Error> {
        let selector = format!("--selector={OF_TESTS}");
        self.kubectl([
            "delete",
            "namespaces",
            &selector,
            "--wait",
            "--timeout=100s",
        ])
        .await
        .map(drop)
    }

    /// kubectl in the repository's folder.
    #[must_use]
    pub fn kubectl_launch(&self) -> Launch {
        let cache = self.folder.path().join("kubectl-cache");
        kubernetes::launch_kubectl(&self.kubectl, &self.kubeconfig(), &cache)
    }

    /// Runs kubectl to its end and gives what it wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Kubernetes`], with what it wrote to standard error.
    pub async fn kubectl(
        &self,
        arguments: impl IntoIterator<Item: AsRef<std::ffi::OsStr>>,
    ) -> Result<String, Error> {
        Ok(kubernetes::run_kubectl(self.kubectl_launch().args(arguments)).await?)
    }

    /// The container that is the node.
    #[must_use]
    pub fn node(&self) -> String {
        node(&self.name)
    }

    /// The node's address, which this machine reaches.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn node_address(&self) -> Result<String, Error> {
        self.network("IPAddress")
    }

    /// This machine's address, as the cluster's pods reach it.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn host_address(&self) -> Result<String, Error> {
        self.network("Gateway")
    }

    fn network(&self, field: &str) -> Result<String, Error> {
        let template =
            format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{field}}}}}{{{{end}}}}");
        let node = self.node();
        self.engine.run(
            "asking for the addresses of the node's network",
            ["inspect", "--format", &template, &node],
        )
    }

    /// Runs a command on the node, as root, and gives what it wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn on_node(&self, command: &[&str]) -> Result<String, Error> {
        let node = self.node();
        let arguments = ["exec", &node].into_iter().chain(command.iter().copied());
        self.engine.run("a command on the node", arguments)
    }
}

const KUBECONFIG: &str = "kubeconfig";

fn exists(kind: &Kind, name: &str) -> Result<bool, Error> {
    let mut list = Command::new(kind.program());
    list.args(["get", "clusters"]);
    let output = tools::run(&mut list).map_err(Error::command("asking kind for its clusters"))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .any(|line| line == name))
}

/// The container that is the node of a cluster.
fn node(cluster: &str) -> String {
    format!("{cluster}-control-plane")
}

/// Fails where the node of a cluster is of another image.
fn made_of(engine: &Engine, cluster: &str, wanted: &str) -> Result<(), Error> {
    let node = node(cluster);
    let inspect = ["inspect", "--format", "{{.Config.Image}}", &node];
    let image = engine.run("asking for the image of the node", inspect)?;
    let image = image.trim();
    if image == wanted {
        return Ok(());
    }
    Err(Error::AnotherImage {
        cluster: cluster.to_owned(),
        image: image.to_owned(),
        wanted: wanted.to_owned(),
    })
}

fn create(kind: &Kind, name: &str, image: &str) -> Result<(), Error> {
    let folder = Scratch::new("kind").map_err(Error::files("a temporary folder"))?;
    let configuration = folder.path().join("kind-config.yaml");
    std::fs::write(&configuration, CONFIGURATION).map_err(Error::files(&configuration))?;
    let mut create = Command::new(kind.program());
    create
        .args(["create", "cluster", "--name", name, "--image", image])
        .args(["--wait", "3m", "--config"])
        .arg(&configuration)
        .arg("--kubeconfig")
        // The user's own stays as it is.
        .arg(folder.path().join(KUBECONFIG));
    tools::run(&mut create).map_err(Error::command("making the cluster"))?;
    Ok(())
}

async fn read(kubeconfig: &Path) -> Result<Config, kube::config::KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
