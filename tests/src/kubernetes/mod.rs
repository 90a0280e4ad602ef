//! A Kubernetes control plane, and a stand-in for the nodes that it lacks.
//!
//! API server, store and built-in controllers are the real ones; pods are run by [`Node`] as processes of this machine, with
//! neither root nor a container engine.
//!
//! ```no_run
//! # use k8s_openapi::api::apps::v1::Deployment;
//! # use ordermill_tests::{TestResult, kubernetes::{Cluster, Node}};
//! # async fn example() -> TestResult {
//! let cluster = Cluster::shared().await?;
//! cluster.install_crds().await?;
//! let namespace = cluster.namespace("shop").await?;
//! let node = Node::start(&cluster, namespace.name()).await?;
//! cluster.kubectl(["apply", "--namespace", namespace.name(), "--filename", "examples/wood-orders"]).await?;
//! let deployments = namespace.api::<Deployment>();
//! # Ok(())
//! # }
//! ```

mod access;
mod audit;
mod build;
mod cluster;
mod control_plane;
mod crds;
mod kubectl;
mod namespace;
pub mod node;
mod strimzi;

use std::io;
use std::path::PathBuf;

pub use access::Identity;
pub use audit::AuditEvent;
pub(crate) use build::build_node_programs;
pub use build::{Binaries, ETCD_VERSION, VERSION};
pub use cluster::Cluster;
pub(crate) use cluster::connect;
pub(crate) use kubectl::launch as launch_kubectl;
pub use kubectl::run as run_kubectl;
pub use namespace::Namespace;
pub(crate) use namespace::{Leaving, OF_TESTS};
pub use node::Node;
pub use strimzi::{StrimziCrds, VERSION as STRIMZI_VERSION};

use crate::tools::MissingTool;
use crate::{cache, certificates, process};

/// What can go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool that the parts are made with is not there.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// A part is not there.
    #[error("what the cluster is made of cannot be made")]
    Build(#[from] cache::Error),
    /// `KUBEBUILDER_ASSETS` lacks a program.
    #[error("there is no {program} in KUBEBUILDER_ASSETS={}", .folder.display())]
    Assets {
        /// The folder.
        folder: PathBuf,
        /// What it lacks.
        program: &'static str,
    },
    /// The build was cancelled.
    #[error("the build of Kubernetes was cancelled")]
    Cancelled(#[source] tokio::task::JoinError),
    /// A file cannot be read or written.
    #[error("the cluster's folder cannot be used")]
    Files(#[source] io::Error),
    /// No free port.
    #[error("no free port for the cluster")]
    Ports(#[source] io::Error),
    /// A certificate cannot be made or written.
    #[error("the cluster's certificates")]
    Certificates(#[from] certificates::Error),
    /// A process did not do what it should.
    #[error("the cluster does not do as it should")]
    Process(#[from] process::Error),
    /// A client's configuration is refused.
    #[error("the cluster's kubeconfig cannot be used")]
    Config(#[source] Box<kube::config::KubeconfigError>),
    /// The API server refused something or did not answer.
    #[error("{what} failed")]
    Client {
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something did not come true in time.
    #[error("waiting for {what}: {why}")]
    Waiting {
        /// What was awaited.
        what: &'static str,
        /// What was seen instead.
        why: String,
    },
    /// kubectl failed.
    #[error("kubectl ended with {status}; it wrote:\n{stderr}")]
    Kubectl {
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The program that a node runs is not there.
    #[error("what the pods run is not there")]
    Program(#[from] process::BuildError),
    /// Our definitions cannot be written.
    #[error("our definitions of custom resources")]
    Definitions(#[source] ordermill_crds::DefinitionError),
    /// A text is not the YAML that it should be.
    #[error("{} is not the YAML that is expected", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_yaml::Error,
    },
    /// A text is not the JSON that it should be.
    #[error("this is not the JSON that is expected")]
    Json(#[source] serde_json::Error),
}

impl Error {
    /// For `map_err` on what a client of kube says.
    pub(crate) fn client(what: &'static str) -> impl Fn(kube::Error) -> Self {
        move |source| Self::Client {
            what,
            source: Box::new(source),
        }
    }
}
