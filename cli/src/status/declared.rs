//! What a spec declares, with the defaults that the workload takes, by the same functions as the operator.

use ordermill_config::{
    Pacing, Placement, ResourceReference, TelemetrySettings, Tuning, backend_documents,
    backend_topics, consumer_documents, consumer_topics, producer_documents, producer_topics,
    worker_documents,
};
use ordermill_crds::values::Duration;
use ordermill_crds::{
    BackendSpec, OrderProducerSpec, Stage, StreamConsumerSpec, Topic, WorkerSpec,
};
use serde::Serialize;

use crate::cluster::{Kind, Resource};

/// How often one replica works.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Pace {
    Interval(Duration),
    RatePerSecond(f64),
    Stages(Vec<Stage>),
}

/// What a spec declares, as far as it can be observed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Declared {
    /// The model, handler, task or app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) what: Option<String>,
    pub(crate) replicas: i64,
    pub(crate) paused: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) pace: Option<Pace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_events: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// What a resource declares; what a newer version of the definitions knows and we do not is left out.
pub(crate) fn declared(resource: &Resource) -> Declared {
    let spec = resource.raw_spec();
    let what = ["model", "handler", "task", "app"]
        .iter()
        .find_map(|field| spec[*field].as_str());
    let tuning = tuning(resource);
    Declared {
        what: what.map(str::to_owned),
        replicas: spec["replicas"].as_i64().unwrap_or(1),
        paused: resource.is_paused(),
        pace: tuning.as_ref().and_then(pace),
        error_rate: tuning
            .map(|it| it.error_rate.get())
            .or_else(|| spec["errorRate"].as_f64()),
        max_events: spec["maxEvents"].as_i64(),
        group: group(resource),
    }
}

/// The topics that a resource uses, with their defaults.
pub(crate) fn topics(resource: &Resource) -> Vec<Topic> {
    let topics = match resource.kind {
        Kind::Producer => resource
            .spec::<OrderProducerSpec>()
            .as_ref()
            .map(producer_topics),
        Kind::Consumer => resource
            .spec::<StreamConsumerSpec>()
            .as_ref()
            .map(consumer_topics),
        Kind::Backend => resource.spec::<BackendSpec>().as_ref().map(backend_topics),
        Kind::Worker => None,
    };
    topics.unwrap_or_default()
}

fn tuning(resource: &Resource) -> Option<Tuning> {
    // Where it runs makes no difference to what is read here.
    let placement = Placement {
        resource: ResourceReference {
            kind: resource.kind.to_string(),
            namespace: resource.namespace(),
            name: resource.name(),
            uid: resource.uid(),
        },
        generation: resource.generation(),
        revision: 0,
        kafka: None,
        telemetry: TelemetrySettings::default(),
        create_topics: false,
        backends: std::collections::BTreeMap::new(),
    };
    let documents = match resource.kind {
        Kind::Producer => producer_documents(&resource.spec::<OrderProducerSpec>()?, placement),
        Kind::Consumer => consumer_documents(&resource.spec::<StreamConsumerSpec>()?, placement),
        Kind::Worker => worker_documents(&resource.spec::<WorkerSpec>()?, placement),
        Kind::Backend => backend_documents(&resource.spec::<BackendSpec>()?, placement),
    };
    Some(documents.tuning.tuning)
}

fn pace(tuning: &Tuning) -> Option<Pace> {
    if let Some(producer) = &tuning.producer {
        return Some(match &producer.pacing {
            Pacing::IntervalNanoseconds(nanoseconds) => Pace::Interval(Duration::from_std(
                std::time::Duration::from_nanos(*nanoseconds),
            )),
            Pacing::Rate(rate) => Pace::RatePerSecond(*rate),
            Pacing::Stages(stages) => Pace::Stages(stages.clone()),
        });
    }
    let worker = tuning.worker.as_ref()?;
    Some(Pace::Interval(worker.interval))
}

fn group(resource: &Resource) -> Option<String> {
    if resource.kind != Kind::Consumer {
        return None;
    }
    let given = resource.raw_spec()["group"].as_str();
    given.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::testing::resource;

    fn of(kind: Kind, spec: &str) -> Declared {
        declared(&resource(
            kind,
            &format!("metadata: {{name: a}}\nspec: {spec}"),
        ))
    }

    #[test]
    fn defaults_are_those_of_the_workload() {
        let wood = of(Kind::Producer, "{model: WoodOrder}");
        assert_eq!(wood.pace, Some(Pace::Interval("60s".parse().unwrap())));
        assert_eq!((wood.error_rate, wood.replicas), (Some(0.1), 1));
        let worker = of(Kind::Worker, "{task: OrderManagement, replicas: 2}");
        assert_eq!(worker.pace, Some(Pace::Interval("5s".parse().unwrap())));
        assert_eq!(of(Kind::Consumer, "{handler: Inventory}").pace, None);
    }

    #[test]
    fn what_a_newer_version_declares_is_shown_as_far_as_it_is_known() {
        let newer = of(
            Kind::Producer,
            "{model: BookOrder, replicas: 3, errorRate: 0.5}",
        );
        assert_eq!(newer.what.as_deref(), Some("BookOrder"));
        assert_eq!(
            (newer.replicas, newer.error_rate, newer.pace),
            (3, Some(0.5), None)
        );
    }
}
