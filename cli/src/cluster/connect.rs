//! The way to the cluster, as kubectl finds it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::api::{Api, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{ClusterError, Kind, Reference, Resource};

/// A cluster that does not take a connection within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long silence is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Of a server that was asked something.
    Answer,
    /// Of a watch, which is renewed before this.
    Watch,
}

impl Patience {
    const fn time(self) -> Duration {
        match self {
            Self::Answer => Duration::from_secs(30),
            Self::Watch => Duration::from_secs(295),
        }
    }
}

/// Which cluster, and where in it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterOptions {
    /// The kubeconfig. Default: as kubectl does, by KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The namespace. Default: that of the context.
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// All namespaces, whatever --namespace says.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl ClusterOptions {
    pub(crate) const fn is_everywhere(&self) -> bool {
        self.all_namespaces
    }
}

/// Where resources are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace(String),
    All,
}

impl Scope {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Namespace(name) => format!("in namespace {name}"),
            Self::All => "in any namespace".to_owned(),
        }
    }
}

/// A cluster and a place in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) server: String,
    pub(crate) scope: Scope,
    /// Where a resource is that is named without its namespace.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Finds the cluster; nothing is sent to it yet.
    pub(crate) async fn connect(
        options: &ClusterOptions,
        patience: Patience,
    ) -> Result<Self, ClusterError> {
        let mut config = config(options).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(patience.time());
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let server = config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned();
        let client =
            Client::try_from(config).map_err(|error| ClusterError::Client(Box::new(error)))?;
        Ok(Self {
            client,
            server,
            scope: if options.all_namespaces {
                Scope::All
            } else {
                Scope::Namespace(namespace.clone())
            },
            namespace,
        })
    }

    /// The objects of a kind within the scope.
    pub(crate) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let resource = kind.api_resource();
        match &self.scope {
            Scope::All => Api::all_with(self.client.clone(), &resource),
            Scope::Namespace(name) => Api::namespaced_with(self.client.clone(), name, &resource),
        }
    }

    /// All resources of a kind within the scope.
    pub(crate) async fn list(&self, kind: Kind) -> Result<Vec<Resource>, ClusterError> {
        let listed = self.api(kind).list(&ListParams::default()).await;
        let what = format!("list {} {}", kind.plural(), self.scope.words());
        let listed =
            listed.map_err(|error| ClusterError::of(&self.server, &what, Some(kind), &error))?;
        let objects = listed.items.into_iter();
        Ok(objects.map(|object| Resource::new(kind, object)).collect())
    }

    /// One resource by its name.
    pub(crate) async fn get(&self, reference: &Reference) -> Result<Resource, ClusterError> {
        let Reference { kind, name } = reference;
        let resource = kind.api_resource();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let what = format!("{reference} in namespace {}", self.namespace);
        let object = api
            .get(name)
            .await
            .map_err(|error| ClusterError::of(&self.server, &what, Some(*kind), &error))?;
        Ok(Resource::new(*kind, object))
    }
}

async fn config(options: &ClusterOptions) -> Result<Config, ClusterError> {
    let wrong = |error| ClusterError::Kubeconfig(Box::new(error));
    let choice = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    match (&options.kubeconfig, &options.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
            let config = Config::from_custom_kubeconfig(kubeconfig, &choice);
            config.await.map_err(wrong)
        }
        (None, Some(_)) => Config::from_kubeconfig(&choice).await.map_err(wrong),
        (None, None) => Config::infer()
            .await
            .map_err(|error| ClusterError::not_configured(&error)),
    }
}
