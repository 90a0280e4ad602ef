//! What the operator may do by its chart: all that it does, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use ordermill_crds::{Backend, OrderProducer, StreamConsumer, Worker};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{AuditEvent, Cluster, Identity, Namespace};
use ordermill_tests::process::Program;
use ordermill_tests::wait::eventually_ok;

use super::helm;
use crate::support::stage::{SOON, Stage};

const STRIMZI: &str = "
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata: {name: mill}
spec: {kafka: {listeners: [{name: tls, port: 9093, type: internal, tls: true, authentication: {type: tls}}]}, entityOperator: {}}
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata: {name: miller, labels: {strimzi.io/cluster: mill}}
spec: {authentication: {type: tls}}
";

/// A right, such as `patch apps/deployments`.
type Right = String;

/// A right with where it is given.
#[derive(Debug)]
struct Grant {
    right: Right,
    /// The namespace; all of them where there is none.
    namespace: Option<String>,
    /// Whether it is for objects of certain names.
    is_named: bool,
}

fn granted<'a>(
    rules: &'a [PolicyRule],
    namespace: Option<&'a str>,
) -> impl Iterator<Item = Grant> + 'a {
    let places = rules.iter().flat_map(|rule| {
        let groups = rule.api_groups.iter().flatten();
        groups.flat_map(move |group| {
            let resources = rule.resources.iter().flatten();
            resources.map(move |resource| (rule, group, resource))
        })
    });
    places.flat_map(move |(rule, group, resource)| {
        rule.verbs.iter().map(move |verb| Grant {
            right: format!("{verb} {group}/{resource}"),
            namespace: namespace.map(str::to_owned),
            is_named: rule.resource_names.is_some(),
        })
    })
}

/// The rights that were used, each with the namespaces and names that it was used for.
fn used(events: &[AuditEvent]) -> BTreeMap<Right, BTreeSet<(&str, &str)>> {
    let mut rights: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.resource.is_empty()) {
        let resource = match event.subresource.as_str() {
            "" => event.resource.clone(),
            part => format!("{}/{part}", event.resource),
        };
        let object = (event.namespace.as_str(), event.name.as_str());
        let mut add = |verb: &str| {
            let right = format!("{verb} {}/{resource}", event.group);
            rights.entry(right).or_default().insert(object);
        };
        add(&event.verb);
        // Applying what is not there yet takes the right to create it as well.
        if event.verb == "patch" && event.code == 201 {
            add("create");
        }
    }
    rights
}

impl Grant {
    /// What of it was not needed.
    fn too_much(
        &self,
        used: &BTreeMap<Right, BTreeSet<(&str, &str)>>,
        home: &str,
    ) -> Option<&'static str> {
        // Kubernetes gives these for names that it does not know yet.
        const WITHOUT_NAMES: [&str; 4] = ["create", "list", "watch", "deletecollection"];
        let objects = used.get(&self.right).into_iter().flatten();
        let here = |(namespace, _): &&(&str, &str)| match self.namespace.as_deref() {
            Some(granted) => granted == *namespace,
            None => true,
        };
        let objects: BTreeSet<_> = objects.filter(here).collect();
        let verb = self.right.split(' ').next().unwrap();
        let may_be_named =
            !WITHOUT_NAMES.contains(&verb) && self.namespace.as_deref() == Some(home);
        if objects.is_empty() {
            Some("it is not used there")
        } else if self.namespace.is_none() && objects.iter().all(|object| object.0 == home) {
            Some("it is used in the operator's namespace alone")
        } else if may_be_named && !self.is_named && objects.len() == 1 {
            Some("it is used for one object alone")
        } else {
            None
        }
    }
}

/// Rights that a life as short as a test's, on this API server, does not use.
fn is_excused(right: &str) -> bool {
    // Where owner references are guarded; and an event that is told again and again.
    right.ends_with("/finalizers") || right == "patch events.k8s.io/events"
}

struct Scene {
    home: Namespace,
    shop: Namespace,
    stage: Stage,
}

