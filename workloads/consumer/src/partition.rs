//! One partition: its messages one after the other, each to its end before the next.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ordermill_config::ConsumerSettings;
use ordermill_runtime::Workload;
use ordermill_runtime::faults::ConsumerFault;
use ordermill_runtime::kafka::PartitionStream;
use rand::RngExt as _;
use rdkafka::message::{Message as _, OwnedMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::dead_letters::DeadLetters;
use crate::faults::{After, circumstances, failing};
use crate::handler::{HandleError, Handler};
use crate::incoming::Incoming;
use crate::live::Live;
use crate::policy::{Next, next, pause_while_away};
use crate::telling::{Teller, Told};

/// A crash makes a process start anew, which takes longer each time; within this time after the start it is left out, so that
/// every start gets something done.
const CRASH_AFTER: Duration = Duration::from_secs(10);

/// How long a dead letter may still take when its partition is taken away: less than a member waits for what is in flight.
const LAST_PUT: Duration = Duration::from_secs(8);

/// What partitions share.
pub(crate) struct Shared {
    pub(crate) workload: Workload,
    pub(crate) settings: ConsumerSettings,
    pub(crate) handler: Handler,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) started: Instant,
    /// What the faults ask of the consumer as a whole.
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
}

/// What a fault asks of the consumer as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Leave the group and join it again.
    Rejoin,
    /// Abort.
    Crash,
}

/// The partition was taken away, and what was begun is left as it was.
struct TakenAway;

/// Handles the messages of one partition until it is taken away.
pub(crate) struct PartitionTask {
    shared: Arc<Shared>,
    stream: PartitionStream,
    live: watch::Receiver<Live>,
    teller: Teller,
}

