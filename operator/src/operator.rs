//! The process: it waits for the definitions, leads or stands by, and runs the controllers while it leads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::runtime::events::Reporter;
use kube::{Client, Config};
use ordermill_config::full_error;
use ordermill_crds::{Backend, OrderProducer, StreamConsumer, Worker};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, Readiness};
use crate::arguments::Arguments;
use crate::backoff::Backoffs;
use crate::cluster::caches::{Caches, Scope};
use crate::cluster::served::{LOOK_EVERY, missing_kinds};
use crate::cluster::triggers::Triggers;
use crate::cluster::writer::Writer;
use crate::controller;
use crate::leadership::{Keeper, Leadership, LeadershipError};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::reconcile::Context;
use crate::tasks::{Ended, Tasks};
use crate::tuning::{Delivery, KeyStore};

/// The name of the Lease.
pub const LEASE: &str = "ordermill-operator";
/// How long reconciles that are under way may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
/// How often it is looked whether a new signing key is due.
const LOOK_AT_KEYS_EVERY: Duration = Duration::from_mins(1);
/// A request that takes longer is broken: watches beat more often than that.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// Why the operator ended badly.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no way to the cluster.
    #[error("no cluster is configured: give --kubeconfig, or set KUBECONFIG")]
    Kubeconfig(#[source] KubeconfigError),
    /// The same, without a kubeconfig.
    #[error("no cluster is configured: give --kubeconfig, or set KUBECONFIG")]
    Infer(#[source] kube::config::InferConfigError),
    /// The configuration of the cluster cannot be used.
    #[error("the configuration of the cluster cannot be used")]
    Client(#[source] Box<kube::Error>),
    /// The admin server cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be handled.
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    /// It must not write any more.
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
    /// A part ended that never should.
    #[error(transparent)]
    Task(#[from] Ended),
}

/// Runs until it is asked to end.
///
/// # Errors
/// Why it cannot go on; another operator, or the next life of this one, does.
pub async fn run(arguments: Arguments) -> Result<(), OperatorError> {
    let cancelled = cancel_on_signal().map_err(OperatorError::Signals)?;
    let config = cluster_config(&arguments).await?;
    let namespace = arguments
        .operator_namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let client = || {
        let client = Client::try_from(config.clone());
        client.map_err(|error| OperatorError::Client(Box::new(error)))
    };
    // The Lease has connections of its own: however much else is asked, it does not wait for that.
    let (client, lease_client) = (client()?, client()?);
    let metrics = Metrics::default();
    let readiness = Readiness::waiting("the custom resource definitions");
    let address = arguments.admin;
    let admin = AdminServer::bind(address)
        .await
        .map_err(|source| OperatorError::Listen { address, source })?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %admin.address,
        operator_namespace = namespace,
        "the operator starts"
    );
    let background = CancellationToken::new();
    let tasks = Tasks::new(background.clone());
    let serving = admin.serve(readiness.clone(), metrics.clone(), background.clone());
    tasks.spawn("admin server".to_owned(), async {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the admin server broke down");
        }
    });
    let operator = Operator {
        arguments,
        client,
        lease_client,
        namespace,
        metrics,
        readiness,
        tasks: tasks.clone(),
    };
    let result = tokio::select! {
        result = operator.lead(&cancelled) => result,
        ended = tasks.first_ended() => Err(ended.into()),
    };
    background.cancel();
    tasks.join().await;
    result
}

struct Operator {
    arguments: Arguments,
    client: Client,
    lease_client: Client,
    namespace: String,
    metrics: Metrics,
    readiness: Readiness,
    tasks: Tasks,
}

impl Operator {
    async fn lead(&self, cancelled: &CancellationToken) -> Result<(), OperatorError> {
        if !self.wait_for_definitions(cancelled).await {
            return Ok(());
        }
        // Standing by is all that a second operator has to do.
        self.readiness.ready();
        let leadership = Leadership::default();
        let me = format!(
            "{}_{:016x}",
            std::env::var("POD_NAME").unwrap_or_else(|_| "ordermill-operator".to_owned()),
            rand::random::<u64>()
        );
        let mut keeper = Keeper::new(
            self.lease_client.clone(),
            &self.namespace,
            LEASE,
            me.clone(),
            leadership.clone(),
        );
        if !keeper.acquire(cancelled).await {
            return Ok(());
        }
        self.metrics.set_leader(true);
        // The Lease is kept until the last reconcile has ended, so it outlives the wish to end.
        let working = CancellationToken::new();
        let done = async {
            self.work(leadership, &me, cancelled).await;
            working.cancel();
        };
        let (kept, ()) = tokio::join!(
            async {
                let kept = keeper.keep(&working).await;
                if let Err(error) = &kept {
                    // Nobody may write from here on, so nothing is waited for.
                    tracing::error!(
                        error = full_error(error),
                        "this operator does not lead any more"
                    );
                    std::process::exit(1);
                }
                kept
            },
            done
        );
        Ok(kept?)
    }

    async fn wait_for_definitions(&self, cancelled: &CancellationToken) -> bool {
        let mut told = String::new();
        loop {
            let missing = match missing_kinds(&self.client).await {
                Ok(missing) if missing.is_empty() => return true,
                Ok(missing) => format!(
                    "the definitions of {}: apply crds/ to the cluster",
                    missing.join(", ")
                ),
                Err(error) => format!("the API server: {}", full_error(&error)),
            };
            if told != missing {
                tracing::warn!("waiting for {missing}");
                self.readiness.wait_for(&missing);
                told = missing;
            }
            tokio::select! {
                () = cancelled.cancelled() => return false,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        if self.arguments.all_namespaces {
            return vec![Scope::Cluster];
        }
        let namespaces = self.arguments.namespace.iter().cloned();
        namespaces.map(Scope::Namespace).collect()
    }

    /// Runs the controllers until cancelled and what is under way has ended.
    async fn work(&self, leadership: Leadership, me: &str, cancelled: &CancellationToken) {
        let keys = KeyStore::new(
            self.client.clone(),
            &self.namespace,
            self.arguments.key_period(),
            leadership.clone(),
        );
        if !first_keys(&keys, cancelled).await {
            return;
        }
        let reporter = Reporter {
            controller: "ordermill-operator".to_owned(),
            instance: Some(me.to_owned()),
        };
        let client = self.client.clone();
        let writer = Writer::new(client, leadership, reporter, self.metrics.clone());
        let mut controllers = JoinSet::new();
        let mut all_triggers = Vec::new();
        self.readiness.wait_for("the caches");
        for scope in self.scopes() {
            let triggers = Triggers::default();
            let caches = Caches::start(&self.client, &scope, &triggers, &self.tasks, &self.metrics);
            tokio::select! {
                () = caches.synced() => {}
                () = cancelled.cancelled() => return,
            }
            let context = Arc::new(Context {
                policy: self.arguments.policy(),
                caches,
                writer: writer.clone(),
                delivery: Delivery::new(self.metrics.clone()),
                keys: keys.clone(),
                metrics: self.metrics.clone(),
                backoffs: Backoffs::default(),
                queue: Queue::new(self.metrics.clone()),
            });
            self.spawn_controllers(&mut controllers, &scope, &triggers, &context, cancelled);
            all_triggers.push(triggers);
        }
        self.readiness.ready();
        let rotating = rotate_keys(keys, all_triggers);
        self.tasks
            .spawn("rotation of the signing keys".to_owned(), rotating);
        cancelled.cancelled().await;
        tracing::info!("the operator ends: reconciles that are under way end first");
        let drained = async { while controllers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some reconciles took longer than {DRAIN:?} and are given up");
        }
    }

    fn spawn_controllers(
        &self,
        controllers: &mut JoinSet<()>,
        scope: &Scope,
        triggers: &Triggers,
        context: &Arc<Context>,
        cancelled: &CancellationToken,
    ) {
        macro_rules! spawn {
            ($($kind:ty),*) => {$(
                controllers.spawn(controller::run::<$kind>(
                    self.client.clone(),
                    scope.clone(),
                    triggers.clone(),
                    self.arguments.concurrency,
                    Arc::clone(context),
                    cancelled.clone(),
                ));
            )*};
        }
        spawn!(OrderProducer, StreamConsumer, Worker, Backend);
    }
}

async fn first_keys(keys: &KeyStore, cancelled: &CancellationToken) -> bool {
    loop {
        match keys.refresh(Timestamp::now()).await {
            Ok(_) => return true,
            Err(error) => tracing::error!(error = full_error(&error), "there are no signing keys"),
        }
        tokio::select! {
            () = cancelled.cancelled() => return false,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Looks now and then whether a new key is due, and has all pods learn of it.
async fn rotate_keys(keys: KeyStore, triggers: Vec<Triggers>) {
    loop {
        tokio::time::sleep(LOOK_AT_KEYS_EVERY.min(keys.period())).await;
        match keys.refresh(Timestamp::now()).await {
            Ok(false) => {}
            Ok(true) => triggers.iter().for_each(Triggers::all),
            Err(error) => tracing::error!(
                error = full_error(&error),
                "the signing keys were not looked at"
            ),
        }
    }
}

async fn cluster_config(arguments: &Arguments) -> Result<Config, OperatorError> {
    let options = KubeConfigOptions {
        context: arguments.context.clone(),
        ..KubeConfigOptions::default()
    };
    let kubeconfig = arguments.kubeconfig.as_deref().map(read_kubeconfig);
    let mut config = match (kubeconfig.transpose()?, &arguments.context) {
        (Some(kubeconfig), _) => Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(OperatorError::Kubeconfig)?,
        (None, Some(_)) => Config::from_kubeconfig(&options)
            .await
            .map_err(OperatorError::Kubeconfig)?,
        (None, None) => Config::infer().await.map_err(OperatorError::Infer)?,
    };
    config.read_timeout = Some(READ_TIMEOUT);
    let agent = concat!("ordermill-operator/", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_static(agent);
    config.headers.push((header::USER_AGENT, agent));
    Ok(config)
}

fn read_kubeconfig(path: &Path) -> Result<Kubeconfig, OperatorError> {
    Kubeconfig::read_from(path).map_err(OperatorError::Kubeconfig)
}

fn cancel_on_signal() -> std::io::Result<CancellationToken> {
    let cancelled = CancellationToken::new();
    let token = cancelled.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if token.is_cancelled() {
                // Asked a second time: at once.
                std::process::exit(1);
            }
            token.cancel();
        }
    });
    Ok(cancelled)
}
