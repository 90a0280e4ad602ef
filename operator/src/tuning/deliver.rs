//! Brings a tuning to the pods of a resource and asks what they run with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ordermill_config::{
    NUDGE, SignedTuning, StateReport, TuningDocument, TuningVersion, full_error,
};
use tokio::time::Instant;

use super::client::{PodClient, PodError};
use super::keys::Keys;
use super::mark;
use crate::cluster::writer::Writer;
use crate::error::ReconcileError;
use crate::metrics::Metrics;

/// Pods of one resource that are asked at once.
const CONCURRENT: usize = 16;
/// A state that is younger than this is not asked for again.
const FRESH: Duration = Duration::from_secs(5);
/// A pod that could not be reached is left alone, at first for this long; its kubelet is asked meanwhile.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What was not asked for so long is gone.
const FORGET_AFTER: Duration = Duration::from_mins(5);

/// What one pod told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodReport {
    /// Its name.
    pub name: String,
    /// What it told last; `None`: nothing, or too long ago.
    pub state: Option<StateReport>,
    /// Why it told nothing.
    pub error: Option<String>,
    /// It is not ready and may not listen yet: when it does, it has read the newest tuning.
    pub is_starting: bool,
}

impl PodReport {
    /// The tuning that it runs with.
    #[must_use]
    pub fn version(&self) -> Option<TuningVersion> {
        self.state.as_ref().map(StateReport::version)
    }
}

/// What is remembered of a pod.
#[derive(Debug, Clone)]
struct Known {
    state: StateReport,
    asked: Instant,
}

#[derive(Debug, Clone)]
struct Unreachable {
    until: Instant,
    pause: Duration,
    why: String,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<String, Known>,
    unreachable: HashMap<String, Unreachable>,
    tidied: Option<Instant>,
}

impl Memory {
    /// Forgets pods that are gone, now and then.
    fn forget(&mut self, now: Instant) {
        let is_due = |it: Instant| now.duration_since(it) >= FORGET_AFTER;
        if self.tidied.is_some_and(|tidied| !is_due(tidied)) {
            return;
        }
        self.tidied = Some(now);
        self.known.retain(|_, known| !is_due(known.asked));
        self.unreachable.retain(|_, it| !is_due(it.until));
    }
}

/// Delivers tunings; clones share what they know of the pods.
#[derive(Clone)]
pub struct Delivery {
    client: PodClient,
    metrics: Metrics,
    memory: Arc<Mutex<Memory>>,
}

/// What is to be delivered.
pub struct Order<'a> {
    /// The tuning.
    pub document: &'a TuningDocument,
    /// The keys that may sign it.
    pub keys: &'a Keys,
    /// When the reconcile began, for the latency.
    pub begun: Instant,
}

/// A pod that can be asked.
struct Target {
    pod: Arc<Pod>,
    uid: String,
    address: IpAddr,
    is_ready: bool,
}

