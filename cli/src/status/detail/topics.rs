//! The topics of a resource, and what Strimzi says of them.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use ordermill_crds::Topic;
use serde::Serialize;

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicView {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partitions: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<i32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) config: BTreeMap<String, String>,
    /// Of the `KafkaTopic`, where Strimzi runs the cluster: Ready, `NotReady`, Unknown or Missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strimzi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// Declared topics with what the `KafkaTopic`s say; `None`: nobody was asked.
pub(crate) fn topics(declared: &[Topic], objects: Option<&[DynamicObject]>) -> Vec<TopicView> {
    declared
        .iter()
        .map(|topic| {
            let readiness = objects.map(|objects| readiness(topic.name.as_str(), objects));
            let (strimzi, message) = readiness.unzip();
            TopicView {
                name: topic.name.to_string(),
                partitions: topic.partitions,
                replicas: topic.replicas,
                config: topic.config.clone(),
                strimzi,
                message: message.flatten(),
            }
        })
        .collect()
}

fn readiness(topic: &str, objects: &[DynamicObject]) -> (String, Option<String>) {
    let object = objects.iter().find(|object| {
        let named = object.data["spec"]["topicName"].as_str();
        named.map_or_else(|| object.name_any() == topic, |name| name == topic)
    });
    let Some(object) = object else {
        return ("Missing".to_owned(), None);
    };
    let status = &object.data["status"];
    let observed = status["observedGeneration"].as_i64();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let holds = |kind: &str| {
        let mut conditions = conditions.clone();
        conditions.find(|it| it["type"] == kind && it["status"] == "True")
    };
    if let Some(condition) = holds("NotReady") {
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        let message = format!("{}: {}", text("reason"), text("message"));
        return ("NotReady".to_owned(), Some(message));
    }
    if holds("Ready").is_some() && observed >= object.metadata.generation {
        return ("Ready".to_owned(), None);
    }
    let message = "Strimzi has not looked at it yet".to_owned();
    ("Unknown".to_owned(), Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_the_readiness_of_its_object() {
        let objects: Vec<DynamicObject> = serde_yaml::from_str(
            "
- metadata: {name: orders, generation: 1}
  status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}
- metadata: {name: topic-big-1, generation: 2}
  spec: {topicName: Big}
  status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}
- metadata: {name: bad}
  status: {conditions: [{type: NotReady, status: 'True', reason: R, message: m}]}
",
        )
        .unwrap();
        let declared: Vec<_> = ["orders", "Big", "bad", "none"]
            .map(|name| Topic::named(name.parse().unwrap()))
            .into();
        let views = topics(&declared, Some(&objects));
        let told: Vec<_> = views
            .iter()
            .map(|it| it.strimzi.as_deref().unwrap())
            .collect();
        assert_eq!(told, ["Ready", "Unknown", "NotReady", "Missing"]);
        assert_eq!(views[2].message.as_deref(), Some("R: m"));
        assert_eq!(topics(&declared, None)[0].strimzi, None);
    }
}
