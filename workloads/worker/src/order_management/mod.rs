//! The task `OrderManagement`: registered orders are claimed, their wood is taken from the stock, and they are moved on.

mod apis;
mod decision;
mod problem;
mod telling;

use futures::StreamExt as _;
use futures::stream;
use ordermill_config::WorkerSettings;
use ordermill_crds::values::Duration;
use ordermill_runtime::Workload;
use ordermill_runtime::telemetry::{Outcome, TraceContext};
use tokio::sync::watch;
use tokio::time::Instant;

use self::apis::{Apis, Order};
use self::decision::{Claim, Next, Status};
use self::telling::Piece;
use crate::faults::Faults;
use crate::plan::Live;
use crate::run::WorkerError;

/// Orders that are worked at the same time.
const CONCURRENCY: usize = 8;

/// The task, ready to run.
#[derive(Debug)]
pub(crate) struct OrderManagement {
    workload: Workload,
    live: watch::Receiver<Live>,
    apis: Apis,
    batch_size: u32,
    max_retries: u32,
    lease: Duration,
}

/// What became of an order that was claimed.
#[derive(Debug)]
enum Done {
    /// It was moved on.
    Moved,
    /// It is to be registered again, for another attempt in another run.
    Repeated(Repetition),
    /// It was left to its lease, or given back before it was begun.
    Left {
        /// Because an API did not answer.
        unreachable: bool,
    },
    /// Its lease was over before it was begun.
    Late,
}

/// An order that is to be tried once more.
#[derive(Debug)]
struct Repetition {
    order: Order,
    trace: TraceContext,
    lease_end: Instant,
    unreachable: bool,
}

/// Orders that were claimed at once.
struct Batch {
    orders: Vec<Order>,
    trace: TraceContext,
    /// The lease is not over before.
    lease_end: Instant,
}

impl OrderManagement {
    pub(crate) fn new(
        workload: &Workload,
        settings: &WorkerSettings,
        lease: Duration,
        live: watch::Receiver<Live>,
    ) -> Result<Self, WorkerError> {
        let faults = Faults::new(live.clone());
        Ok(Self {
            workload: workload.clone(),
            live,
            apis: Apis::new(workload, settings, faults)?,
            batch_size: settings.batch_size,
            max_retries: settings.max_retries,
            lease,
        })
    }

    /// Claims batches until no more orders wait, and works them. What is to be tried again is registered at the end, so that
    /// it is not claimed by the same run once more.
    pub(crate) async fn run(&self) {
        let mut repetitions = Vec::new();
        while !self.is_stopping() {
            let Some(batch) = self.claim().await else {
                break;
            };
            let is_full = batch.orders.len() >= self.batch_size as usize;
            let goes_on = self.work(batch, &mut repetitions).await;
            if !is_full || !goes_on {
                break;
            }
        }
        stream::iter(repetitions)
            .for_each_concurrent(CONCURRENCY, |repetition| self.repeat(repetition))
            .await;
    }

    /// Whether nothing new is to be begun.
    fn is_stopping(&self) -> bool {
        self.workload.cancelled.is_cancelled() || self.live.borrow().paused
    }

    /// Claims a batch; `None` where that fails, which is over by the next run or not.
    async fn claim(&self) -> Option<Batch> {
        let telemetry = &self.workload.telemetry;
        let mut piece = Piece::claim(telemetry);
        let claimed = self
            .apis
            .claim(self.batch_size, self.lease, &mut piece)
            .await;
        let claimed = claimed.map_err(|problem| piece.note(&problem)).ok();
        if let Some((orders, _)) = &claimed {
            piece.claimed(orders.len());
        }
        if piece.outcome() != Outcome::Ok {
            telemetry.counters().record(piece.outcome());
        }
        let trace = piece.trace();
        piece.end(telemetry, None);
        claimed.map(|(orders, lease_end)| Batch {
            orders,
            trace,
            lease_end,
        })
    }

    /// Works a batch, several orders at a time; whether another one will do better than none.
    async fn work(&self, batch: Batch, repetitions: &mut Vec<Repetition>) -> bool {
        let Batch {
            orders,
            trace,
            lease_end,
        } = batch;
        let mut all = stream::iter(orders)
            .map(|order| self.work_or_leave(order, trace, lease_end))
            .buffer_unordered(CONCURRENCY);
        let (mut moved, mut late, mut met_unreachable) = (0_usize, 0_usize, false);
        while let Some(done) = all.next().await {
            match done {
                Done::Moved => moved += 1,
                Done::Repeated(repetition) => {
                    met_unreachable |= repetition.unreachable;
                    repetitions.push(repetition);
                }
                Done::Left { unreachable } => met_unreachable |= unreachable,
                Done::Late => late += 1,
            }
        }
        if late > 0 {
            tracing::warn!(
                orders = late,
                "the lease was over before they were begun: it is too short for this batchSize"
            );
        }
        moved > 0 || !met_unreachable
    }

    /// Begins an order, unless it is too late for that.
    async fn work_or_leave(&self, order: Order, claim: TraceContext, lease_end: Instant) -> Done {
        if self.is_stopping() {
            let mut piece = Piece::give_back(&order, claim);
            let status = Status::Registered;
            let given = self.apis.change_surely(&order, status, &mut piece).await;
            piece.end(&self.workload.telemetry, given.then_some(status.as_str()));
            return Done::Left { unreachable: false };
        }
        if Instant::now() >= lease_end {
            return Done::Late;
        }
        self.attempt(order, claim, lease_end).await
    }

    /// One attempt at an order.
    async fn attempt(&self, order: Order, claim: TraceContext, lease_end: Instant) -> Done {
        let telemetry = &self.workload.telemetry;
        let mut piece = Piece::order(telemetry, &order, claim);
        let may = Claim {
            attempt: order.attempts,
            max_retries: self.max_retries,
        };
        let decreased = self.apis.decrease(&order, &mut piece).await;
        let status = match may.after_decrease(decreased) {
            Next::Become(status) => status,
            Next::Cancel => self.apis.cancel(&order, &mut piece).await.becomes(),
        };
        let became = match status {
            Status::Registered => None,
            Status::Processed | Status::Failed => {
                let moved = self.apis.change(&order, status, &mut piece).await;
                moved.then_some(status)
            }
        };
        telemetry.counters().record(piece.outcome());
        let (trace, unreachable) = (piece.trace(), piece.met_unreachable());
        if let Some(status) = became {
            self.workload.state.add_events(1);
            tracing::debug!(
                trace_id = %trace.trace_id(),
                span_id = %trace.span_id(),
                ordermill.order.id = %order.id,
                "{status}"
            );
        }
        piece.end(telemetry, became.map(Status::as_str));
        match (became, status) {
            (Some(_), _) => Done::Moved,
            (None, Status::Registered) => Done::Repeated(Repetition {
                order,
                trace,
                lease_end,
                unreachable,
            }),
            (None, _) => Done::Left { unreachable },
        }
    }

    /// Registers an order again. Where that fails, the end of its lease does.
    async fn repeat(&self, repetition: Repetition) {
        let Repetition {
            order,
            trace,
            lease_end,
            ..
        } = repetition;
        let status = Status::Registered;
        let mut piece = Piece::give_back(&order, trace);
        let is_over = Instant::now() >= lease_end;
        let again = is_over || self.apis.change(&order, status, &mut piece).await;
        if again {
            self.workload.state.add_retried(1);
        }
        piece.end(&self.workload.telemetry, again.then_some(status.as_str()));
    }
}