impl Delivery {
    /// A delivery that knows no pods.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            client: PodClient::default(),
            metrics,
            memory: Arc::default(),
        }
    }

    /// Brings the tuning to every running pod that does not run with it, and tells what each runs with.
    ///
    /// # Errors
    /// When a pod cannot be marked.
    pub async fn deliver(
        &self,
        order: &Order<'_>,
        pods: &[Arc<Pod>],
        writer: &Writer,
    ) -> Result<Vec<PodReport>, ReconcileError> {
        self.lock().forget(Instant::now());
        let targets = pods.iter().filter_map(target);
        // Boxed and collected, because the compiler cannot tell the lifetimes of a lazy chain apart inside a spawned task.
        let asked: Vec<_> = targets
            .map(|target| self.deliver_to(order, target, writer).boxed())
            .collect();
        let reports = futures::stream::iter(asked).buffered(CONCURRENT);
        let reports: Vec<_> = reports.collect().await;
        reports.into_iter().collect()
    }

    async fn deliver_to(
        &self,
        order: &Order<'_>,
        target: Target,
        writer: &Writer,
    ) -> Result<PodReport, ReconcileError> {
        let wanted = order.document.version();
        let report = |state, error| PodReport {
            name: target.pod.name_any(),
            state,
            error,
            is_starting: !target.is_ready,
        };
        if let Some(why) = self.left_alone(&target.uid) {
            self.nudge(&target, wanted, writer).await?;
            return Ok(report(None, Some(why)));
        }
        match self.bring(order, &target).await {
            Ok(state) => {
                if state.version() < wanted {
                    self.nudge(&target, wanted, writer).await?;
                }
                Ok(report(Some(state), None))
            }
            Err(error) if error.is_unreachable() && !target.is_ready => {
                Ok(report(None, Some(full_error(&error))))
            }
            Err(error) => {
                let why = full_error(&error);
                if error.is_unreachable() {
                    self.leave_alone(&target.uid, &why);
                }
                self.nudge(&target, wanted, writer).await?;
                Ok(report(None, Some(why)))
            }
        }
    }

    /// Pushes where the pod is known to run with an older tuning; asks where it is not known.
    async fn bring(&self, order: &Order<'_>, target: &Target) -> Result<StateReport, PodError> {
        let wanted = order.document.version();
        let known = self.lock().known.get(&target.uid).cloned();
        let mut state = match known {
            Some(known) if known.state.version() < wanted => known.state,
            Some(known) if known.asked.elapsed() < FRESH => return Ok(known.state),
            _ => self.ask(target).await?,
        };
        if state.version() >= wanted {
            return Ok(state);
        }
        // A pod that started before the newest key was mounted may know only an older one.
        let mut key = order.keys.known_to(&state.tuning_keys);
        if key.is_none() {
            state = self.ask(target).await?;
            key = order.keys.known_to(&state.tuning_keys);
        }
        let Some(signed) = key.and_then(|key| key.sign(order.document).ok()) else {
            self.metrics.push("unsigned", None);
            return Ok(state);
        };
        let running = self.push(order, target, &signed).await?;
        state.generation = running.generation;
        state.revision = running.revision;
        self.remember(&target.uid, &state);
        Ok(state)
    }

    async fn push(
        &self,
        order: &Order<'_>,
        target: &Target,
        signed: &SignedTuning,
    ) -> Result<TuningVersion, PodError> {
        let pushed = self.client.push(target.address, signed).await;
        let pod = target.pod.name_any();
        match &pushed {
            Ok(_) => self.metrics.push("taken", Some(order.begun.elapsed())),
            Err(error) if error.is_unreachable() => self.metrics.push("unreachable", None),
            Err(error) => {
                self.metrics.push("refused", None);
                tracing::warn!(pod, error = full_error(error), "a pod refused its tuning");
                // What was believed of it may be wrong.
                self.lock().known.remove(&target.uid);
            }
        }
        pushed
    }

    async fn ask(&self, target: &Target) -> Result<StateReport, PodError> {
        let state = self.client.state(target.address).await?;
        self.remember(&target.uid, &state);
        Ok(state)
    }

    async fn nudge(
        &self,
        target: &Target,
        wanted: TuningVersion,
        writer: &Writer,
    ) -> Result<(), ReconcileError> {
        let mark = mark(wanted);
        if target.pod.annotations().get(NUDGE) == Some(&mark) {
            return Ok(());
        }
        self.metrics.nudge();
        writer.nudge(&target.pod, &mark).await
    }

    fn remember(&self, uid: &str, state: &StateReport) {
        let mut memory = self.lock();
        memory.unreachable.remove(uid);
        let known = Known {
            state: state.clone(),
            asked: Instant::now(),
        };
        memory.known.insert(uid.to_owned(), known);
    }

    fn leave_alone(&self, uid: &str, why: &str) {
        let mut memory = self.lock();
        memory.known.remove(uid);
        let before = memory.unreachable.get(uid).map(|before| before.pause);
        let pause = before.map_or(FIRST_PAUSE, |before| (before * 2).min(LONGEST_PAUSE));
        let unreachable = Unreachable {
            until: Instant::now() + pause,
            pause,
            why: why.to_owned(),
        };
        memory.unreachable.insert(uid.to_owned(), unreachable);
    }

    fn left_alone(&self, uid: &str) -> Option<String> {
        let memory = self.lock();
        let unreachable = memory.unreachable.get(uid)?;
        (Instant::now() < unreachable.until).then(|| unreachable.why.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pod that runs and stays.
fn target(pod: &Arc<Pod>) -> Option<Target> {
    let status = pod.status.as_ref()?;
    let runs = status.phase.as_deref() == Some("Running");
    if !runs || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut conditions = status.conditions.iter().flatten();
    Some(Target {
        pod: Arc::clone(pod),
        uid: pod.uid()?,
        address: status.pod_ip.as_ref()?.parse().ok()?,
        is_ready: conditions.any(|it| it.type_ == "Ready" && it.status == "True"),
    })
}
