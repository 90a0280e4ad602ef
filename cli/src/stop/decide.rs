//! What becomes of each resource: pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Resource;

/// When `stop` paused a resource; what a user paused does not have it.
const STOPPED_AT: &str = "ordermill.dev/stopped-at";

/// What is to be done about a resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Write this patch; then this has become of it.
    Write(Value, Outcome),
    /// Nothing, for this reason.
    Leave(Outcome),
}

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Changed,
    PausedAlready,
    /// It is not paused.
    Works,
    /// It was paused by somebody else.
    NotOurs,
    Finished,
    BeingDeleted,
}

impl Outcome {
    /// In words; `done` says what a change is.
    pub(super) const fn words(self, done: &str) -> &str {
        match self {
            Self::Changed => done,
            Self::PausedAlready => "was paused already",
            Self::Works => "was not paused",
            Self::NotOurs => "stays paused: stop did not pause it; name it to start it",
            Self::Finished => "has finished",
            Self::BeingDeleted => "is being deleted",
        }
    }
}

/// Pauses what works.
pub(super) fn pause(resource: &Resource, now: Timestamp) -> Decision {
    if resource.is_being_deleted() {
        Decision::Leave(Outcome::BeingDeleted)
    } else if is_finished(resource) {
        Decision::Leave(Outcome::Finished)
    } else if resource.is_paused() {
        Decision::Leave(Outcome::PausedAlready)
    } else {
        let patch = json!({
            "metadata": {"annotations": {STOPPED_AT: now.to_string()}},
            "spec": {"paused": true},
        });
        Decision::Write(patch, Outcome::Changed)
    }
}

/// Lets work what `stop` has paused, or, if it is named, whatever is paused.
pub(super) fn unpause(resource: &Resource, is_named: bool) -> Decision {
    let is_ours = resource.annotations().contains_key(STOPPED_AT);
    if resource.is_being_deleted() {
        return Decision::Leave(Outcome::BeingDeleted);
    }
    if !resource.is_paused() {
        if is_ours {
            // Somebody has started it by an edit; a later stop of theirs must not count as ours.
            let patch = json!({"metadata": {"annotations": {STOPPED_AT: null}}});
            return Decision::Write(patch, Outcome::Works);
        }
        let outcome = if is_finished(resource) {
            Outcome::Finished
        } else {
            Outcome::Works
        };
        return Decision::Leave(outcome);
    }
    if !is_ours && !is_named {
        return Decision::Leave(Outcome::NotOurs);
    }
    // Without the field nobody owns it, and no apply to come is in conflict with us.
    let patch = json!({
        "metadata": {"annotations": {STOPPED_AT: null}},
        "spec": {"paused": null},
    });
    Decision::Write(patch, Outcome::Changed)
}

fn is_finished(resource: &Resource) -> bool {
    let conditions = &resource.object.data["status"]["conditions"];
    let mut conditions = conditions.as_array().into_iter().flatten();
    conditions
        .any(|it| it["type"] == "Ready" && it["status"] == "True" && it["reason"] == "Completed")
}

/// All outcomes in one line.
pub(super) fn summary(outcomes: &[Outcome], failed: usize, done: &str, place: &str) -> String {
    if outcomes.is_empty() && failed == 0 {
        return format!("There is no resource of ours {place}.");
    }
    let count = |outcome: Outcome| outcomes.iter().filter(|it| **it == outcome).count();
    let parts = [
        (count(Outcome::PausedAlready), "paused already"),
        (count(Outcome::Works), "not paused"),
        (count(Outcome::NotOurs), "paused by others"),
        (count(Outcome::Finished), "finished"),
        (count(Outcome::BeingDeleted), "being deleted"),
        (failed, "failed"),
    ];
    let others = parts.into_iter().filter(|(count, _)| *count > 0);
    let others = others.map(|(count, what)| format!(", {count} {what}"));
    let others: String = others.collect();
    format!("{} {done}{others}", count(Outcome::Changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    fn resource(yaml: &str) -> Resource {
        Resource::new(Kind::Producer, serde_yaml::from_str(yaml).unwrap())
    }

    const WORKS: &str = "{metadata: {name: a}, spec: {model: WoodOrder}}";
    const PAUSED: &str = "{metadata: {name: a}, spec: {paused: true}}";
    const STOPPED: &str =
        "{metadata: {name: a, annotations: {ordermill.dev/stopped-at: x}}, spec: {paused: true}}";
    const STARTED_BY_EDIT: &str =
        "{metadata: {name: a, annotations: {ordermill.dev/stopped-at: x}}, spec: {paused: false}}";
    const FINISHED: &str = "{metadata: {name: a}, spec: {maxEvents: 1}, status: {conditions: \
        [{type: Ready, status: 'True', reason: Completed}]}}";
    const DELETED: &str =
        "{metadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z'}, spec: {}}";

    #[test]
    fn stop_pauses_what_works_and_marks_it() {
        let now = Timestamp::UNIX_EPOCH;
        let of = |yaml| pause(&resource(yaml), now);
        let marked = json!({
            "metadata": {"annotations": {"ordermill.dev/stopped-at": "1970-01-01T00:00:00Z"}},
            "spec": {"paused": true},
        });
        let written = Decision::Write(marked, Outcome::Changed);
        assert_eq!(of(WORKS), written);
        assert_eq!(of(STARTED_BY_EDIT), written);
        for (yaml, outcome) in [
            (PAUSED, Outcome::PausedAlready),
            (STOPPED, Outcome::PausedAlready),
            (FINISHED, Outcome::Finished),
            (DELETED, Outcome::BeingDeleted),
        ] {
            assert_eq!(of(yaml), Decision::Leave(outcome), "{yaml}");
        }
    }

    #[test]
    fn start_leaves_what_a_user_paused_unless_it_is_named() {
        let back = json!({
            "metadata": {"annotations": {"ordermill.dev/stopped-at": null}},
            "spec": {"paused": null},
        });
        let back = Decision::Write(back, Outcome::Changed);
        let of = |yaml, named| unpause(&resource(yaml), named);
        assert_eq!(of(STOPPED, false), back);
        assert_eq!(of(PAUSED, true), back);
        for (yaml, outcome) in [
            (PAUSED, Outcome::NotOurs),
            (WORKS, Outcome::Works),
            (FINISHED, Outcome::Finished),
            (DELETED, Outcome::BeingDeleted),
        ] {
            assert_eq!(of(yaml, false), Decision::Leave(outcome), "{yaml}");
        }
        let unmarked = json!({"metadata": {"annotations": {"ordermill.dev/stopped-at": null}}});
        assert_eq!(
            of(STARTED_BY_EDIT, false),
            Decision::Write(unmarked, Outcome::Works)
        );
    }

    #[test]
    fn the_summary_leaves_nothing_out() {
        let outcomes = [Outcome::Changed, Outcome::Changed, Outcome::Finished];
        assert_eq!(
            summary(&outcomes, 1, "paused", "in any namespace"),
            "2 paused, 1 finished, 1 failed"
        );
        assert_eq!(
            summary(&[], 0, "paused", "in namespace a"),
            "There is no resource of ours in namespace a."
        );
    }
}