/// An operator with the rights of its chart, and nothing else.
async fn scene(values: impl Fn(&str) -> Vec<String>) -> TestResult<Scene> {
    let cluster = Cluster::start().await?;
    cluster.install_crds().await?;
    cluster.install_strimzi_crds().await?;
    let (home, shop) = (
        cluster.namespace("home").await?,
        cluster.namespace("shop").await?,
    );
    let mut arguments = vec![
        "template",
        "ordermill",
        "charts/ordermill",
        "--namespace",
        home.name(),
    ];
    arguments.extend(["--show-only", "templates/rbac.yaml"]);
    let values = values(shop.name());
    arguments.extend(values.iter().map(String::as_str));
    let file = cluster.folder().join("rbac.yaml");
    std::fs::write(&file, helm(&arguments).await?)?;
    let file = file.display().to_string();
    cluster.kubectl(["apply", "--filename", &file]).await?;
    let identity = Identity::service_account(home.name(), "ordermill");
    let kubeconfig = cluster.kubeconfig_as(&identity).await?;
    let operator = Program::operator()
        .await?
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        // So that a second key is made meanwhile.
        .args([
            "--operator-namespace",
            home.name(),
            "--key-period-seconds",
            "3",
        ]);
    let operator = if values.is_empty() {
        operator.arg("--all-namespaces")
    } else {
        operator.args(["--namespace", shop.name()])
    };
    let stage = Stage {
        namespace: cluster.namespace("unused").await?,
        cluster: cluster.into(),
        operator: operator.start()?,
    };
    Ok(Scene { home, shop, stage })
}

/// A life that makes, changes and takes away every kind of object.
async fn live(scene: &mut Scene) -> TestResult {
    let stage = &mut scene.stage;
    std::mem::swap(&mut stage.namespace, &mut scene.shop);
    let _node = stage.idle_node().await?;
    strimzi(stage).await?;
    let plain = "kafka: {bootstrapServers: 'kafka:9092'}";
    let spec =
        format!("{{model: WoodOrder, replicas: 2, {plain}, workload: {{networkPolicy: true}}}}");
    stage.create::<OrderProducer>("wood", &spec).await?;
    stage
        .create::<Backend>("stock", "{app: Stock, storage: {size: 1Gi}}")
        .await?;
    stage.create::<Backend>("order", "{app: Order}").await?;
    stage
        .create::<Worker>("manager", &format!("{{task: OrderManagement, {plain}}}"))
        .await?;
    stage
        .create::<StreamConsumer>("checker", &format!("{{handler: OrderCheck, {plain}}}"))
        .await?;
    let sales = "{model: RetailSale, topics: {transactions: {name: sales, partitions: 3}}, \
        kafka: {strimzi: {cluster: mill, listener: tls, user: miller}}}";
    stage.create::<OrderProducer>("sales", sales).await?;
    let bounded = format!("{{model: WoodOrder, maxEvents: 100000, {plain}}}");
    stage.create::<OrderProducer>("bounded", &bounded).await?;
    for (name, pods) in [("wood", 2), ("sales", 1), ("bounded", 1)] {
        stage
            .status(name, "pods", |status| status.ready_replicas == Some(pods))
            .await;
    }
    // A live edit that cannot be pushed marks pods; what is not declared any more goes.
    stage
        .edit(
            "wood",
            "{replicas: 1, errorRate: 0.5, workload: {networkPolicy: false}}",
        )
        .await?;
    stage
        .status("wood", "one pod", |status| status.ready_replicas == Some(1))
        .await;
    // Another job, then none, but a Deployment; and back.
    stage.edit("bounded", "{maxEvents: 200000}").await?;
    jobs(stage, 1).await;
    stage.edit("bounded", "{maxEvents: null}").await?;
    jobs(stage, 0).await;
    stage.edit("bounded", "{maxEvents: 300000}").await?;
    jobs(stage, 1).await;
    let claims = stage
        .api::<PersistentVolumeClaim>()
        .list(&ListParams::default())
        .await?;
    assert_eq!(claims.items.len(), 1);
    let secrets = stage.api::<Secret>().list(&ListParams::default()).await?;
    assert!(
        secrets.items.is_empty(),
        "no secret enters a workload's namespace"
    );
    let keys = scene.home.api::<Secret>();
    eventually_ok(SOON, "a second key", async || {
        let keys = keys.get("ordermill-tuning-keys").await;
        let keys = keys
            .map_err(|error| error.to_string())?
            .data
            .map_or(0, |data| data.len());
        if keys > 1 {
            Ok(())
        } else {
            Err(format!("{keys} keys"))
        }
    })
    .await;
    stage
        .api::<OrderProducer>()
        .delete("wood", &DeleteParams::default())
        .await?;
    Ok(())
}

