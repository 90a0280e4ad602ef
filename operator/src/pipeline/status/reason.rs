//! The reasons of `Ready`: a closed set, stable for alerts and scripts.

use ordermill_config::TroubleReason;

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
    /// The pods cannot do their work.
    Trouble(TroubleReason),
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
            Self::Trouble(reason) => reason.as_str(),
            Self::Waiting => "Waiting",
            Self::Category(category) => category.as_str(),
        }
    }

    /// The reason that a pod tells in `/state`; pods may be newer than the operator.
    #[must_use]
    pub fn of_pod(reason: &str) -> Self {
        let mut known = TroubleReason::ALL.into_iter();
        known
            .find(|known| known.as_str() == reason)
            .map_or(Self::Waiting, Self::Trouble)
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
        let own = [
            Reason::Running,
            Reason::Paused,
            Reason::ScaledToZero,
            Reason::Completed,
            Reason::Progressing,
            Reason::PodsNotStarting,
            Reason::PodsRefused,
            Reason::WorkFailed,
            Reason::TopicNotReady,
            Reason::Waiting,
        ];
        // Nobody writes a status for these.
        let silent = [Category::NotLeading, Category::NamespaceTerminating];
        let categories = Category::ALL.into_iter();
        let categories = categories.filter(|it| !silent.contains(it));
        let known: BTreeSet<&str> = own
            .into_iter()
            .chain(TroubleReason::ALL.map(Reason::Trouble))
            .chain(categories.map(Reason::Category))
            .map(Reason::as_str)
            .collect();
        assert_eq!(listed, known);
    }
}
