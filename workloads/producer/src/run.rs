//! A producer from its start to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ordermill_config::full_error;
use ordermill_config::{KafkaConnection, ProducerSettings, TroubleReason, TuningDocument};
use ordermill_crds::Topic;
use ordermill_events::Root;
use ordermill_runtime::kafka::{ConnectionError, broker_limit, ensure_topics};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use crate::delivery::DeliveryReporter;
use crate::emitter::Emitter;
use crate::pace::Pace;
use crate::record::RecordBuilder;
use crate::{bounded, unbounded};

/// Time between attempts to get ready, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
/// Kafka's default of `max.message.bytes`.
const DEFAULT_BROKER_LIMIT: usize = 1_048_588;

/// Why a producer cannot run at all. Troubles that may pass are not among them: they are shown and waited out.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The documents do not describe a producer.
    #[error("the documents do not describe a producer: {0} is missing")]
    Documents(&'static str),
    /// No client can be made.
    #[error("no Kafka client can be made")]
    Connection(#[from] ConnectionError),
}

/// Runs a producer until it has done all it was to do, or is asked to end.
///
/// # Errors
/// When its documents or its Kafka settings cannot be used at all.
pub async fn run_producer(workload: Workload) -> Result<WorkloadEnd, ProducerError> {
    let span = workload.telemetry.log().span();
    run(workload).instrument(span).await
}

async fn run(workload: Workload) -> Result<WorkloadEnd, ProducerError> {
    let document = Arc::clone(&workload.document);
    let settings = document
        .workload
        .producer()
        .ok_or(ProducerError::Documents("producer settings"))?;
    let kafka = document
        .kafka
        .clone()
        .ok_or(ProducerError::Documents("kafka"))?;
    let mut controls = Controls::new(&workload)?;
    tracing::info!(
        generation = workload.state.version().generation,
        kafka = %kafka.bootstrap_servers,
        instance = workload.instance.name,
        "the producer starts"
    );
    if !get_ready(&workload, settings, &kafka, &mut controls).await {
        workload.state.set_phase(Phase::Stopped);
        return Ok(WorkloadEnd::Stopped);
    }
    let resource = &document.resource;
    let oversized_bytes = Arc::new(AtomicUsize::new(oversized_bytes(DEFAULT_BROKER_LIMIT)));
    let limits = follow_broker_limit(
        workload.clone(),
        kafka.clone(),
        Arc::clone(&oversized_bytes),
    );
    let limits = tokio::spawn(limits.in_current_span());
    let _limits = AbortOnDrop(limits);
    let records = RecordBuilder::new(settings, resource, &workload.instance.name, oversized_bytes);
    let topics = settings.topics.values().map(|topic| topic.name.as_str());
    let reporter = DeliveryReporter::new(&workload.telemetry, &workload.state, topics);
    let parts = Parts {
        settings: settings.clone(),
        kafka,
        records,
        reporter: Arc::new(reporter),
    };
    controls.begin();
    let end = if settings.bounded.is_some() {
        bounded::run(&workload, controls, &parts).await
    } else {
        unbounded::run(&workload, controls, parts).await?
    };
    match end {
        WorkloadEnd::Completed => workload.state.set_phase(Phase::Completed),
        WorkloadEnd::Stopped => {
            workload.state.set_phase(Phase::Stopped);
            tracing::info!("the producer has stopped");
        }
        WorkloadEnd::Undelivered(records) => {
            workload.state.set_phase(Phase::Stopped);
            tracing::error!(
                records,
                "the producer has stopped; records were not delivered in time"
            );
        }
    }
    Ok(end)
}

/// A size that a broker with this limit refuses: beyond it even without headers and framing.
const fn oversized_bytes(limit: usize) -> usize {
    limit.saturating_add(1)
}

/// Asks the broker for its limit as soon as a fault needs it: few workloads ever do, and some clusters do not answer.
async fn follow_broker_limit(
    workload: Workload,
    kafka: KafkaConnection,
    oversized: Arc<AtomicUsize>,
) {
    let declares = |document: &Arc<TuningDocument>| {
        let producer = document.tuning.producer.as_ref();
        producer.is_some_and(|producer| producer.faults.oversized.is_some())
    };
    let settings = workload.document.workload.producer();
    let Some(topic) = settings.and_then(|settings| settings.topics.values().next()) else {
        return;
    };
    if workload.tuning.subscribe().wait_for(declares).await.is_ok() {
        let id = &workload.instance.name;
        let limit = broker_limit(&kafka, id, topic.name.as_str(), &workload.health).await;
        if let Some(limit) = limit {
            oversized.store(oversized_bytes(limit), Ordering::Relaxed);
        }
    }
}

/// A background task that ends with what it serves.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What both ways of sending are made of.
pub(crate) struct Parts {
    pub settings: ProducerSettings,
    pub kafka: KafkaConnection,
    pub records: RecordBuilder,
    pub reporter: Arc<DeliveryReporter>,
}

/// Waits until Kafka and the topics are there; `false`: asked to end before that.
async fn get_ready(
    workload: &Workload,
    settings: &ProducerSettings,
    kafka: &KafkaConnection,
    controls: &mut Controls,
) -> bool {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let topics: Vec<&Topic> = settings.topics.values().collect();
        let id = &workload.instance.name;
        let ensured = ensure_topics(kafka, id, topics, settings.create_topics, &workload.health);
        let Some(result) = controls.follow_during(workload, ensured).await else {
            return false;
        };
        match result {
            Ok(()) => {
                workload.health.working();
                return true;
            }
            Err(error) => workload.health.report(error.reason(), full_error(&error)),
        }
        if !controls.wait(workload, backoff).await {
            return false;
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// The live part of a producer: its tuning, and the plan that follows from it.
pub(crate) struct Controls {
    workload: Workload,
    changes: watch::Receiver<Arc<TuningDocument>>,
    running: Arc<TuningDocument>,
    /// Whether Kafka and the topics were there once.
    begun: bool,
    pub pace: Pace,
}

impl Controls {
    fn new(workload: &Workload) -> Result<Self, ProducerError> {
        let mut changes = workload.tuning.subscribe();
        let running = Arc::clone(&changes.borrow_and_update());
        let pace = Pace::new(&running.tuning, &Root::random(), Instant::now())
            .ok_or(ProducerError::Documents("producer tuning"))?;
        let controls = Self {
            workload: workload.clone(),
            changes,
            running,
            begun: false,
            pace,
        };
        controls.show_phase();
        Ok(controls)
    }

    /// Everything is there: from now on it works, unless it is paused.
    fn begin(&mut self) {
        self.begun = true;
        self.show_phase();
    }

    /// The tuning that is in force.
    pub(crate) fn tuning(&self) -> &TuningDocument {
        &self.running
    }

    /// Plans from now on: what was due before the producer was ready is not made up for.
    pub(crate) fn restart_plan(&mut self) {
        let tuning = &self.running.tuning;
        if let Some(pace) = Pace::new(tuning, &Root::random(), Instant::now()) {
            self.pace = pace;
        }
    }

    /// Waits for another tuning. It never ends where no more can come.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the newest tuning over, whole; shows its generation when it is in force.
    pub(crate) fn apply(&mut self, emitter: Option<&mut Emitter>) {
        let document = Arc::clone(&self.changes.borrow_and_update());
        let now = Instant::now();
        self.workload.retune(&self.running, &document);
        let after = &document.tuning;
        if let Some(emitter) = emitter {
            emitter.retune(after, now);
        }
        self.pace.retune(after, now);
        self.running = document;
        self.show_phase();
        self.workload.state.set_version(self.running.version());
        self.observe();
    }

    /// Shows what the plan asks for, and takes a sample for the rate.
    pub(crate) fn observe(&self) {
        let rate = self.pace.rate(Instant::now());
        self.workload.telemetry.counters().set_planned_rate(rate);
        self.workload.state.sample();
    }

    fn show_phase(&self) {
        let phase = if self.pace.is_paused() {
            Phase::Paused
        } else if self.begun {
            Phase::Running
        } else {
            Phase::Starting
        };
        self.workload.state.set_phase(phase);
    }

    /// Does what comes before there is anything to send, while following the tuning; `None`: asked to end meanwhile.
    pub(crate) async fn follow_during<T>(
        &mut self,
        workload: &Workload,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = workload.cancelled.cancelled() => return None,
                result = &mut work => return Some(result),
                () = self.changed() => self.apply(None),
            }
        }
    }

    /// Waits for a time while following the tuning; `false`: asked to end meanwhile.
    pub(crate) async fn wait(&mut self, workload: &Workload, time: Duration) -> bool {
        let waited = self.follow_during(workload, tokio::time::sleep(time));
        waited.await.is_some()
    }

    /// Shows a trouble and waits before the next attempt; `false`: asked to end meanwhile.
    pub(crate) async fn trouble(
        &mut self,
        workload: &Workload,
        reason: TroubleReason,
        message: String,
        time: Duration,
    ) -> bool {
        workload.health.report(reason, message);
        self.wait(workload, time).await
    }
}

/// Waits for a moment; for ever where there is none.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        None => std::future::pending().await,
        // A timer rounds up to its next tick; what is due is due.
        Some(moment) if moment <= Instant::now() => {}
        Some(moment) => tokio::time::sleep_until(moment).await,
    }
}
