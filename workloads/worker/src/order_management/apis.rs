//! The calls that the task makes.

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use ordermill_config::{BackendRole, WorkerSettings};
use ordermill_crds::values::Duration;
use ordermill_events::wood::WoodType;
use ordermill_runtime::Workload;
use ordermill_runtime::api::{Answer, ApiClient, Call};
use ordermill_runtime::faults::{BackendFault, End};
use ordermill_runtime::telemetry::TraceContext;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::decision::{Cancelled, Decreased, Status};
use super::problem::{Problem, Step};
use super::telling::Piece;
use crate::faults::Faults;
use crate::run::WorkerError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An order that was claimed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Order {
    #[serde(rename = "order_id")]
    pub id: Uuid,
    wood_type: WoodType,
    quantity: i64,
    /// How often it was claimed.
    pub attempts: u32,
    #[serde(default)]
    traceparent: Option<String>,
}

impl Order {
    /// The trace that it came with.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.traceparent.as_deref()?).ok()
    }
}

#[derive(Debug, Serialize)]
struct ClaimBody<'a> {
    worker: &'a str,
    limit: u32,
    lease: Duration,
}

#[derive(Debug, Deserialize)]
struct Claimed {
    orders: Vec<Order>,
}

#[derive(Debug, Serialize)]
struct DecreaseBody {
    wood_type: WoodType,
    quantity: i64,
    attempt: u32,
}

#[derive(Debug, Serialize)]
struct CancelBody {
    attempt: u32,
}

#[derive(Debug, Serialize)]
struct ChangeBody {
    status: Status,
    attempt: u32,
}

/// The order and the stock API, with what is wrong on purpose.
#[derive(Debug)]
pub(super) struct Apis {
    orders: ApiClient,
    stocks: ApiClient,
    faults: Faults,
    /// What the worker is called in claims.
    worker: String,
    cancelled: CancellationToken,
}

impl Apis {
    pub(super) fn new(
        workload: &Workload,
        settings: &WorkerSettings,
        faults: Faults,
    ) -> Result<Self, WorkerError> {
        let client = |role: BackendRole| {
            let url = settings.backends.get(&role);
            let url = url.ok_or(WorkerError::Documents("the URL of a backend"))?;
            ApiClient::new(workload, url).map_err(|source| WorkerError::Api { role, source })
        };
        Ok(Self {
            orders: client(BackendRole::Order)?,
            stocks: client(BackendRole::Stock)?,
            faults,
            worker: workload.instance.name.clone(),
            cancelled: workload.cancelled.clone(),
        })
    }

    /// Claims orders for so long, so many at most; with them the moment that their lease is not over before.
    pub(super) async fn claim(
        &self,
        limit: u32,
        lease: Duration,
        piece: &mut Piece,
    ) -> Result<(Vec<Order>, Instant), Problem> {
        let step = Step::Claim;
        let path = "/orders/claim";
        let worker = &self.worker;
        let call = Call::new(Method::POST, path, path.to_owned(), piece.trace());
        let call = call.json(&ClaimBody {
            worker,
            limit,
            lease,
        });
        let call = self.let_through(&self.orders, step, call, piece).await?;
        // The API counts from a later moment.
        let lease_end = Instant::now() + lease.get();
        let answer = make(&self.orders, step, &call).await?;
        if answer.status != StatusCode::OK {
            return Err(unexpected(step, &answer));
        }
        let Claimed { orders } = answer
            .json()
            .map_err(|source| Problem::Body { step, source })?;
        Ok((orders, lease_end))
    }

    /// Takes an order's wood, once for all attempts.
    pub(super) async fn decrease(&self, order: &Order, piece: &mut Piece) -> Decreased {
        let step = Step::Decrease;
        if self.faults.fail_step() {
            piece.note(&Problem::FailedStep(step));
            return Decreased::NotAsked;
        }
        let body = DecreaseBody {
            wood_type: order.wood_type,
            quantity: order.quantity,
            attempt: order.attempts,
        };
        let answered = self
            .ask_stock(step, "/stocks/decrease", order, &body, piece)
            .await;
        let (problem, decreased) = match answered {
            Ok(answer) => match answer.status {
                StatusCode::OK => return Decreased::Taken,
                StatusCode::CONFLICT => {
                    (Problem::Insufficient(answer.detail()), Decreased::Refused)
                }
                StatusCode::NOT_FOUND => {
                    (Problem::UnknownWood(answer.detail()), Decreased::Refused)
                }
                _ => (unexpected(step, &answer), Decreased::Unknown),
            },
            Err(problem) => (problem, Decreased::Unknown),
        };
        piece.note(&problem);
        decreased
    }

