//! `KafkaTopic`s of a cluster that Strimzi runs.

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::{Map, Value, json};

use crate::names::topic_object_name;
use crate::pipeline::validate::Validated;
use crate::strimzi;

/// A topic as one resource declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// The `KafkaTopic`.
    pub object: DynamicObject,
    /// Whether anything besides its name is declared: else one that exists is left as it is.
    pub is_configured: bool,
}

/// The kind `KafkaTopic`.
#[must_use]
pub fn kafka_topic() -> ApiResource {
    resource("KafkaTopic", "kafkatopics")
}

/// A kind of Strimzi's.
#[must_use]
pub fn resource(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk(strimzi::GROUP, strimzi::VERSION, kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

pub(super) fn build(validated: &Validated) -> Vec<Topic> {
    let Some(managed) = &validated.topics else {
        return Vec::new();
    };
    managed
        .topics
        .iter()
        .map(|topic| {
            let name = topic_object_name(topic.name.as_str());
            let mut spec = Map::new();
            if name != topic.name.as_str() {
                spec.insert("topicName".to_owned(), json!(topic.name.as_str()));
            }
            if let Some(partitions) = topic.partitions {
                spec.insert("partitions".to_owned(), json!(partitions));
            }
            if let Some(replicas) = topic.replicas {
                spec.insert("replicas".to_owned(), json!(replicas));
            }
            if !topic.config.is_empty() {
                let config: Map<String, Value> = topic
                    .config
                    .iter()
                    .map(|(name, value)| (name.clone(), json!(value)))
                    .collect();
                spec.insert("config".to_owned(), Value::Object(config));
            }
            let is_configured =
                topic.partitions.is_some() || topic.replicas.is_some() || !topic.config.is_empty();
            let mut object = DynamicObject::new(&name, &kafka_topic())
                .within(&managed.namespace)
                .data(json!({"spec": spec}));
            object.metadata.labels =
                Some([(strimzi::CLUSTER_LABEL.to_owned(), managed.cluster.clone())].into());
            Topic {
                object,
                is_configured,
            }
        })
        .collect()
}
