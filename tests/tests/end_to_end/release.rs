//! An operator on the cluster, installed as users install it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use ordermill_tests::helm::Helm;
use ordermill_tests::kind::{Broker, Cluster};
use ordermill_tests::kubernetes::Namespace;
use ordermill_tests::reader::{Isolation, Record, Until, read_all};
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{Scratch, TestResult};
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::support::events::{Event, gap};
use crate::support::stage::{Stage, has};

/// Pods start, and images are there already.
pub const SOON: Duration = Duration::from_mins(3);

/// Held by all tests, and alone by one that takes the API server away from the others.
static CALM: RwLock<()> = RwLock::const_new(());

/// The chart's name for what it installs.
pub const OPERATOR: &str = "ordermill";

/// What a test holds of the cluster while it runs.
#[derive(Debug)]
#[expect(dead_code, reason = "it is held, not read")]
enum Peace {
    /// Others may run beside it.
    Shared(RwLockReadGuard<'static, ()>),
    /// It has the cluster to itself.
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A release of the operator's chart.
#[derive(Debug)]
pub struct Release {
    home: Scratch,
    _peace: Peace,
}

/// A namespace of the cluster with an operator.
pub type OnKind = Stage<Cluster, Release>;

/// This moment, in milliseconds of Unix time as timestamps of records are.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The cluster, with our definitions in it.
pub async fn cluster() -> TestResult<Arc<Cluster>> {
    static CLUSTER: Mutex<Option<Arc<Cluster>>> = Mutex::const_new(None);
    let mut known = CLUSTER.lock().await;
    if let Some(cluster) = &*known {
        return Ok(Arc::clone(cluster));
    }
    let cluster = Arc::new(Cluster::find(&Cluster::name_of_tests()).await?);
    // A run that was cut off may have left it stopped.
    cluster.on_node(&["pkill", "-CONT", "kube-proxy"])?;
    cluster.clear().await?;
    // What an operator for all namespaces has left besides its namespace.
    let everywhere = [
        "delete",
        "clusterroles,clusterrolebindings",
        "--selector=app.kubernetes.io/part-of=ordermill",
    ];
    cluster.kubectl(everywhere).await?;
    let home = Scratch::new("helm")?;
    let chart = [
        "upgrade",
        "--install",
        "ordermill-crds",
        "charts/ordermill-crds",
    ];
    helm(&cluster, &home, "default", &chart).await?;
    *known = Some(Arc::clone(&cluster));
    Ok(cluster)
}

/// The broker of all tests that do not disturb it.
pub async fn broker() -> TestResult<&'static Broker> {
    static BROKER: OnceCell<(Namespace, Broker)> = OnceCell::const_new();
    let start = async || -> TestResult<(Namespace, Broker)> {
        let cluster = cluster().await?;
        let namespace = cluster.namespace("kafka").await?;
        let broker = Broker::start(&cluster, &namespace).await?;
        Ok((namespace, broker))
    };
    Ok(&BROKER.get_or_try_init(start).await?.1)
}

/// Waits until a reader who sees only what is committed has read so many events.
pub async fn delivered(broker: &Broker, topic: &str, count: usize) -> TestResult {
    let until = Until::count(count).within(SOON);
    read_all(broker.outside(), topic, Isolation::ReadCommitted, until).await?;
    Ok(())
}

/// Waits until a reader finds at least so many events of a producer and no number missing among them, as one may still be on
/// its way to another partition; gives the topic's records.
pub async fn without_gap(
    stage: &OnKind,
    broker: &Broker,
    topic: &str,
    producer: &str,
    least: usize,
) -> Vec<Record> {
    eventually_ok(SOON, "events without a gap", async || {
        let isolation = Isolation::ReadCommitted;
        let records = read_all(broker.outside(), topic, isolation, Until::end()).await;
        let records = records.map_err(|error| error.to_string())?;
        let events = Event::all_of_namespace(&records, stage.namespace.name(), producer);
        match gap(&events) {
            None if events.len() >= least => Ok(records),
            gap => Err(format!("{} events, {gap:?}", events.len())),
        }
    })
    .await
}

/// Installs an operator for a new namespace.
pub async fn install(prefix: &str) -> TestResult<OnKind> {
    let stage = prepare(prefix, Peace::Shared(CALM.read().await)).await?;
    stage.upgrade(&[]).await?;
    Ok(stage)
}

/// Installs the chart as it is, for all namespaces, for a test that has the cluster to itself.
pub async fn install_for_all(prefix: &str) -> TestResult<OnKind> {
    let stage = prepare(prefix, Peace::Alone(CALM.write().await)).await?;
    stage.release(&[]).await?;
    Ok(stage)
}

async fn prepare(prefix: &str, peace: Peace) -> TestResult<OnKind> {
    let cluster = cluster().await?;
    let namespace = cluster.namespace(prefix).await?;
    let operator = Release {
        home: Scratch::new("helm")?,
        _peace: peace,
    };
    Ok(Stage {
        cluster,
        namespace,
        operator,
    })
}

impl OnKind {
    /// Installs the chart, or upgrades it, for this namespace with one replica unless the values say otherwise; waits until
    /// its pods are ready.
    pub async fn upgrade(&self, values: &[&str]) -> TestResult<String> {
        let namespaces = format!("namespaces={{{}}}", self.namespace.name());
        let few = [namespaces.as_str(), "operator.replicas=1"];
        self.release(&[&few, values].concat()).await
    }

