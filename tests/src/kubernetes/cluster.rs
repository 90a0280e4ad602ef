//! A control plane: it starts, its API server is killed and returns, and it goes with its tests.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use kube::{Client, Config};
use tokio::sync::OnceCell;

use super::access::{Credentials, Identity};
use super::audit::{self, AuditEvent};
use super::control_plane::ControlPlane;
use super::namespace::{Leaving, Namespace};
use super::{Binaries, Error, crds, kubectl};
use crate::process::{self, Launch, Process};
use crate::shared::Shared;
use crate::unique;

/// How often a start that finds a port taken is tried anew.
const ATTEMPTS: usize = 5;

/// A control plane without nodes. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    // The processes are dropped before the folder that they work in, clients before servers.
    controllers: Lock<Process>,
    api_server: Process,
    _etcd: Process,
    config: Configuration,
    crds: OnceCell<()>,
    strimzi_crds: OnceCell<()>,
    leaving: Leaving,
    plane: ControlPlane,
}

/// A client's configuration, which is secret.
struct Configuration(Config);

impl fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Configuration")
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts a control plane and waits until its API server is ready.
    ///
    /// # Errors
    /// [`Error`], with what a process wrote when it does not come up.
    pub async fn start() -> Result<Self, Error> {
        let binaries = Binaries::get().await?;
        let mut attempt = 1;
        loop {
            match Self::try_start(binaries).await {
                Err(error) if port_is_taken(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_start(binaries: &'static Binaries) -> Result<Self, Error> {
        let plane = ControlPlane::lay_out(binaries)?;
        let config = plane.endpoint.config(&plane.admin).await?;
        let etcd = plane.start_etcd().await?;
        let api_server = plane.start_api_server(&connect(&config)?).await?;
        Ok(Self {
            controllers: Lock::new(plane.start_controllers()?),
            api_server,
            _etcd: etcd,
            config: Configuration(config),
            crds: OnceCell::new(),
            strimzi_crds: OnceCell::new(),
            leaving: Leaving::default(),
            plane,
        })
    }

    /// The cluster that tests of this process share: its API server cannot be killed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn shared() -> Result<Arc<Self>, Error> {
        static SHARED: Shared<Cluster> = Shared::new();
        SHARED.get(Self::start).await
    }

    /// A client that may do anything. It belongs to the runtime it is made in: each test makes its own.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn client(&self) -> Result<Client, Error> {
        connect(&self.config.0)
    }

    /// What a client that may do anything connects by.
    pub(super) fn config(&self) -> &Config {
        &self.config.0
    }

    /// A client with the rights of `identity` and no others.
    ///
    /// # Errors
    /// [`Error::Client`], also when there is no such `ServiceAccount`.
    pub async fn client_as(&self, identity: &Identity) -> Result<Client, Error> {
        let credentials = self.credentials_of(identity).await?;
        connect(&self.plane.endpoint.config(&credentials).await?)
    }

    /// A kubeconfig file for programs that may do anything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// A kubeconfig file for programs with the rights of `identity`; a new one each time.
    ///
    /// # Errors
    /// [`Error`], also when there is no such `ServiceAccount`.
    pub async fn kubeconfig_as(&self, identity: &Identity) -> Result<PathBuf, Error> {
        let credentials = self.credentials_of(identity).await?;
        let path = self.plane.folder().join(unique("kubeconfig"));
        self.plane.endpoint.write_kubeconfig(&path, &credentials)?;
        Ok(path)
    }

    async fn credentials_of(&self, identity: &Identity) -> Result<Credentials, Error> {
        self.plane.admin.of(identity, self.client()?).await
    }

    /// The URL of the API server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.plane.endpoint.server
    }

    /// A new namespace that no other test uses, with `PodSecurity` `restricted` enforced as good clusters have it, and with its
    /// default `ServiceAccount`. It is deleted some time after the handle is dropped.
    ///
    /// # Errors
    /// [`Error::Client`]; [`Error::Process`] when the built-in controllers do not work.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace, Error> {
        Namespace::create(self.client()?, &unique(prefix), &self.leaving).await
    }

    /// Runs kubectl with these arguments, as one who may do anything and in the repository's folder, and gives what it
    /// wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Kubectl`], with what it wrote to standard error, when it fails.
    pub async fn kubectl(
        &self,
        arguments: impl IntoIterator<Item: AsRef<std::ffi::OsStr>>,
    ) -> Result<String, Error> {
        kubectl::run(self.kubectl_launch().args(arguments)).await
    }

    /// kubectl as [`kubectl`](Self::kubectl) runs it, for a test that sets its environment, its input or another
    /// `--kubeconfig`. [`run_kubectl`](super::run_kubectl) runs it.
    #[must_use]
    pub fn kubectl_launch(&self) -> Launch {
        let cache = self.plane.folder().join("kubectl-cache");
        kubectl::launch(&self.binaries().kubectl, &self.kubeconfig(), &cache)
    }

    /// The programs that it runs.
    #[must_use]
    pub fn binaries(&self) -> &'static Binaries {
        self.plane.binaries()
    }

    /// Every request answered so far but those of the control plane itself, in the order of their answers. A watch is there
    /// from its first answer on.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Json`].
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>, Error> {
        audit::read(&self.plane.audit_log())
    }

    /// Applies the definitions of our four kinds and waits until they are served; once per cluster.
    ///
    /// # Errors
    /// [`Error::Client`], with the API server's words where it refuses one.
    pub async fn install_crds(&self) -> Result<(), Error> {
        let install = async || {
            let definitions = ordermill_crds::definitions().map_err(Error::Definitions)?;
            crds::install(self.client()?, &definitions).await?;
            self.restart_controllers()
        };
        self.crds.get_or_try_init(install).await.map(|&()| ())
    }

    /// Applies the definitions of Strimzi's resources and waits until they are served; once per cluster.
    ///
    /// # Errors
    /// [`Error::Tool`], [`Error::Build`] and [`Error::Client`].
    pub async fn install_strimzi_crds(&self) -> Result<(), Error> {
        let install = async || {
            let strimzi = super::StrimziCrds::get().await?;
            crds::install(self.client()?, &strimzi.definitions()?).await
        };
        self.strimzi_crds
            .get_or_try_init(install)
            .await
            .map(|&()| ())
    }

    /// The garbage collector looks for new kinds twice a minute only, except at its start.
    fn restart_controllers(&self) -> Result<(), Error> {
        let mut controllers = self
            .controllers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        controllers.kill()?;
        *controllers = self.plane.start_controllers()?;
        Ok(())
    }

    /// Kills the API server (SIGKILL) and waits until it is gone. Data and port stay its own.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn kill_api_server(&mut self) -> Result<(), Error> {
        Ok(self.api_server.kill()?)
    }

    /// Starts the API server again on the same port, and waits until it is ready. If it still runs it is killed first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.kill_api_server()?;
        self.api_server = self.plane.start_api_server(&self.client()?).await?;
        Ok(())
    }

    /// The API server's process, for its log and its id.
    #[must_use]
    pub fn api_server(&self) -> &Process {
        &self.api_server
    }

    /// The folder of its data, which goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.plane.folder()
    }
}

pub(crate) fn connect(config: &Config) -> Result<Client, Error> {
    Client::try_from(config.clone()).map_err(Error::client("connecting to the API server"))
}

fn port_is_taken(error: &Error) -> bool {
    matches!(error, Error::Process(process::Error::Ended { output, .. }) if output.contains("address already in use"))
}
