//! What consumers do with messages.

mod check;

use ordermill_config::{BackendRole, ConsumerSettings};
use ordermill_crds::ConsumerHandler;
use ordermill_runtime::Workload;
use ordermill_runtime::api::{ApiClient, ApiClientError, CallError};
use ordermill_runtime::kafka::dead_letter::DeadLetterReason;

use self::check::{Check, InvalidMessage};
use crate::incoming::{Incoming, MALFORMED};

/// Why a handler cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// This version has no such handler.
    #[error("this version runs no {0} yet")]
    Unsupported(&'static str),
    /// The settings name no address of a service.
    #[error("the settings have no address of the {0} API")]
    NoBackend(BackendRole),
    /// The address of a service is none.
    #[error(transparent)]
    Client(#[from] ApiClientError),
}

/// Why a message was not handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    /// It is not what the handler takes.
    #[error("the message is not valid")]
    Invalid(#[from] InvalidMessage),
    /// The API refuses it.
    #[error("the API refuses it with {status}: {detail}")]
    Refused {
        /// The API's status.
        status: hyper::StatusCode,
        /// What it said.
        detail: String,
    },
    /// Who answers is not the API, or not one that takes this.
    #[error("the API answers with {status}: {detail}")]
    Unexpected {
        /// The status.
        status: hyper::StatusCode,
        /// What it said.
        detail: String,
    },
    /// The API gives no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A fault fails it on purpose.
    #[error("on purpose: injected by {0}")]
    Injected(&'static str),
}

impl HandleError {
    /// Whether another attempt may succeed.
    pub(crate) const fn repeating_helps(&self) -> bool {
        matches!(
            self,
            Self::Call(_) | Self::Injected(_) | Self::Unexpected { .. }
        )
    }

    /// Why it is a dead letter, where it becomes one.
    pub(crate) const fn reason(&self) -> DeadLetterReason {
        match self {
            Self::Invalid(_) => DeadLetterReason::InvalidMessage,
            Self::Refused { .. } => DeadLetterReason::Refused,
            Self::Call(_) | Self::Injected(_) | Self::Unexpected { .. } => {
                DeadLetterReason::RetriesExhausted
            }
        }
    }

    /// A name of few, for `error.type`.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_message",
            Self::Refused { .. } => "refused",
            Self::Unexpected { .. } => "unexpected_status",
            Self::Call(error) => error.error_type(),
            Self::Injected(fault) => fault,
        }
    }

    /// The fault that failed it, of ours or of somebody upstream.
    pub(crate) fn injected(&self, incoming: &Incoming) -> Option<&'static str> {
        match self {
            Self::Injected(fault) => Some(fault),
            Self::Call(error) => error.injected(),
            Self::Invalid(_) => incoming.is_malformed_on_purpose().then_some(MALFORMED),
            Self::Refused { .. } | Self::Unexpected { .. } => None,
        }
    }
}

/// What a consumer does with messages.
#[derive(Debug)]
pub(crate) enum Handler {
    /// Checks wood orders and posts them to the order API.
    Orders(Check<check::WoodOrder>),
    /// Checks wood deliveries and posts them to the stock API.
    Deliveries(Check<check::WoodDelivery>),
}

impl Handler {
    /// The handler of these settings.
    pub(crate) fn new(
        workload: &Workload,
        settings: &ConsumerSettings,
    ) -> Result<Self, HandlerError> {
        let client = |role| {
            let url = settings.backends.get(&role);
            let url = url.ok_or(HandlerError::NoBackend(role))?;
            Ok::<_, HandlerError>(ApiClient::new(workload, url)?)
        };
        match settings.handler {
            ConsumerHandler::OrderCheck => {
                Ok(Self::Orders(Check::new(client(BackendRole::Order)?)))
            }
            ConsumerHandler::StockCheck => {
                Ok(Self::Deliveries(Check::new(client(BackendRole::Stock)?)))
            }
            ConsumerHandler::Inventory => Err(unsupported("Inventory")),
            ConsumerHandler::OrderAnalytics => Err(unsupported("OrderAnalytics")),
            ConsumerHandler::RetailAnalytics => Err(unsupported("RetailAnalytics")),
            ConsumerHandler::CustomerStats => Err(unsupported("CustomerStats")),
        }
    }

    /// Handles a message; that it is handled twice has the effect of once.
    pub(crate) async fn handle(&self, incoming: &Incoming) -> Result<(), HandleError> {
        match self {
            Self::Orders(check) => check.handle(incoming).await,
            Self::Deliveries(check) => check.handle(incoming).await,
        }
    }
}

const fn unsupported(handler: &'static str) -> HandlerError {
    HandlerError::Unsupported(handler)
}