    async fn release(&self, values: &[&str]) -> TestResult<String> {
        let mut arguments = vec!["upgrade", "--install", OPERATOR, "charts/ordermill"];
        for value in values {
            arguments.extend(["--set", value]);
        }
        arguments.extend(["--wait", "--timeout", "3m"]);
        let namespace = self.namespace.name();
        helm(&self.cluster, &self.operator.home, namespace, &arguments).await
    }

    /// Waits until every pod of a producer says that it runs with a generation.
    pub async fn applied(&self, producer: &str, generation: i64) {
        let what = format!("generation {generation} applied");
        self.status(producer, &what, |status| {
            status.tuned_generation == Some(generation)
                && has(status, "TuningApplied", "True", "Applied")
        })
        .await;
    }

    /// Runs a test; where it fails, prints what the cluster tells of this namespace, which is gone after it.
    pub async fn explained(&self, test: impl Future<Output = TestResult>) -> TestResult {
        let outcome = AssertUnwindSafe(test).catch_unwind().await;
        if !matches!(outcome, Ok(Ok(()))) {
            for command in [
                "get ordermill --output=yaml",
                "get pods,services,endpointslices --output=wide",
                "get events --sort-by=.lastTimestamp",
                "logs --selector=app.kubernetes.io/managed-by=ordermill --prefix --tail=40 --max-log-requests=30",
                "logs postgres --tail=60",
                "logs --namespace=kube-system --selector=k8s-app=kube-proxy --tail=60",
            ] {
                let arguments: Vec<&str> = command.split(' ').collect();
                let told = self.kubectl(&arguments).await;
                let told = told.unwrap_or_else(|error| error.to_string());
                println!("$ kubectl {command}\n{told}");
            }
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// kubectl in this namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> TestResult<String> {
        let here = ["--namespace", self.namespace.name()];
        Ok(self.cluster.kubectl(here.iter().chain(arguments)).await?)
    }
}

async fn helm(
    cluster: &Cluster,
    home: &Scratch,
    namespace: &str,
    arguments: &[&str],
) -> TestResult<String> {
    let launch = Helm::get().await?.launch(home.path());
    let mut process = launch
        .env("KUBECONFIG", cluster.kubeconfig())
        .args(arguments)
        .args(["--namespace", namespace])
        .start()?;
    let exit = process.wait(SOON + SOON).await?;
    if exit.code() == Some(0) {
        Ok(exit.stdout)
    } else {
        Err(exit.stderr.into())
    }
}
