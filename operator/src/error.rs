//! Why a resource cannot be as it is declared: a closed set of categories, each the reason of a condition and of an event
//! and the label of a metric.

use std::time::Duration;

use ordermill_config::full_error;

use crate::cluster::ApiError;

/// The kind of an error. Its name is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// The resource cannot be read: it was stored before today's rules.
    Undecodable,
    /// Fields do not fit each other, or this version does not support what they ask for.
    InvalidSpec,
    /// Neither the resource nor the operator says where Kafka is.
    KafkaNotConfigured,
    /// The operator may not use these brokers: see its `--allowed-bootstrap-servers`.
    BootstrapNotAllowed,
    /// There is no such Strimzi cluster, listener or user.
    KafkaNotFound,
    /// The Strimzi cluster or user is there and not ready.
    KafkaNotReady,
    /// Another resource, or a person, has configured the topic differently.
    TopicConflict,
    /// There is no such Backend.
    BackendNotFound,
    /// An object with a name that we need belongs to somebody else.
    NameTaken,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// The API server refuses an object for good: a quota, an admission rule, missing rights.
    Refused,
    /// The API server cannot be reached, is overloaded, or has a newer version of an object.
    ApiUnavailable,
    /// Another operator leads.
    NotLeading,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Undecodable,
        Self::InvalidSpec,
        Self::KafkaNotConfigured,
        Self::BootstrapNotAllowed,
        Self::KafkaNotFound,
        Self::KafkaNotReady,
        Self::TopicConflict,
        Self::BackendNotFound,
        Self::NameTaken,
        Self::NamespaceTerminating,
        Self::Refused,
        Self::ApiUnavailable,
        Self::NotLeading,
    ];

    /// The name in conditions, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "Undecodable",
            Self::InvalidSpec => "InvalidSpec",
            Self::KafkaNotConfigured => "KafkaNotConfigured",
            Self::BootstrapNotAllowed => "BootstrapNotAllowed",
            Self::KafkaNotFound => "KafkaNotFound",
            Self::KafkaNotReady => "KafkaNotReady",
            Self::TopicConflict => "TopicConflict",
            Self::BackendNotFound => "BackendNotFound",
            Self::NameTaken => "NameTaken",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::Refused => "Refused",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::NotLeading => "NotLeading",
        }
    }

    /// What is to happen next.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Undecodable
            | Self::InvalidSpec
            | Self::KafkaNotConfigured
            | Self::BootstrapNotAllowed
            | Self::NamespaceTerminating => Retry::OnChange,
            // What is waited for may not be watched, so it is looked at again now and then.
            Self::KafkaNotFound
            | Self::KafkaNotReady
            | Self::TopicConflict
            | Self::BackendNotFound
            | Self::NameTaken
            | Self::Refused => Retry::Every(Duration::from_secs(30)),
            Self::ApiUnavailable | Self::NotLeading => Retry::BackOff,
        }
    }

    /// Whether a person has to do something before it gets better.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        !matches!(
            self,
            Self::ApiUnavailable | Self::NotLeading | Self::KafkaNotReady
        )
    }
}

/// When an object with an error is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// When it or something that it depends on has changed.
    OnChange,
    /// After this time at the latest.
    Every(Duration),
    /// After a time that grows with each failure in a row, with jitter.
    BackOff,
}

/// Why a reconcile ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A person has to change something; the message says what.
    #[error("{message}")]
    Declared {
        /// The category.
        category: Category,
        /// What is wrong, why, and what to do.
        message: String,
    },
    /// The API server did not do what it was asked to.
    #[error("cannot {action}")]
    Api {
        /// What was tried, such as `apply Deployment orders-producer`.
        action: String,
        /// What it said.
        #[source]
        source: ApiError,
    },
    /// A child has no form as JSON.
    #[error("cannot write {what} as JSON")]
    Serialize {
        /// The object.
        what: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A document cannot be signed.
    #[error("cannot sign the tuning document")]
    Sign(#[source] ordermill_config::SignError),
    /// This process does not lead, so it must not write.
    #[error("another operator leads")]
    NotLeading,
}

impl ReconcileError {
    /// An error that a person has to mend.
    pub fn declared(category: Category, message: impl Into<String>) -> Self {
        Self::Declared {
            category,
            message: message.into(),
        }
    }

    /// An error of the API server.
    pub fn api(action: impl Into<String>) -> impl FnOnce(ApiError) -> Self {
        let action = action.into();
        move |source| Self::Api { action, source }
    }

    /// The category.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Declared { category, .. } => *category,
            Self::Api { source, .. } => category_of(source),
            Self::Serialize { .. } | Self::Sign(_) => Category::InvalidSpec,
            Self::NotLeading => Category::NotLeading,
        }
    }

    /// How long the API server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// Whether the object is not there any more, or another one of the same name is.
    #[must_use]
    pub fn is_about_a_missing_object(&self) -> bool {
        matches!(self, Self::Api { source, .. } if source.code() == Some(404))
    }

    /// The error with all its causes, for a person.
    #[must_use]
    pub fn full_message(&self) -> String {
        full_error(self)
    }
}

fn category_of(error: &ApiError) -> Category {
    match error.code() {
        _ if error.is_namespace_terminating() => Category::NamespaceTerminating,
        Some(403 | 413 | 422 | 400) => Category::Refused,
        _ => Category::ApiUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn answer(code: u16, cause: &str, retry_after_seconds: u32) -> ReconcileError {
        let details = StatusDetails {
            causes: vec![StatusCause {
                reason: cause.to_owned(),
                message: String::new(),
                field: String::new(),
            }],
            retry_after_seconds,
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
        };
        let status = Status::failure("no", "Reason")
            .with_code(code)
            .with_details(details);
        ReconcileError::api("apply")(kube::Error::Api(Box::new(status)).into())
    }

    #[test]
    fn answers_of_the_api_server_have_their_category() {
        for (code, cause, category) in [
            (403, "NamespaceTerminating", Category::NamespaceTerminating),
            (403, "", Category::Refused),
            (422, "", Category::Refused),
            (409, "", Category::ApiUnavailable),
            (410, "", Category::ApiUnavailable),
            (429, "", Category::ApiUnavailable),
            (500, "", Category::ApiUnavailable),
            (503, "", Category::ApiUnavailable),
        ] {
            assert_eq!(
                answer(code, cause, 0).category(),
                category,
                "{code} {cause}"
            );
        }
    }

    #[test]
    fn the_api_server_may_ask_for_patience() {
        assert_eq!(
            answer(429, "", 7).retry_after(),
            Some(Duration::from_secs(7))
        );
        assert_eq!(answer(500, "", 0).retry_after(), None);
    }
}
