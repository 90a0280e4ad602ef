//! Sending exactly so many events: in transactions that carry the progress, through any number of lives.

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::full_error;
use ordermill_config::{Bounded, ProducerSettings, ResourceReference};
use ordermill_runtime::kafka::{
    BatchSize, OversizedSender, Progress, Reason, TransactionError, TransactionSettings,
    TransactionalSender,
};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::time::{Instant, MissedTickBehavior};

use crate::delivery::{DeliveryReporter, Tag};
use crate::emitter::{Budget, Emitter, Outgoing, unix_ms};
use crate::progress::{MAX_WAITING, ProgressError, RunState};
use crate::run::{Controls, Parts, until};
use crate::unbounded::next_due;

/// A transaction is committed when it is this old, or holds this many records.
const COMMIT_AFTER: Duration = Duration::from_millis(200);
const COMMIT_RECORDS: usize = 10_000;
/// An event that is to go out after its successor keeps a transaction open this long; it times out after ten seconds.
const HOLD_AT_MOST: Duration = Duration::from_secs(5);
/// Time between two sessions, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
/// Progress is logged each time so many more events are sent.
const REPORT_EVERY: u64 = 1000;

/// Why a session ended early. The way on is a new session from the stored progress.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

impl SessionError {
    fn reason(&self) -> Reason {
        match self {
            Self::Transaction(error) => error.reason(),
            Self::Progress(_) => Reason::ConfigurationInvalid,
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
            Err(error) if error.reason() == Reason::RecordTooLarge && batch.shrink() => {}
            Err(error) => {
                if counted != before {
                    backoff = FIRST_BACKOFF;
                }
                let message = full_error(&error);
                if !controls
                    .trouble(workload, error.reason(), message, backoff)
                    .await
                {
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
    let (sender, progress) = tokio::select! {
        opened = opening => opened?,
        () = workload.cancelled.cancelled() => return Ok(WorkloadEnd::Stopped),
    };
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
    controls.restart_plan();
    let mut session = Session {
        share: share(settings, workload.instance.ordinal),
        oversized: OversizedSender::new(
            parts.kafka.clone(),
            workload.instance.name.clone(),
            Arc::clone(&parts.reporter),
        ),
        reporter: &parts.reporter,
        sender,
        state,
        sent,
        open: Vec::new(),
        open_since: None,
        full: false,
    };
    session
        .send(workload, controls, &mut emitter, counted)
        .await
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
        &controls.tuning().tuning,
        parts.records.clone(),
        Arc::clone(&workload.telemetry),
        Budget::new(Some(remaining)),
    );
    emitter.resume(state.suppressed(), follow_ups, Instant::now());
    Ok(emitter)
}

struct Session<'a> {
    share: u64,
    oversized: OversizedSender<DeliveryReporter>,
    reporter: &'a DeliveryReporter,
    sender: TransactionalSender,
    /// Where the run stood at the last commit.
    state: RunState,
    sent: u64,
    /// What the open transaction holds.
    open: Vec<Tag>,
    open_since: Option<Instant>,
    /// The client has no room for the next record.
    full: bool,
}

impl Session<'_> {
    async fn send(
        &mut self,
        workload: &Workload,
        controls: &mut Controls,
        emitter: &mut Emitter,
        counted: &mut Option<Count>,
    ) -> Result<WorkloadEnd, SessionError> {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let stopping = workload.cancelled.is_cancelled();
            if emitter.is_done() || stopping {
                emitter.release_held();
            }
            self.hand_over(emitter)?;
            if self.commit_is_due(emitter, stopping) {
                let committed = self.commit(workload, controls, emitter).await?;
                if !committed {
                    return Ok(WorkloadEnd::Undelivered(self.open.len()));
                }
                if let Some(count) = counted {
                    count.sent = self.sent;
                }
                continue;
            }
            if emitter.is_done() && self.open.is_empty() {
                return Ok(WorkloadEnd::Completed);
            }
            if stopping && self.open.is_empty() {
                return Ok(WorkloadEnd::Stopped);
            }
            let due = self.next_due(controls, emitter);
            tokio::select! {
                biased;
                () = workload.cancelled.cancelled(), if !stopping => {
                    workload.state.set_phase(Phase::Stopping);
                }
                () = controls.changed() => controls.apply(Some(emitter)),
                _ = second.tick() => controls.observe(),
                () = self.sender.room(), if self.full => self.full = false,
                () = until(self.commit_at(emitter)) => self.let_go(emitter),
                () = until(due) => {
                    self.burst(controls, emitter)?;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// When the next event is due; `None` while there is no room, or too much waits to be remembered.
    fn next_due(&self, controls: &Controls, emitter: &Emitter) -> Option<Instant> {
        if self.full || self.open.len() >= COMMIT_RECORDS {
            None
        } else if emitter.follow_ups().count() >= MAX_WAITING {
            emitter
                .next_follow_up()
                .filter(|_| !controls.pace.is_paused())
        } else {
            next_due(controls, emitter)
        }
    }

    fn burst(
        &mut self,
        controls: &mut Controls,
        emitter: &mut Emitter,
    ) -> Result<(), TransactionError> {
        while !self.full && self.open.len() < COMMIT_RECORDS && !emitter.is_done() {
            let now = Instant::now();
            let Some(due) = self.next_due(controls, emitter).filter(|due| *due <= now) else {
                break;
            };
            emitter.emit_due(now);
            let tick = controls.pace.next().is_some_and(|tick| tick <= due);
            if tick && emitter.may_tick() && emitter.follow_ups().count() < MAX_WAITING {
                emitter.tick(due, now);
                controls.pace.advance();
            }
            self.hand_over(emitter)?;
            if self
                .open_since
                .is_some_and(|since| now >= since + COMMIT_AFTER)
            {
                break;
            }
        }
        Ok(())
    }

    /// Hands records to the client as far as there is room.
    fn hand_over(&mut self, emitter: &mut Emitter) -> Result<(), TransactionError> {
        while let Some(Outgoing {
            mut record,
            tag,
            oversized,
        }) = emitter.pop()
        {
            if oversized {
                self.oversized.send(&record, tag);
            } else if self.sender.try_send(&mut record)? {
                self.open.push(*tag);
                self.open_since.get_or_insert_with(Instant::now);
            } else {
                emitter.put_back(Outgoing {
                    record,
                    tag,
                    oversized,
                });
                self.full = true;
                break;
            }
        }
        Ok(())
    }

    /// A commit stores where the run stands after everything emitted, so nothing emitted may be on its way still.
    fn commit_is_due(&self, emitter: &Emitter, stopping: bool) -> bool {
        let Some(since) = self.open_since else {
            return false;
        };
        let whole = !emitter.has_outgoing() && !emitter.holds();
        let old = since.elapsed() >= COMMIT_AFTER;
        let large = self.open.len() >= COMMIT_RECORDS;
        whole && (old || large || emitter.is_done() || stopping)
    }

    /// When the open transaction needs attention next.
    fn commit_at(&self, emitter: &Emitter) -> Option<Instant> {
        let wait = if emitter.holds() {
            HOLD_AT_MOST
        } else {
            COMMIT_AFTER
        };
        self.open_since
            .or_else(|| emitter.held_since())
            .map(|since| since + wait)
            .filter(|_| !self.full)
    }

    /// A successor does not come in time: what waits for it goes out now.
    fn let_go(&self, emitter: &mut Emitter) {
        let since = self.open_since.or_else(|| emitter.held_since());
        if since.is_some_and(|since| since.elapsed() >= HOLD_AT_MOST) {
            emitter.release_held();
        }
    }

    /// Commits; `false`: asked to end, and Kafka did not answer in time.
    async fn commit(
        &mut self,
        workload: &Workload,
        controls: &mut Controls,
        emitter: &mut Emitter,
    ) -> Result<bool, TransactionError> {
        let sent = self.share - emitter.remaining().unwrap_or_default();
        let state = self.state.after(emitter);
        let progress: Progress = state.progress(sent);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let deadline = async {
            workload.cancelled.cancelled().await;
            tokio::time::sleep(workload.drain).await;
        };
        tokio::pin!(deadline);
        let commit = self.sender.commit(&progress);
        tokio::pin!(commit);
        loop {
            tokio::select! {
                result = &mut commit => break result?,
                () = &mut deadline => return Ok(false),
                () = controls.changed() => controls.apply(Some(emitter)),
                _ = second.tick() => controls.observe(),
            }
        }
        workload.health.working();
        for tag in self.open.drain(..) {
            self.reporter.acknowledged(&tag, None);
        }
        if sent / REPORT_EVERY > self.sent / REPORT_EVERY {
            tracing::info!("{sent} of {} events are sent", self.share);
        }
        self.open_since = None;
        self.state = state;
        self.sent = sent;
        Ok(true)
    }
}
