//! Why a call has no answer.

use std::time::Duration;

use hyper::StatusCode;
use ordermill_config::TroubleReason;

/// Why an API cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum ApiClientError {
    /// It has no address.
    #[error("{url:?} is not the address of an API: http://host or https://host is needed")]
    Address {
        /// What was given.
        url: String,
        /// Why it cannot be read; none where only a part is missing.
        #[source]
        source: Option<hyper::http::uri::InvalidUri>,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Why a call has no answer that its caller could decide by. What the API refuses is an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The API failed: a 5xx, or a 429.
    #[error("{api} answered with {status}: {detail}")]
    Failed {
        /// The API.
        api: String,
        /// Its status.
        status: StatusCode,
        /// What it said.
        detail: String,
        /// The fault that it was made by on purpose.
        injected: Option<&'static str>,
    },
    /// There was no answer in time.
    #[error("{api} did not answer within {} ms", .deadline.as_millis())]
    TimedOut {
        /// The API.
        api: String,
        /// The time that it had.
        deadline: Duration,
    },
    /// No connection comes about.
    #[error("cannot reach {api}")]
    Unreachable {
        /// The API.
        api: String,
        /// What the client said.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// Something else has its address: no API of ours answers so.
    #[error(
        "something other than the API answers at {api}: {status}, {found} instead of {expected}",
        found = .media_type.as_deref().unwrap_or("no media type")
    )]
    Another {
        /// The API.
        api: String,
        /// The status.
        status: StatusCode,
        /// The answer's media type, where it has one.
        media_type: Option<String>,
        /// That of the API's answers with such a status.
        expected: &'static str,
    },
    /// The connection broke, or too much came.
    #[error("cannot read the answer of {api}")]
    Broken {
        /// The API.
        api: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// So many calls failed that none is tried for a while.
    #[error("{api} failed too often and is left alone for a while")]
    CircuitOpen {
        /// The API.
        api: String,
    },
    /// The call cannot be put into words of HTTP and JSON.
    #[error("the call cannot be put into words of HTTP and JSON")]
    Unspeakable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CallError {
    /// A call whose words there are none for.
    #[must_use]
    pub fn unspeakable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unspeakable(Box::new(source))
    }

    /// Whether the API is away, whatever it is asked: what is asked of it is neither refused nor failed.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Another { .. } | Self::CircuitOpen { .. } => true,
            Self::Failed { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut { .. } | Self::Broken { .. } | Self::Unspeakable(_) => false,
        }
    }

    /// A name of few, for `error.type`.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Failed { status, .. } => match status.as_u16() {
                429 => "429",
                500 => "500",
                502 => "502",
                503 => "503",
                504 => "504",
                _ => "5xx",
            },
            Self::TimedOut { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Another { .. } => "another_answers",
            Self::Broken { .. } => "broken_answer",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Unspeakable(_) => "invalid_call",
        }
    }

    /// The fault that it was made by on purpose, by somebody upstream.
    #[must_use]
    pub const fn injected(&self) -> Option<&'static str> {
        match self {
            Self::Failed { injected, .. } => *injected,
            _ => None,
        }
    }

    /// Whether a second attempt at once is worth it: the connection broke, which the next one need not.
    pub(super) const fn is_of_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. })
    }

    /// The reason to show where calls go on failing so; none where it is no trouble of the API's reachability.
    #[must_use]
    pub fn trouble(&self) -> Option<TroubleReason> {
        let silent = matches!(self, Self::TimedOut { .. });
        (silent || self.is_away()).then_some(TroubleReason::BackendUnreachable)
    }
}
