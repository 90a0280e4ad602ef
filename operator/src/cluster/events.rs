//! Events: one for each transition, never for a pass that changes nothing.

use kube::runtime::events::{Event, EventType};
use ordermill_crds::ResourceStatus;

use crate::pipeline::status::condition;

/// The event of a change from one status to the next, if it is worth telling.
#[must_use]
pub fn transition(previous: Option<&ResourceStatus>, next: &ResourceStatus) -> Option<Event> {
    let after = condition(next, "Ready")?;
    let before = previous.and_then(|status| condition(status, "Ready"));
    if before.is_some_and(|it| it.reason == after.reason && it.status == after.status) {
        return None;
    }
    let stalled = condition(next, "Stalled").is_some();
    let still_coming = condition(next, "Reconciling").is_some();
    let is_trouble = stalled || (after.status != "True" && !still_coming);
    Some(Event {
        type_: if is_trouble {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: after.reason.clone(),
        // The API server takes 1,024 bytes.
        note: Some(after.message.chars().take(250).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> ResourceStatus {
        let conditions = conditions.iter().map(|(kind, status, reason)| Condition {
            type_: (*kind).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: "m".to_owned(),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        });
        ResourceStatus {
            conditions: conditions.collect(),
            ..ResourceStatus::default()
        }
    }

    #[test]
    fn only_a_change_is_told() {
        let running = status(&[("Ready", "True", "Running")]);
        let failed = status(&[
            ("Ready", "False", "KafkaNotFound"),
            ("Stalled", "True", "KafkaNotFound"),
        ]);
        let rolling = status(&[
            ("Ready", "False", "Progressing"),
            ("Reconciling", "True", "Progressing"),
        ]);
        assert!(transition(Some(&running), &running).is_none());
        let told = |before: Option<&ResourceStatus>, after| {
            transition(before, after).map(|event| event.type_)
        };
        assert_eq!(told(Some(&running), &failed), Some(EventType::Warning));
        assert_eq!(told(Some(&running), &rolling), Some(EventType::Normal));
        assert_eq!(told(None, &running), Some(EventType::Normal));
    }
}
