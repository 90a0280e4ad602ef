//! The view of one resource: a function of what was found.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DynamicObject;
use serde::Serialize;

use super::pods::{AskedPod, PodView, pods};
use super::topics::{TopicView, topics};
use crate::cluster::{PART_OF, Resource};
use crate::status::declared;
use crate::status::view::{Summary, summary};

/// Events that are shown at most, the newest.
const EVENTS: usize = 10;

/// What was found of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) resource: Resource,
    /// `None`: they could not be read.
    pub(crate) pods: Option<Vec<AskedPod>>,
    /// `None`: Strimzi manages none, or they could not be read.
    pub(crate) kafka_topics: Option<Vec<DynamicObject>>,
    /// `None`: they could not be read.
    pub(crate) events: Option<Vec<Event>>,
    /// What could not be read, and why.
    pub(crate) notes: Vec<String>,
}

/// One resource in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pods: Option<Vec<PodView>>,
    pub(crate) topics: Vec<TopicView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<EventView>>,
    /// Written beside the resource, as those of the overview.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// One event of the resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventView {
    /// When it was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Timestamp>,
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) count: i32,
}

/// Arranges what was found.
pub(crate) fn detail(facts: &Facts) -> Detail {
    let resource = &facts.resource;
    let status = resource.status();
    let mut notes = facts.notes.clone();
    let mut silent = facts.pods.iter().flatten().filter_map(|asked| {
        let why = asked.state.as_ref().err()?;
        Some((asked, why))
    });
    if let Some((first, why)) = silent.next() {
        let others = silent.count();
        let name = first.pod.metadata.name.as_deref().unwrap_or_default();
        let more = match others {
            0 => String::new(),
            1 => " and one more pod".to_owned(),
            others => format!(" and {others} more pods"),
        };
        notes.push(format!(
            "{name}{more} could not be asked: {why}; such a pod's generation is what the operator says, or what the pod was asked to take"
        ));
    }
    Detail {
        summary: summary(resource),
        system: resource.label(PART_OF).map(str::to_owned),
        observed_generation: status.as_ref().and_then(|it| it.observed_generation),
        conditions: status
            .as_ref()
            .map(|it| it.conditions.clone())
            .unwrap_or_default(),
        pods: facts
            .pods
            .as_deref()
            .map(|asked| pods(asked, status.as_ref())),
        topics: topics(&declared::topics(resource), facts.kafka_topics.as_deref()),
        events: facts.events.as_deref().map(events),
        notes,
    }
}

fn events(events: &[Event]) -> Vec<EventView> {
    let mut views: Vec<_> = events.iter().map(event).collect();
    views.sort_by_key(|event| std::cmp::Reverse(event.at));
    views.truncate(EVENTS);
    views
}

fn event(event: &Event) -> EventView {
    let series = event.series.as_ref();
    let repeated = series
        .and_then(|it| it.last_observed_time.as_ref())
        .map(|time| time.0);
    let at = repeated
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| {
            event
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0)
        });
    EventView {
        at,
        kind: event.type_.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        count: series
            .and_then(|it| it.count)
            .or(event.count)
            .unwrap_or(1)
            .max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;
    use crate::status::testing::resource;

    #[test]
    fn the_newest_events_come_first_and_not_all_of_them() {
        let listed: Vec<Event> = (0..12)
            .map(|minute| {
                serde_yaml::from_str(&format!(
                    "{{metadata: {{name: e}}, involvedObject: {{}}, reason: R{minute}, \
                        eventTime: '2026-01-01T00:{minute:02}:00.000000Z', series: {{count: {minute}}}}}"
                ))
                .unwrap()
            })
            .collect();
        let views = events(&listed);
        assert_eq!(views.len(), EVENTS);
        assert_eq!((views[0].reason.as_str(), views[0].count), ("R11", 11));
    }

    #[test]
    fn silent_pods_are_told_once() {
        let asked = |name: &str| AskedPod {
            pod: serde_yaml::from_str(&format!("metadata: {{name: {name}}}")).unwrap(),
            state: Err("no route".to_owned()),
        };
        let facts = Facts {
            resource: resource(
                Kind::Producer,
                "{metadata: {name: a}, spec: {model: WoodOrder}}",
            ),
            pods: Some(vec![asked("a-1"), asked("a-2")]),
            kafka_topics: None,
            events: None,
            notes: Vec::new(),
        };
        let notes = detail(&facts).notes;
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].starts_with("a-1 and one more pod could not be asked: no route"),
            "{notes:?}"
        );
    }
}