    /// Sees to it that an order's wood is not taken any more, by this claim or an earlier one.
    pub(super) async fn cancel(&self, order: &Order, piece: &mut Piece) -> Cancelled {
        let step = Step::Cancel;
        let body = CancelBody {
            attempt: order.attempts,
        };
        let answered = self
            .ask_stock(step, "/stocks/decrease/cancel", order, &body, piece)
            .await;
        let problem = match answered {
            Ok(answer) => match answer.status {
                StatusCode::NO_CONTENT => return Cancelled::InTime,
                StatusCode::CONFLICT => return Cancelled::TooLate,
                _ => unexpected(step, &answer),
            },
            Err(problem) => problem,
        };
        piece.note(&problem);
        Cancelled::Unknown
    }

    /// Moves an order, as `errorRate` lets it; whether it is so now.
    pub(super) async fn change(&self, order: &Order, status: Status, piece: &mut Piece) -> bool {
        if self.faults.fail_step() {
            piece.note(&Problem::FailedStep(Step::Change(status)));
            return false;
        }
        self.change_surely(order, status, piece).await
    }

    /// The same where it is no step of the job.
    pub(super) async fn change_surely(
        &self,
        order: &Order,
        status: Status,
        piece: &mut Piece,
    ) -> bool {
        let step = Step::Change(status);
        let path = format!("/orders/{}/status", order.id);
        let call = Call::new(Method::PUT, "/orders/{id}/status", path, piece.trace());
        let call = call.json(&ChangeBody {
            status,
            attempt: order.attempts,
        });
        let problem = match self.ask(&self.orders, step, call, piece).await {
            Ok(answer) => match answer.status {
                StatusCode::OK => return true,
                StatusCode::CONFLICT => Problem::ClaimOver(answer.detail()),
                _ => unexpected(step, &answer),
            },
            Err(problem) => problem,
        };
        piece.note(&problem);
        false
    }

    /// A call about an order's wood, with the order as its key.
    async fn ask_stock(
        &self,
        step: Step,
        path: &'static str,
        order: &Order,
        body: &impl Serialize,
        piece: &mut Piece,
    ) -> Result<Answer, Problem> {
        let mut call = Call::new(Method::POST, path, path.to_owned(), piece.trace());
        // Hexadecimal digits and dashes are a header's value.
        call.header = HeaderValue::try_from(order.id.to_string())
            .ok()
            .map(|key| (IDEMPOTENCY_KEY, key));
        self.ask(&self.stocks, step, call.json(body), piece).await
    }

    /// Makes a call, unless a fault has something else in mind.
    async fn ask(
        &self,
        api: &ApiClient,
        step: Step,
        call: serde_json::Result<Call>,
        piece: &mut Piece,
    ) -> Result<Answer, Problem> {
        let call = self.let_through(api, step, call, piece).await?;
        make(api, step, &call).await
    }

    /// The call, when its time has come; not where a fault fails it.
    async fn let_through(
        &self,
        api: &ApiClient,
        step: Step,
        call: serde_json::Result<Call>,
        piece: &mut Piece,
    ) -> Result<Call, Problem> {
        let mut call = call.map_err(|source| Problem::Body { step, source })?;
        let failed = |fault| Problem::FailedCall { step, fault };
        let fate = self.faults.of_call();
        if !fate.delay.is_zero() {
            self.wait(fate.delay).await;
        }
        match fate.end {
            End::Fails(fault) => return Err(failed(fault)),
            End::Refused(_) => return Err(failed(BackendFault::Unavailable)),
            End::Hangs => {
                self.wait(api.deadline()).await;
                return Err(failed(BackendFault::Hang));
            }
            End::Regular if fate.delay.is_zero() => {}
            End::Regular => {
                piece.note(&Problem::LateCall(step));
                call.injected = Some(BackendFault::Latency.name().to_owned());
            }
        }
        Ok(call)
    }

    /// Waits on purpose, which is no reason to end later.
    async fn wait(&self, time: std::time::Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.cancelled.cancelled() => {}
        }
    }
}

async fn make(api: &ApiClient, step: Step, call: &Call) -> Result<Answer, Problem> {
    let answer = api.call(call).await;
    answer.map_err(|source| Problem::Call { step, source })
}

fn unexpected(step: Step, answer: &Answer) -> Problem {
    Problem::Unexpected {
        step,
        status: answer.status,
        detail: answer.detail(),
    }
}
