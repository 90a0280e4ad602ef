//! A producer from its start to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ordermill_config::{KafkaConnection, ProducerSettings, Tuning, TuningDocument};
use ordermill_crds::Topic;
use ordermill_events::Root;
use ordermill_runtime::kafka::{ConnectionError, broker_limit, ensure_topics};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::delivery::DeliveryReporter;
use crate::pace::Pace;
use crate::record::RecordBuilder;
use crate::{bounded, unbounded};

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
    let pace = |tuning: &Tuning| Pace::new(tuning, &Root::random(), Instant::now());
    let mut controls =
        Controls::new(&workload, pace).ok_or(ProducerError::Documents("producer tuning"))?;
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
    let _limits = AbortOnDropHandle::new(tokio::spawn(limits.in_current_span()));
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
    let id = &workload.instance.name;
    let ensure = || {
        let topics: Vec<&Topic> = settings.topics.values().collect();
        ensure_topics(kafka, id, topics, settings.create_topics, &workload.health)
    };
    // Every trouble with topics may pass.
    let ready = controls.until_ready(ensure, |error| Some(error.reason()));
    matches!(ready.await, Ok(Some(())))
}

/// The live part of a producer: its tuning, and the plan that follows from it.
pub(crate) type Controls = ordermill_runtime::Controls<Pace>;

/// Plans from now on: what was due before the producer was ready is not made up for.
pub(crate) fn restart_plan(controls: &mut Controls) {
    if let Some(pace) = Pace::new(controls.tuning(), &Root::random(), Instant::now()) {
        controls.tuned = pace;
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
