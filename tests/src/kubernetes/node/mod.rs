//! A stand-in for a kubelet: it runs the pods of one namespace as processes of this machine.
//!
//! For each pod that Ordermill manages it writes the `ConfigMaps` and Secrets to a folder, starts `ordermill-workload` there
//! with the container's arguments and environment, and tells the cluster what a kubelet would: address, readiness,
//! restarts, exit codes. Paths of the container become paths of that folder, and each pod has an address of the loopback
//! network, as Linux has them without any set-up.

mod address;
mod given;
mod plan;
mod pod;
mod status;
mod text;
mod volume;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1;
use kube::api::PostParams;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, LocalSet};

use super::{Cluster, Error};
use crate::process::{Launch, Program};
use crate::{Scratch, unique};

/// Which pods are run.
const SELECTOR: &str = "app.kubernetes.io/managed-by=ordermill";

/// Between two tries to watch while the API server is away.
const PAUSE: Duration = Duration::from_millis(200);

/// How a node treats its pods.
#[derive(Debug, Clone, Default)]
pub struct NodeBuilder {
    without_processes: bool,
    unreachable: bool,
    program: Option<Launch>,
}

/// A node that runs; dropping it kills its pods' processes and tells the cluster nothing, like a power cut.
#[derive(Debug)]
pub struct Node {
    name: String,
    running: Running,
    folder: Arc<Scratch>,
    // Its end is what the thread waits for.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A process that runs for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningPod {
    /// The pod's name.
    pub name: String,
    /// Where its admin server listens.
    pub admin: SocketAddr,
    /// The process id.
    pub process: u32,
}

/// What the processes of a pod have written, over all its restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLog {
    /// The pod's name.
    pub pod: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The pods whose processes run, by name.
#[derive(Debug, Clone, Default)]
struct Running(Arc<Lock<BTreeMap<String, RunningPod>>>);

impl Running {
    fn add(&self, pod: RunningPod) {
        let mut pods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pods.insert(pod.name.clone(), pod);
    }

    fn remove(&self, name: &str) {
        let mut pods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pods.remove(name);
    }

    fn all(&self) -> Vec<RunningPod> {
        let pods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pods.values().cloned().collect()
    }
}

/// What all pods of a node share.
struct Host {
    name: String,
    namespace: String,
    client: Client,
    program: Option<Launch>,
    unreachable: bool,
    running: Running,
    folder: Arc<Scratch>,
}

impl NodeBuilder {
    /// Pods become Running and Ready with no process behind them.
    #[must_use]
    pub fn without_processes(mut self) -> Self {
        self.without_processes = true;
        self
    }

    /// Tells the cluster addresses that nobody answers at (192.0.2.0/24, as documentation has them), so that no push reaches
    /// the processes, which run all the same.
    #[must_use]
    pub fn unreachable(mut self) -> Self {
        self.unreachable = true;
        self
    }

    /// Runs `program` instead of `ordermill-workload`.
    #[must_use]
    pub fn program(mut self, program: Launch) -> Self {
        self.program = Some(program);
        self
    }

