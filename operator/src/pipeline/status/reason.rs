//! The reasons of `Ready`: a closed set, stable for alerts and scripts.

use crate::error::Category;

/// Why a resource is ready or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It works as declared.
    Running,
    /// Its pods are ready and do no work, as declared.
    Paused,
    /// It is declared to have no pods.
    ScaledToZero,
    /// A bounded run is done.
    Completed,
    /// Its pods are being made or replaced.
    Progressing,
    /// Its pods do not come up: image, volume, crash.
    PodsNotStarting,
    /// The API server refuses its pods: quota, admission.
    PodsRefused,
    /// A bounded run was given up.
    WorkFailed,
    /// Strimzi cannot make a topic.
    TopicNotReady,
    /// No broker answers the pods.
    KafkaUnreachable,
    /// The brokers refuse what the pods log in with.
    AuthenticationFailed,
    /// No TLS connection to the brokers comes about.
    TlsFailed,
    /// The brokers do not let the pods do this.
    NotAuthorized,
    /// A topic is missing and the pods may not create it.
    TopicCreationDenied,
    /// A topic is missing and cannot be created.
    TopicMissing,
    /// A topic takes smaller records than the pods send.
    RecordTooLarge,
    /// The Kafka client refuses its settings or files.
    ConfigurationInvalid,
    /// Kafka refuses something else.
    KafkaError,
    /// The pods tell a reason that this operator does not know.
    Waiting,
    /// The resource cannot become what it declares.
    Category(Category),
}

impl Reason {
    /// The name in conditions and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::ScaledToZero => "ScaledToZero",
            Self::Completed => "Completed",
            Self::Progressing => "Progressing",
            Self::PodsNotStarting => "PodsNotStarting",
            Self::PodsRefused => "PodsRefused",
            Self::WorkFailed => "WorkFailed",
            Self::TopicNotReady => "TopicNotReady",
            Self::KafkaUnreachable => "KafkaUnreachable",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::TlsFailed => "TlsFailed",
            Self::NotAuthorized => "NotAuthorized",
            Self::TopicCreationDenied => "TopicCreationDenied",
            Self::TopicMissing => "TopicMissing",
            Self::RecordTooLarge => "RecordTooLarge",
            Self::ConfigurationInvalid => "ConfigurationInvalid",
            Self::KafkaError => "KafkaError",
            Self::Waiting => "Waiting",
            Self::Category(category) => category.as_str(),
        }
    }

    /// The reason that a pod tells in `/state`; pods may be newer than the operator.
    #[must_use]
    pub fn of_pod(reason: &str) -> Self {
        let known = [
            Self::KafkaUnreachable,
            Self::AuthenticationFailed,
            Self::TlsFailed,
            Self::NotAuthorized,
            Self::TopicCreationDenied,
            Self::TopicMissing,
            Self::RecordTooLarge,
            Self::ConfigurationInvalid,
            Self::KafkaError,
        ];
        let mut known = known.into_iter();
        known
            .find(|known| known.as_str() == reason)
            .unwrap_or(Self::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_for_users_lists_every_reason_and_no_other() {
        let page = include_str!("../../../../docs/conditions.md");
        let (_, ready) = page.split_once("## Ready").unwrap();
        let (ready, _) = ready.split_once("## TuningApplied").unwrap();
        let rows = ready.lines().filter_map(|line| line.strip_prefix("| `"));
        let listed: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let of_pods = [
            Reason::Running,
            Reason::Paused,
            Reason::ScaledToZero,
            Reason::Completed,
            Reason::Progressing,
            Reason::PodsNotStarting,
            Reason::PodsRefused,
            Reason::WorkFailed,
            Reason::TopicNotReady,
            Reason::KafkaUnreachable,
            Reason::AuthenticationFailed,
            Reason::TlsFailed,
            Reason::NotAuthorized,
            Reason::TopicCreationDenied,
            Reason::TopicMissing,
            Reason::RecordTooLarge,
            Reason::ConfigurationInvalid,
            Reason::KafkaError,
            Reason::Waiting,
        ];
        // Nobody writes a status for these.
        let silent = [Category::NotLeading, Category::NamespaceTerminating];
        let categories = Category::ALL.into_iter();
        let categories = categories.filter(|it| !silent.contains(it));
        let known: BTreeSet<&str> = of_pods
            .into_iter()
            .chain(categories.map(Reason::Category))
            .map(Reason::as_str)
            .collect();
        assert_eq!(listed, known);
    }
}
