//! The life of one pod.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::address::free_address;
use super::plan::{self, Place};
use super::status::{Phase, PodState, code_of};
use super::{Host, RunningPod, given, logs};
use crate::http;
use crate::process::{self, Launch, Process};

/// How often a pod's process and its readiness are looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a probe may take, as Kubernetes has it by default.
const PROBE: Duration = Duration::from_secs(1);
/// From an edit of the pod's metadata until a kubelet has refreshed its volumes.
const NUDGED: Duration = Duration::from_millis(900);
/// How often a kubelet refreshes volumes by itself.
const REFRESH: Duration = Duration::from_mins(1);
/// A kubelet waits ten seconds before the second restart and then ever longer; tests have less time.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Between two tries of what the API server refused or did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a pod's life ended before its time.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the pod is gone")]
    Gone,
    #[error("a file cannot be written")]
    Files(#[from] io::Error),
    #[error("the process cannot be handled")]
    Process(#[from] process::Error),
    #[error("the pod has no container")]
    NoContainer,
}

/// Whether this node is to run `pod`: nobody else does, and it is no more than waiting.
pub(super) fn is_ours(pod: &Pod, node: &str) -> bool {
    let placed = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    placed.is_none_or(|placed| placed == node) && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Runs the pod until it is gone.
pub(super) async fn run(host: Rc<Host>, updates: watch::Receiver<Pod>) {
    let name = updates.borrow().name_any();
    let outcome = match Life::begin(host, updates) {
        Ok(life) => life.lead().await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(()) | Err(Fault::Gone) => {}
        Err(fault) => eprintln!("pod {name}: {}", crate::Failure::from(fault)),
    }
}

struct Life {
    host: Rc<Host>,
    updates: watch::Receiver<Pod>,
    pods: Api<Pod>,
    container: Container,
    name: String,
    folder: PathBuf,
    listens: Ipv4Addr,
    state: PodState,
}

/// What became of a process.
enum End {
    /// It ended by itself.
    Exited(i32),
    /// The pod was deleted, and the process has ended.
    Deleted(i32),
}

impl Life {
    fn begin(host: Rc<Host>, updates: watch::Receiver<Pod>) -> Result<Self, Fault> {
        let pod = updates.borrow().clone();
        let container = plan::container(&pod).ok_or(Fault::NoContainer)?.clone();
        let name = pod.name_any();
        let uid = pod.uid().unwrap_or_default();
        let folder = host
            .folder
            .path()
            .join("pods")
            .join(format!("{name}-{uid}"));
        fs::create_dir_all(&folder)?;
        let listens = free_address(plan::admin_port(&container))?;
        let [_, _, _, last] = listens.octets();
        let told = if host.unreachable {
            Ipv4Addr::new(192, 0, 2, last)
        } else {
            listens
        };
        let state = PodState {
            phase: Phase::Waiting,
            address: told.to_string(),
            restarts: 0,
            exit_code: None,
            started: Timestamp::now(),
        };
        Ok(Self {
            pods: Api::namespaced(host.client.clone(), &host.namespace),
            host,
            updates,
            container,
            name,
            folder,
            listens,
            state,
        })
    }

    fn pod(&self) -> Pod {
        self.updates.borrow().clone()
    }

    fn is_deleted(&self) -> bool {
        self.updates.borrow().metadata.deletion_timestamp.is_some()
    }

    async fn lead(mut self) -> Result<(), Fault> {
        self.bind().await?;
        let Some(program) = self.host.program.clone() else {
            return self.stand().await;
        };
        let mut backoff = FIRST_BACKOFF;
        loop {
            let code = match self.run_once(program.clone()).await? {
                Some(End::Exited(code)) => code,
                Some(End::Deleted(code)) => {
                    self.state.exit_code = Some(code);
                    return self.let_go().await;
                }
                None => return self.let_go().await,
            };
            self.state.exit_code = Some(code);
            if !plan::is_restarted(&self.pod(), code) {
                self.enter(Phase::Ended).await?;
                self.wait_for_deletion().await?;
                return self.let_go().await;
            }
            self.enter(Phase::Waiting).await?;
            tokio::select! {
                () = sleep(backoff) => {}
                waited = wait_for_deletion(&mut self.updates) => {
                    waited?;
                    return self.let_go().await;
                }
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
            self.state.restarts += 1;
        }
    }

    /// Puts the pod on this node. Until then a deletion would not wait for us.
    async fn bind(&mut self) -> Result<(), Fault> {
        if self.pod().spec.is_some_and(|spec| spec.node_name.is_some()) {
            return Ok(());
        }
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": self.name, "namespace": self.host.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.host.name},
        });
        let parameters = PostParams::default();
        let bind = || {
            self.pods
                .create_subresource::<_, Value>("binding", &self.name, &parameters, &binding)
        };
        match persist(bind).await {
            // An earlier try was heard although its answer was not. If the pod is gone instead, the next call tells.
            Ok(_) | Err(Fault::Gone) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// The life of a pod without a process.
    async fn stand(&mut self) -> Result<(), Fault> {
        self.state.started = Timestamp::now();
        self.enter(Phase::Running { ready: true }).await?;
        self.wait_for_deletion().await?;
        self.state.exit_code = Some(0);
        self.let_go().await
    }

    /// Starts a process and stays with it until it ends. `None` when the pod was deleted before.
    async fn run_once(&mut self, program: Launch) -> Result<Option<End>, Fault> {
        let Some((mounts, variables)) = self.prepare().await? else {
            return Ok(None);
        };
        let place = Place {
            listens: self.listens,
            told: &self.state.address,
            mounts: &mounts,
        };
        let command = plan::command(&self.pod(), &self.container, &place, &variables);
        let log = logs(self.host.folder.path()).join(&self.name);
        fs::create_dir_all(&log)?;
        let launch = command
            .environment
            .iter()
            .fold(program, |launch, (name, value)| launch.env(name, value));
        let mut process = launch.args(command.arguments).output_in(log).start()?;
        self.host.running.add(RunningPod {
            name: self.name.clone(),
            admin: SocketAddr::from((self.listens, plan::admin_port(&self.container))),
            process: process.id(),
        });
        let end = self.stay_with(&mut process).await;
        self.host.running.remove(&self.name);
        end.map(Some)
    }

    async fn stay_with(&mut self, process: &mut Process) -> Result<End, Fault> {
        let probe = plan::readiness(&self.container);
        self.state.started = Timestamp::now();
        self.enter(Phase::Running {
            ready: probe.is_none(),
        })
        .await?;
        let mut seen = plan::nudge(&self.pod());
        let mut refresh = Instant::now() + REFRESH;
        loop {
            if let Some(status) = process.status()? {
                return Ok(End::Exited(code_of(status)));
            }
            self.still_there()?;
            let pod = self.pod();
            if self.is_deleted() {
                return Ok(End::Deleted(self.stop(process, plan::grace(&pod)).await?));
            }
            let now = plan::nudge(&pod);
            if now != seen {
                seen = now;
                refresh = refresh.min(Instant::now() + NUDGED);
            }
            if Instant::now() >= refresh {
                // What cannot be had now is tried again like everything else.
                let _ = self.refresh().await;
                refresh = Instant::now() + REFRESH;
            }
            if let Some(probe) = &probe {
                let url = format!("http://{}:{}{}", self.listens, probe.port, probe.path);
                let answer = tokio::time::timeout(PROBE, http::get(&url)).await;
                let ready = answer.is_ok_and(|answer| answer.is_ok_and(|found| found.is_success()));
                self.enter(Phase::Running { ready }).await?;
            }
            let _ = tokio::time::timeout(GLANCE, self.updates.changed()).await;
        }
    }

    /// Asks the process to end, and kills it after the time that the pod has.
    async fn stop(&self, process: &mut Process, grace: Duration) -> Result<i32, Fault> {
        match process.stop(grace).await {
            Ok(exit) => Ok(code_of(exit.status)),
            Err(process::Error::Deadline { .. }) => {
                process.kill()?;
                Ok(process.status()?.map_or(137, code_of))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes all volumes and variables, and gives both: where each mount path is, and the values. Waits for what is not there
    /// yet; `None` when the pod is deleted meanwhile.
    async fn prepare(
        &self,
    ) -> Result<Option<(BTreeMap<String, String>, BTreeMap<String, String>)>, Fault> {
        loop {
            let mounts = self.refresh().await?;
            let variables = given::variables(&self.host, &self.container).await;
            if let (Some(mounts), Some(variables)) = (mounts, variables) {
                return Ok(Some((mounts, variables)));
            }
            self.still_there()?;
            if self.is_deleted() {
                return Ok(None);
            }
            sleep(PAUSE).await;
        }
    }

    /// Brings every volume up to date; `None` when an object is not there.
    async fn refresh(&self) -> Result<Option<BTreeMap<String, String>>, Fault> {
        Ok(given::files(&self.host, &self.folder, &self.pod(), &self.container).await?)
    }

    /// Tells the cluster of a new phase.
    async fn enter(&mut self, phase: Phase) -> Result<(), Fault> {
        if self.state.phase == phase && phase != Phase::Ended {
            return Ok(());
        }
        self.state.phase = phase;
        let patch = Patch::Merge(self.state.patch(&self.container, Timestamp::now()));
        let parameters = PatchParams::default();
        persist(|| self.pods.patch_status(&self.name, &parameters, &patch)).await?;
        Ok(())
    }

    /// Tells how the pod ended, and lets the cluster forget it.
    async fn let_go(&mut self) -> Result<(), Fault> {
        // Without an exit code no process has run: nothing is told of one.
        if self.state.exit_code.is_some() {
            self.enter(Phase::Ended).await?;
        }
        let precondition = Preconditions {
            uid: self.pod().uid(),
            resource_version: None,
        };
        let delete = DeleteParams::default()
            .grace_period(0)
            .preconditions(precondition);
        persist(|| self.pods.delete(&self.name, &delete)).await?;
        Ok(())
    }

    async fn wait_for_deletion(&mut self) -> Result<(), Fault> {
        wait_for_deletion(&mut self.updates).await
    }

    /// Fails when the pod was removed at once.
    fn still_there(&self) -> Result<(), Fault> {
        self.updates
            .has_changed()
            .map(drop)
            .map_err(|_| Fault::Gone)
    }
}

async fn wait_for_deletion(updates: &mut watch::Receiver<Pod>) -> Result<(), Fault> {
    let deleted = updates.wait_for(|pod| pod.metadata.deletion_timestamp.is_some());
    deleted.await.map(drop).map_err(|_| Fault::Gone)
}

/// Tries again until the API server has done it; a pod that is not there any more ends its life.
async fn persist<T, F>(mut call: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                return Err(Fault::Gone);
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_other_nodes_and_ended_ones_are_left_alone() {
        let pod = |node: Value, phase: &str| {
            serde_json::from_value::<Pod>(json!({
                "spec": {"containers": [], "nodeName": node},
                "status": {"phase": phase},
            }))
            .unwrap()
        };
        assert!(is_ours(&pod(Value::Null, "Pending"), "me"));
        assert!(is_ours(&pod(json!("me"), "Running"), "me"));
        assert!(!is_ours(&pod(json!("you"), "Running"), "me"));
        assert!(!is_ours(&pod(Value::Null, "Failed"), "me"));
    }
}