    /// Starts the node for the pods of `namespace`, those that are there already and those to come.
    ///
    /// # Errors
    /// [`Error`]; what goes wrong with a pod later shows in the pod's status and on standard error.
    pub async fn start(self, cluster: &Cluster, namespace: &str) -> Result<Node, Error> {
        let program = match self.program {
            _ if self.without_processes => None,
            Some(program) => Some(program),
            None => Some(Program::workload().await?),
        };
        let name = unique("node");
        register(&cluster.client()?, &name).await?;
        let folder = Arc::new(Scratch::new("node").map_err(Error::Files)?);
        let running = Running::default();
        let (stop, stopped) = oneshot::channel();
        let config = cluster.config().clone();
        // Called on the node's own thread: a client belongs to the runtime that it is made in.
        let host = {
            let (name, namespace) = (name.clone(), namespace.to_owned());
            let (running, folder) = (running.clone(), Arc::clone(&folder));
            move || {
                Ok::<_, kube::Error>(Host {
                    name,
                    namespace,
                    client: Client::try_from(config)?,
                    program,
                    unreachable: self.unreachable,
                    running,
                    folder,
                })
            }
        };
        let thread = thread::Builder::new()
            .name("node".to_owned())
            .spawn(move || work(host, stopped))
            .map_err(Error::Files)?;
        Ok(Node {
            name,
            running,
            folder,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Node {
    /// A node with options.
    #[must_use]
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// Starts a node that runs the pods of `namespace`.
    ///
    /// # Errors
    /// As [`NodeBuilder::start`].
    pub async fn start(cluster: &Cluster, namespace: &str) -> Result<Self, Error> {
        Self::builder().start(cluster, namespace).await
    }

    /// Its name in the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pods whose processes run, in the order of their names.
    #[must_use]
    pub fn running(&self) -> Vec<RunningPod> {
        self.running.all()
    }

    /// What every pod's processes have written so far, also of pods that are gone, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Files`].
    pub fn logs(&self) -> Result<Vec<PodLog>, Error> {
        let folder = logs(self.folder.path());
        let mut all = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let read = |file| fs::read_to_string(entry.path().join(file)).map_err(Error::Files);
            all.push(PodLog {
                pod: entry.file_name().to_string_lossy().into_owned(),
                stdout: read("stdout.log")?,
                stderr: read("stderr.log")?,
            });
        }
        all.sort_by(|one, other| one.pod.cmp(&other.pod));
        Ok(all)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends by killing its processes: afterwards none is left.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The folder with one folder of logs a pod.
fn logs(folder: &Path) -> PathBuf {
    folder.join("logs")
}

/// Tells the cluster of the node: Services leave out the pods of one that is not there.
async fn register(client: &Client, name: &str) -> Result<(), Error> {
    let node: v1::Node = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .map_err(Error::Json)?;
    let created = Api::<v1::Node>::all(client.clone())
        .create(&PostParams::default(), &node)
        .await;
    created
        .map(drop)
        .map_err(Error::client("registering a node"))
}

/// What the node's thread does: a test that keeps its own runtime busy does not keep pods waiting.
fn work(host: impl FnOnce() -> Result<Host, kube::Error>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return eprintln!("the node has no runtime: {error}"),
    };
    LocalSet::new().block_on(&runtime, async {
        match host() {
            Ok(host) => tokio::select! {
                () = follow(Rc::new(host)) => {}
                _ = stopped => {}
            },
            Err(error) => eprintln!("the node has no client: {error}"),
        }
    });
}

/// Runs every pod in a task of its own, which follows the pod's object.
async fn follow(host: Rc<Host>) {
    let pods: Api<v1::Pod> = Api::namespaced(host.client.clone(), &host.namespace);
    let mut events = std::pin::pin!(watcher(pods, watcher::Config::default().labels(SELECTOR)));
    let mut tasks = JoinSet::new();
    // By uid: a new pod may have the name of an old one.
    let mut known: BTreeMap<String, watch::Sender<v1::Pod>> = BTreeMap::new();
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let Ok(event) = event else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                listed.push(uid.clone());
                match known.get(&uid) {
                    Some(sender) => drop(sender.send_replace(pod)),
                    None if pod::is_ours(&pod, &host.name) => {
                        let (sender, receiver) = watch::channel(pod);
                        tasks.spawn_local(pod::run(Rc::clone(&host), receiver));
                        known.insert(uid, sender);
                    }
                    None => {}
                }
            }
            watcher::Event::InitDone => known.retain(|uid, _| listed.contains(uid)),
            // Its task sees that nobody sends any more.
            watcher::Event::Delete(pod) => {
                drop(known.remove(&pod.metadata.uid.unwrap_or_default()));
            }
        }
        while tasks.try_join_next().is_some() {}
    }
}