async fn jobs(stage: &Stage, number: usize) {
    eventually_ok(SOON, &format!("{number} jobs"), async || {
        let jobs = stage.api::<Job>().list(&ListParams::default()).await;
        let jobs = jobs.map_err(|error| error.to_string())?.items.len();
        if jobs == number {
            Ok(())
        } else {
            Err(format!("{jobs} jobs"))
        }
    })
    .await;
}

/// A cluster of Strimzi's as its own operator would tell of it.
async fn strimzi(stage: &Stage) -> TestResult {
    let namespace = stage.namespace.name();
    let file = stage.cluster.folder().join("strimzi.yaml");
    std::fs::write(&file, STRIMZI)?;
    let file = file.display().to_string();
    stage
        .cluster
        .kubectl(["--namespace", namespace, "apply", "--filename", &file])
        .await?;
    for (object, status) in [
        (
            "kafka/mill",
            r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}], "listeners":
                [{"name": "tls", "bootstrapServers": "mill-kafka-bootstrap:9093", "certificates": ["PEM"]}]}}"#,
        ),
        (
            "kafkauser/miller",
            r#"{"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}],
                "secret": "miller", "username": "CN=miller"}}"#,
        ),
    ] {
        let patch = [
            "patch",
            object,
            "--subresource=status",
            "--type=merge",
            "--patch",
            status,
        ];
        let patch = ["--namespace", namespace].into_iter().chain(patch);
        stage.cluster.kubectl(patch).await?;
    }
    Ok(())
}

/// Nothing was refused, and of what is granted nothing is left over.
fn assert_least(scene: &Scene, granted: &[Grant]) -> TestResult {
    let mut events = scene.stage.cluster.audit_events()?;
    let home = scene.home.name();
    let account = format!("system:serviceaccount:{home}:ordermill");
    events.retain(|event| event.user == account);
    let refused: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let used = used(&events);
    let left: Vec<_> = granted
        .iter()
        .filter(|grant| !is_excused(&grant.right))
        .filter_map(|grant| Some((grant, grant.too_much(&used, home)?)))
        .collect();
    assert!(left.is_empty(), "granted and not needed: {left:#?}");
    Ok(())
}

async fn granted_by_roles(namespaces: &[&Namespace]) -> TestResult<Vec<Grant>> {
    let mut grants = Vec::new();
    for namespace in namespaces {
        for role in namespace.api::<Role>().list(&ListParams::default()).await? {
            let rules = role.rules.unwrap_or_default();
            grants.extend(granted(&rules, Some(namespace.name())));
        }
    }
    Ok(grants)
}

#[tokio::test]
async fn for_all_namespaces_nothing_is_missing_and_nothing_left_over() -> TestResult {
    let mut scene = scene(|_| Vec::new()).await?;
    live(&mut scene).await?;
    let cluster_roles: Api<ClusterRole> = Api::all(scene.stage.cluster.client()?);
    let role = cluster_roles.get("ordermill").await?;
    let mut grants = granted_by_roles(&[&scene.home]).await?;
    grants.extend(granted(&role.rules.unwrap_or_default(), None));
    assert_least(&scene, &grants)
}

#[tokio::test]
async fn for_one_namespace_no_right_is_needed_elsewhere() -> TestResult {
    let mut scene = scene(|shop| {
        let namespaces = format!("namespaces={{{shop}}}");
        vec!["--set".to_owned(), namespaces]
    })
    .await?;
    live(&mut scene).await?;
    // After the life, the stage is in the namespace that it was lived in.
    let grants = granted_by_roles(&[&scene.home, &scene.stage.namespace]).await?;
    let cluster_roles: Api<ClusterRole> = Api::all(scene.stage.cluster.client()?);
    assert!(cluster_roles.get_opt("ordermill").await?.is_none());
    assert_least(&scene, &grants)
}

#[test]
fn what_is_granted_too_widely_is_found() {
    let used = |namespace, name| {
        let object = BTreeSet::from([(namespace, name)]);
        BTreeMap::from([("get /secrets".to_owned(), object)])
    };
    let grant = |namespace: Option<&str>, is_named| Grant {
        right: "get /secrets".to_owned(),
        namespace: namespace.map(str::to_owned),
        is_named,
    };
    let keys = used("home", "keys");
    let home = "home";
    assert_eq!(grant(Some(home), true).too_much(&keys, home), None);
    assert!(grant(Some(home), false).too_much(&keys, home).is_some());
    assert!(grant(None, false).too_much(&keys, home).is_some());
    assert!(grant(Some("shop"), true).too_much(&keys, home).is_some());
    assert_eq!(grant(None, false).too_much(&used("shop", "a"), home), None);
}