impl PartitionTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stream: PartitionStream,
        live: watch::Receiver<Live>,
    ) -> Self {
        let group = &shared.settings.group;
        let teller = Teller::new(&shared.workload, stream.topic(), group);
        Self {
            shared,
            stream,
            live,
            teller,
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(message) = self.stream.next().await {
            if self.handle(message).await.is_err() {
                return;
            }
        }
    }

    async fn handle(&mut self, message: OwnedMessage) -> Result<(), TakenAway> {
        self.until_working().await?;
        self.teller.received();
        let offset = message.offset();
        let shared = Arc::clone(&self.shared);
        let parent = shared.settings.consumer_parent;
        let incoming = Incoming::new(message, parent, &shared.workload.telemetry);
        let around = circumstances(&self.live.borrow().faults, Instant::now(), draw);
        let mut told = Told::begin(incoming);
        let slow = around.slow.unwrap_or_default();
        if around.slow.is_some() {
            told.touch(ConsumerFault::Slow.name());
        }
        self.wait(|live| {
            // With the fault goes what it held up.
            let slow = Some(slow).filter(|_| live.faults.may_hit(ConsumerFault::Slow));
            live.delay.saturating_add(slow.unwrap_or_default())
        })
        .await?;
        // It may have been paused while it waited.
        self.until_working().await?;
        let failure = self.attempts(&mut told).await?;
        if let Some(after) = around.after.filter(|after| self.may_happen(*after)) {
            told.touch(after.fault().name());
            self.teller.told_after(&told, after.fault());
            self.teller.end(&told, failure.as_ref());
            return self.after(after, offset);
        }
        self.teller.end(&told, failure.as_ref());
        self.stream.done(offset);
        Ok(())
    }

    fn may_happen(&self, after: After) -> bool {
        after != After::Crash || self.shared.started.elapsed() >= CRASH_AFTER
    }

    /// What a fault does instead of the commit.
    fn after(&self, after: After, offset: i64) -> Result<(), TakenAway> {
        // The consumer as a whole may be ending already.
        let wish = |wish| _ = self.shared.wishes.send(wish);
        match after {
            After::CommitFailure => Ok(()),
            After::Rebalance => {
                self.stream.done(offset);
                wish(Wish::Rejoin);
                Ok(())
            }
            After::Crash => {
                wish(Wish::Crash);
                Err(TakenAway)
            }
        }
    }

    /// Tries until the message is handled or given up; the error that it was given up for.
    async fn attempts(&mut self, told: &mut Told) -> Result<Option<HandleError>, TakenAway> {
        let shared = Arc::clone(&self.shared);
        let (mut attempts, mut away): (u32, u32) = (0, 0);
        loop {
            let injected = failing(&self.live.borrow().faults, Instant::now(), draw);
            let result = match injected {
                Some(fault) => Err(HandleError::Injected(fault.name())),
                None => shared.handler.handle(&told.incoming).await,
            };
            let error = match result {
                Ok(()) => return Ok(None),
                // It is not the message that failed: giving it up would give up all that come while the API is away.
                Err(HandleError::Call(error)) if error.is_away() => {
                    away = away.saturating_add(1);
                    let pause = pause_while_away(&shared.settings.on_failure, away);
                    self.teller.waits(told, &error, pause);
                    self.wait(|_| pause).await?;
                    self.until_working().await?;
                    continue;
                }
                Err(error) => error,
            };
            attempts = attempts.saturating_add(1);
            told.attempts = attempts;
            if let HandleError::Injected(fault) = error {
                told.touch(fault);
            }
            let next = next(
                &shared.settings.on_failure,
                attempts,
                error.repeating_helps(),
            );
            match next {
                Next::Retry(pause) => {
                    self.teller.retried(told, &error, pause);
                    self.wait(|_| pause).await?;
                    self.until_working().await?;
                }
                Next::Skip => {
                    self.teller.skipped(told, &error);
                    return Ok(Some(error));
                }
                Next::DeadLetter => {
                    self.dead_letter(told, &error, attempts).await?;
                    return Ok(Some(error));
                }
            }
        }
    }

    async fn dead_letter(
        &self,
        told: &Told,
        error: &HandleError,
        attempts: u32,
    ) -> Result<(), TakenAway> {
        let Some(dead_letters) = &self.shared.dead_letters else {
            return Err(TakenAway);
        };
        let mut put = pin!(dead_letters.put(&told.incoming, error, attempts));
        let put = tokio::select! {
            biased;
            put = &mut put => Some(put),
            // What is on its way is brought to its end, so that the next member does not put it there once more.
            () = self.stream.revoked().cancelled() => timeout(LAST_PUT, put).await.ok(),
        };
        match put {
            Some(Ok(Some(topic))) => self.teller.dead_lettered(told, error, topic),
            Some(Err(refusal)) => self.teller.too_large(told, error, &refusal.to_string()),
            Some(Ok(None)) | None => return Err(TakenAway),
        }
        Ok(())
    }

    /// Waits while the consumer is paused.
    async fn until_working(&mut self) -> Result<(), TakenAway> {
        let revoked = self.stream.revoked().clone();
        tokio::select! {
            biased;
            () = revoked.cancelled() => Err(TakenAway),
            // Without anybody who edits, it stays as it is.
            working = self.live.wait_for(|live| !live.paused) => match working {
                Ok(_) => Ok(()),
                Err(_) => Err(TakenAway),
            },
        }
    }

    /// Waits for as long as the tuning says, also where it says something else meanwhile.
    async fn wait(&mut self, time: impl Fn(&Live) -> Duration) -> Result<(), TakenAway> {
        let begun = Instant::now();
        let revoked = self.stream.revoked().clone();
        loop {
            let time = time(&self.live.borrow_and_update());
            if time.is_zero() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = revoked.cancelled() => return Err(TakenAway),
                () = sleep_until(begun + time) => return Ok(()),
                changed = self.live.changed() => changed.map_err(|_| TakenAway)?,
            }
        }
    }
}

fn draw() -> f64 {
    rand::rng().random()
}
