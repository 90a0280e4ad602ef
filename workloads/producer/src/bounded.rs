//! Sending exactly so many events: in transactions that carry the progress, through any number of lives.

mod session;

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::full_error;
use ordermill_config::{Bounded, ProducerSettings, ResourceReference, TroubleReason};
use ordermill_runtime::kafka::{
    BatchSize, TransactionError, TransactionSettings, TransactionalSender,
};
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::time::Instant;

use self::session::Session;
use crate::emitter::{Budget, Emitter, unix_ms};
use crate::progress::{ProgressError, RunState};
use crate::run::{Controls, Parts, restart_plan};

/// Time between two sessions, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// Why a session ended early. The way on is a new session from the stored progress.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

impl SessionError {
    fn reason(&self) -> TroubleReason {
        match self {
            Self::Transaction(error) => error.reason(),
            Self::Progress(_) => TroubleReason::ConfigurationInvalid,
        }
    }
}

/// Sends until everything is sent, or it is asked to end.
pub(crate) async fn run(workload: &Workload, mut controls: Controls, parts: &Parts) -> WorkloadEnd {
    let begun = Instant::now();
    let mut counted: Option<Count> = None;
    let mut backoff = FIRST_BACKOFF;
    let mut batch = BatchSize::of(&parts.kafka);
    loop {
        let before = counted;
        match session(workload, &mut controls, parts, &batch, &mut counted).await {
            Ok(end) => {
                if end == WorkloadEnd::Completed {
                    let seconds = begun.elapsed().as_secs_f64();
                    let Count {
                        before,
                        sent: events,
                    } = counted.unwrap_or_default();
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "a rate needs no more than 53 bits"
                    )]
                    let per_second = ((events - before) as f64 / seconds).round();
                    tracing::info!(events, seconds, per_second, "done: every event is sent");
                }
                return end;
            }
            Err(error) if error.reason() == TroubleReason::RecordTooLarge && batch.shrink() => {}
            Err(error) => {
                if counted != before {
                    backoff = FIRST_BACKOFF;
                }
                let message = full_error(&error);
                if !controls.trouble(error.reason(), message, backoff).await {
                    return WorkloadEnd::Stopped;
                }
                backoff = (backoff * 2).min(LAST_BACKOFF);
            }
        }
    }
}

/// The identity of this instance's work towards Kafka: the same in every life of it.
fn work_name(resource: &ResourceReference, bounded: &Bounded, ordinal: u32) -> String {
    let ResourceReference {
        namespace,
        name,
        uid,
        ..
    } = resource;
    let work = &bounded.work;
    [namespace, name, uid, work, &ordinal.to_string()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .fold("ordermill".to_owned(), |text, part| text + "." + part)
}

fn transaction_settings(
    workload: &Workload,
    parts: &Parts,
    batch: &BatchSize,
) -> Option<TransactionSettings> {
    let bounded = parts.settings.bounded.as_ref()?;
    let work = work_name(
        &workload.document.resource,
        bounded,
        workload.instance.ordinal,
    );
    Some(TransactionSettings {
        connection: parts.kafka.clone(),
        client_id: workload.instance.name.clone(),
        transactional_id: work.clone(),
        progress_group: work,
        batch: batch.clone(),
        progress_topic: parts.settings.topics.values().next()?.name.clone(),
    })
}

/// How many events of a share are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    /// By earlier lives of the work.
    before: u64,
    /// So far.
    sent: u64,
}

/// One life of the work's connection to Kafka. `counted`: where it stood when the one before ended.
async fn session(
    workload: &Workload,
    controls: &mut Controls,
    parts: &Parts,
    batch: &BatchSize,
    counted: &mut Option<Count>,
) -> Result<WorkloadEnd, SessionError> {
    let settings = &parts.settings;
    let Some(transaction) = transaction_settings(workload, parts, batch) else {
        return Ok(WorkloadEnd::Completed);
    };
    let opening = TransactionalSender::open(transaction, &workload.health);
    let Some(opened) = controls.follow_during(opening).await else {
        return Ok(WorkloadEnd::Stopped);
    };
    let (sender, progress) = opened?;
    workload.health.working();
    let sent = progress.as_ref().map_or(0, |progress| progress.sent);
    // What an earlier session of this process committed without learning of it counts now.
    let count = counted.get_or_insert(Count { before: sent, sent });
    workload.state.add_events(sent.saturating_sub(count.sent));
    count.sent = count.sent.max(sent);
    let state = match &progress {
        Some(progress) => RunState::parse(progress)?,
        None => RunState::begin(settings, unix_ms()),
    };
    let mut emitter = emitter(workload, controls, parts, &state, sent)?;
    if sent > 0 && !emitter.is_done() {
        tracing::info!(sent, "the run goes on where it was");
    }
    restart_plan(controls);
    let mut session = Session::new(workload, parts, sender, state, sent);
    let end = session.send(workload, controls, &mut emitter, counted);
    match end.await {
        Err(SessionError::Transaction(error)) => Err(session.cause(error).await.into()),
        end => end,
    }
}

fn share(settings: &ProducerSettings, ordinal: u32) -> u64 {
    settings
        .bounded
        .as_ref()
        .map_or(0, |bounded| bounded.share(ordinal).1)
}

fn emitter(
    workload: &Workload,
    controls: &Controls,
    parts: &Parts,
    state: &RunState,
    sent: u64,
) -> Result<Emitter, ProgressError> {
    let settings = &parts.settings;
    let ordinal = workload.instance.ordinal;
    let identity = state.identity(settings, ordinal);
    let (generator, follow_ups) = state.restore(settings, identity.clone())?;
    let remaining = share(settings, ordinal).saturating_sub(sent);
    let mut emitter = Emitter::new(
        generator,
        &identity,
        controls.tuning(),
        parts.records.clone(),
        Arc::clone(&workload.telemetry),
        Budget::new(Some(remaining)),
    );
    emitter.resume(state.suppressed(), follow_ups, Instant::now());
    Ok(emitter)
}
