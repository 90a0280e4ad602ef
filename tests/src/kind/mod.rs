//! A real cluster by kind, and all that it is made of where no image can be pulled.
//!
//! kind, Kubernetes and its name server are built from Go modules, the node's system from Debian's packages; the images are made of
//! them by the recipes in `tests/platform/`. An image's tag carries a hash of all that it is made from, so it is built
//! once and anew when anything of it changes. With [`NodeImage::Official`] kind pulls its own image instead.

mod broker;
mod cluster;
mod engine;
mod images;
mod postgres;
mod programs;
mod rootfs;
mod server;
mod server_images;

use std::io;
use std::path::PathBuf;

pub use broker::Broker;
pub use cluster::{Cluster, Settings};
pub use engine::Engine;
pub use images::NodeImage;
pub use postgres::Postgres;
pub use programs::{Kind, NodePrograms};
pub use rootfs::Rootfs;
pub use server_images::{kafka_image, postgres_image};

use crate::tools::CommandError;
use crate::{cache, kafka, kubernetes, postgres as database};

/// What can go wrong with a cluster by kind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part cannot be made.
    #[error("what the cluster is made of cannot be made")]
    Build(#[from] cache::Error),
    /// No engine answers.
    #[error(
        "no container engine answers: start Docker, or on a bare Debian machine run `.ci/engine start`"
    )]
    Engine(#[source] CommandError),
    /// A command failed.
    #[error("{what} failed")]
    Command {
        /// What it was for.
        what: String,
        /// Why it failed.
        #[source]
        source: CommandError,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used", .path.display())]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// kubeadm asks for an image that no recipe makes.
    #[error("kubeadm asks for the image {0}, which no recipe makes")]
    UnknownImage(String),
    /// There is no such cluster.
    #[error("there is no cluster {0}: make one by `make kind-up`")]
    NoCluster(String),
    /// The cluster that is there is of other making.
    #[error(
        "the cluster {cluster} is made of {image}, not of {wanted}: delete it by `make kind-down`, then it is made anew"
    )]
    AnotherImage {
        /// Its name.
        cluster: String,
        /// What its node is made of.
        image: String,
        /// What it is to be made of.
        wanted: String,
    },
    /// A Service got no port on the node.
    #[error("the Service {0} has no port on the node")]
    NoNodePort(String),
    /// Something of Kubernetes failed.
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    /// Kafka's jars are not there.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// PostgreSQL's programs are not there.
    #[error(transparent)]
    Postgres(#[from] database::Error),
    /// A kubeconfig cannot be used.
    #[error("the cluster's kubeconfig cannot be used")]
    Config(#[source] Box<kube::config::KubeconfigError>),
}

impl Error {
    /// For `map_err` on what a command says.
    fn command(what: impl Into<String>) -> impl FnOnce(CommandError) -> Self {
        move |source| Self::Command {
            what: what.into(),
            source,
        }
    }

    /// For `map_err` on a file operation.
    fn files(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Files {
            path: path.into(),
            source,
        }
    }
}
