//! One life of the work's connection to Kafka: transaction after transaction, to the first failure or the end of the work.

use std::sync::Arc;
use std::time::Duration;

use ordermill_runtime::kafka::{OversizedSender, Progress, TransactionError, TransactionalSender};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Count, SessionError, share};
use crate::delivery::{DeliveryReporter, Tag};
use crate::emitter::{Emitter, Outgoing};
use crate::progress::{MAX_WAITING, RunState};
use crate::run::{Controls, Parts, until};
use crate::unbounded::next_due;

/// A transaction is committed when it is this old, or holds this many records.
const COMMIT_AFTER: Duration = Duration::from_millis(200);
const COMMIT_RECORDS: usize = 10_000;
/// An event that is to go out after its successor keeps a transaction open this long; it times out after ten seconds.
const HOLD_AT_MOST: Duration = Duration::from_secs(5);
/// Progress is logged each time so many more events are sent.
const REPORT_EVERY: u64 = 1000;

/// An open connection, and where the work stands.
pub(super) struct Session<'a> {
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

impl<'a> Session<'a> {
    /// A session that goes on from a state that is stored.
    pub(super) fn new(
        workload: &Workload,
        parts: &'a Parts,
        sender: TransactionalSender,
        state: RunState,
        sent: u64,
    ) -> Self {
        let reporter = &parts.reporter;
        let id = workload.instance.name.clone();
        Self {
            share: share(&parts.settings, workload.instance.ordinal),
            oversized: OversizedSender::new(parts.kafka.clone(), id, Arc::clone(reporter)),
            reporter,
            sender,
            state,
            sent,
            open: Vec::new(),
            open_since: None,
            full: false,
        }
    }

    /// Sends until the work is done, or it is asked to end.
    pub(super) async fn send(
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
                () = controls.changed() => controls.apply_with(|tuning, now| emitter.retune(tuning, now)),
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

    /// What an error of this session comes from.
    pub(super) async fn cause(&self, error: TransactionError) -> TransactionError {
        self.sender.cause(error).await
    }

    /// When the next event is due; `None` while there is no room, or too much waits to be remembered.
    fn next_due(&self, controls: &Controls, emitter: &Emitter) -> Option<Instant> {
        if self.full || self.open.len() >= COMMIT_RECORDS {
            None
        } else if emitter.follow_ups().count() >= MAX_WAITING {
            emitter
                .next_follow_up()
                .filter(|_| !controls.tuned.is_paused())
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
            let tick = controls.tuned.next().is_some_and(|tick| tick <= due);
            if tick && emitter.may_tick() && emitter.follow_ups().count() < MAX_WAITING {
                emitter.tick(due, now);
                controls.tuned.advance();
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
                () = controls.changed() => controls.apply_with(|tuning, now| emitter.retune(tuning, now)),
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
