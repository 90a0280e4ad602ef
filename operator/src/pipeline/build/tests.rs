//! Every object, from YAML as a user writes it.

use kube::api::DynamicObject;
use ordermill_crds::{Backend, OrderProducer, StreamConsumer, Worker};

use super::*;
use crate::fixtures::{children, strimzi};
use crate::pipeline::dereference::Dereferenced;
use crate::strimzi::UserCredentials;

fn text(children: &Children) -> String {
    let owned = children.owned.iter().map(|child| &child.object);
    let topics = children.topics.iter().map(|topic| &topic.object);
    let yaml = |object: &DynamicObject| serde_yaml::to_string(object).unwrap();
    let all: Vec<_> = owned.chain(topics).map(yaml).collect();
    all.join("---\n")
}

fn alone<K: crate::kinds::Kind>(name: &str, spec: &str) -> String {
    text(&children::<K>(name, spec, &Dereferenced::default()))
}

#[test]
fn a_producer_with_defaults() {
    insta::assert_snapshot!(alone::<OrderProducer>("wood-orders", "{model: WoodOrder}"));
}

#[test]
fn a_producer_with_everything_of_the_pods() {
    let spec = "
model: FoodOrder
rate: 100
replicas: 3
workload:
  image: registry.example/workload:1
  imagePullPolicy: Always
  imagePullSecrets: [{name: pull}]
  resources: {requests: {cpu: 0.5, memory: 1024Mi}, limits: {memory: 2Gi}}
  nodeSelector: {disk: fast}
  tolerations: [{key: batch, operator: Exists}]
  priorityClassName: low
  podLabels: {team: mill}
  podAnnotations: {note: hello}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
  networkPolicy: true
";
    insta::assert_snapshot!(alone::<OrderProducer>("food", spec));
}

#[test]
fn a_bounded_producer_is_an_indexed_job() {
    let spec = "{model: RetailSale, maxEvents: 1000, replicas: 3, seed: 7}";
    insta::assert_snapshot!(alone::<OrderProducer>("sales", spec));
}

#[test]
fn a_job_is_named_by_its_work_alone() {
    let name = |spec: &str| {
        let children = children::<OrderProducer>("sales", spec, &Dereferenced::default());
        let job = children
            .owned
            .iter()
            .find(|child| child.kind == ChildKind::Job)
            .unwrap();
        job.name().to_owned()
    };
    let plain = name("{model: RetailSale, maxEvents: 1000}");
    let edited = "{model: RetailSale, maxEvents: 1000, rate: 5, errorRate: 0.5, workload: {image: x, resources: {}}}";
    assert_eq!(plain, name(edited));
    assert_ne!(plain, name("{model: RetailSale, maxEvents: 1001}"));
    assert_ne!(plain, name("{model: RetailSale, maxEvents: 1000, seed: 1}"));
}

#[test]
fn a_producer_on_a_strimzi_cluster() {
    let user = UserCredentials::Certificate {
        secret: "miller".parse().unwrap(),
    };
    let spec = "
model: RetailSale
kafka: {strimzi: {cluster: mill, namespace: kafka, listener: tls, user: miller}}
topics:
  transactions: {name: Sales_EU, partitions: 6, replicas: 3, config: {retention.ms: '3600000'}}
";
    insta::assert_snapshot!(text(&children::<OrderProducer>(
        "sales",
        spec,
        &strimzi(Some(user))
    )));
}

#[test]
fn a_consumer_with_a_database() {
    let spec = "{handler: CustomerStats, database: {secret: {name: db, key: url}}, cache: {url: 'redis://cache'}}";
    insta::assert_snapshot!(alone::<StreamConsumer>("stats", spec));
}

#[test]
fn a_worker() {
    let spec = "{task: LoyaltyExpiry, database: {url: 'postgres://db/shop'}}";
    insta::assert_snapshot!(alone::<Worker>("expiry", spec));
}

#[test]
fn a_backend_without_storage_and_one_with() {
    insta::assert_snapshot!("ephemeral", alone::<Backend>("order", "{app: Order}"));
    let stored = "{app: Stock, storage: {size: 1Gi, storageClassName: fast}}";
    insta::assert_snapshot!("stored", alone::<Backend>("stock", stored));
    let shared = "{app: Customer, replicas: 2, database: {url: 'postgres://db/customers'}}";
    insta::assert_snapshot!("shared", alone::<Backend>("customer", shared));
}

#[test]
fn a_tuning_edit_changes_the_config_map_and_nothing_else() {
    let of = |spec: &str| children::<OrderProducer>("orders", spec, &Dereferenced::default()).owned;
    let (before, after) = (
        of("{model: WoodOrder, rate: 1, errorRate: 0.1}"),
        of(
            "{model: WoodOrder, rate: 9, errorRate: 0.5, paused: true, faults: {drop: {rate: 1}}, \
            telemetry: {logLevel: Debug, traceSampling: 0.5}}",
        ),
    );
    let changed: Vec<_> = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .map(|(child, _)| child.kind)
        .collect();
    assert_eq!(changed, [ChildKind::ConfigMap]);
    let rolled = of("{model: WoodOrder, rate: 1, errorRate: 0.1, keySkew: 1}");
    let deployment = |children: &[Child]| children.last().unwrap().object.data.clone();
    assert_ne!(deployment(&before), deployment(&rolled));
}

#[test]
fn scaling_changes_no_pod() {
    let template = |spec: &str| {
        let children = children::<OrderProducer>("orders", spec, &Dereferenced::default());
        children.owned.last().unwrap().object.data["spec"]["template"].clone()
    };
    assert_eq!(
        template("{model: WoodOrder}"),
        template("{model: WoodOrder, replicas: 5}")
    );
}
