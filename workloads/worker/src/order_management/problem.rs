//! What goes wrong with an order, in words and as an outcome.

use std::fmt;

use http::StatusCode;
use ordermill_runtime::api::CallError;
use ordermill_runtime::faults::{BackendFault, ERROR_RATE};
use ordermill_runtime::telemetry::Outcome;

use super::decision::Status;

/// A step of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Claim,
    Decrease,
    Cancel,
    Change(Status),
}

impl Step {
    /// The type of a failure of the API that does it.
    const fn error_type(self) -> &'static str {
        match self {
            Self::Claim | Self::Change(_) => "order_api",
            Self::Decrease | Self::Cancel => "stock_api",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim => formatter.write_str("the claim of orders"),
            Self::Decrease => formatter.write_str("the decrease of the stock"),
            Self::Cancel => formatter.write_str("the cancelling of the decrease"),
            Self::Change(status) => write!(formatter, "the change of the status to {status}"),
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// `errorRate` failed a step.
    #[error("{0} failed, on purpose: injected by {ERROR_RATE}")]
    FailedStep(Step),
    /// A fault failed a call.
    #[error("{step} failed, on purpose: injected by {}", .fault.name())]
    FailedCall { step: Step, fault: BackendFault },
    /// A fault made a call late.
    #[error("{0} took longer, on purpose: injected by {latency}", latency = BackendFault::Latency.name())]
    LateCall(Step),
    /// There was no answer.
    #[error("{step} failed")]
    Call {
        step: Step,
        #[source]
        source: CallError,
    },
    /// There was an answer that nothing follows from.
    #[error("{step} was answered with {status}: {detail}")]
    Unexpected {
        step: Step,
        status: StatusCode,
        detail: String,
    },
    /// A body is not what it should be.
    #[error("{step}: the body cannot be used")]
    Body {
        step: Step,
        #[source]
        source: serde_json::Error,
    },
    /// There is too little wood.
    #[error("the stock was not decreased: {0}")]
    Insufficient(String),
    /// There never was such wood.
    #[error("the stock was not decreased: {0}")]
    UnknownWood(String),
    /// The order is somebody else's now.
    #[error("the claim was over: {0}")]
    ClaimOver(String),
}

impl Problem {
    /// How a piece of work ends in which this went wrong first.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::FailedStep(_) => Outcome::Injected(ERROR_RATE),
            Self::FailedCall { fault, .. } => Outcome::Injected(fault.name()),
            Self::LateCall(_) => Outcome::Injected(BackendFault::Latency.name()),
            // What an API fails at on purpose is on purpose here too.
            Self::Call { source, .. } => source
                .injected()
                .map_or(Outcome::Failed(source.error_type()), Outcome::Injected),
            Self::Unexpected { step, .. } | Self::Body { step, .. } => {
                Outcome::Failed(step.error_type())
            }
            Self::Insufficient(_) => Outcome::Failed("insufficient_stock"),
            Self::UnknownWood(_) => Outcome::Failed("unknown_wood"),
            Self::ClaimOver(_) => Outcome::Failed("claim_over"),
        }
    }

    /// Whether an API does not answer at all, so that the next call will hardly do better.
    pub(super) fn is_unreachable(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.trouble().is_some(),
            Self::FailedCall { fault, .. } => {
                matches!(fault, BackendFault::Hang | BackendFault::Unavailable)
            }
            _ => false,
        }
    }

    /// Whether it is told elsewhere, once for all orders.
    pub(super) fn is_told_as_trouble(&self) -> bool {
        matches!(self, Self::Call { source, .. } if source.trouble().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_purpose_is_told_from_what_is_real() {
        let failed = |injected| Problem::Call {
            step: Step::Decrease,
            source: CallError::Failed {
                api: "http://stock".to_owned(),
                status: StatusCode::INTERNAL_SERVER_ERROR,
                detail: String::new(),
                injected,
            },
        };
        let unexpected = |step| Problem::Unexpected {
            step,
            status: StatusCode::IM_A_TEAPOT,
            detail: String::new(),
        };
        for (problem, outcome) in [
            (
                Problem::FailedStep(Step::Change(Status::Processed)),
                Outcome::Injected("errorRate"),
            ),
            (
                Problem::FailedCall {
                    step: Step::Claim,
                    fault: BackendFault::Hang,
                },
                Outcome::Injected("hang"),
            ),
            (failed(Some("errorRate")), Outcome::Injected("errorRate")),
            (failed(None), Outcome::Failed("500")),
            (unexpected(Step::Cancel), Outcome::Failed("stock_api")),
            (
                unexpected(Step::Change(Status::Failed)),
                Outcome::Failed("order_api"),
            ),
            (
                Problem::Insufficient("2 of oak are wanted".to_owned()),
                Outcome::Failed("insufficient_stock"),
            ),
        ] {
            assert_eq!(problem.outcome(), outcome, "{problem}");
        }
    }

    #[test]
    fn a_step_that_fails_on_purpose_says_which_and_by_what() {
        assert_eq!(
            Problem::FailedStep(Step::Change(Status::Processed)).to_string(),
            "the change of the status to processed failed, on purpose: injected by errorRate"
        );
    }
}
