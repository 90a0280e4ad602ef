//! The support bundle: what is in it, and what never is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use ordermill_crds::OrderProducer;
use ordermill_tests::kubernetes::{Identity, Node};
use ordermill_tests::{Scratch, TestResult};
use serde_json::{Value, json};

use super::command::run;
use super::rights::{bind, may};
use super::show::running_producer;
use crate::support::stage::Stage;

/// What must be nowhere.
const PLANTED: &str = "hunter2-planted";

/// The files of a bundle, without the folder that all are in.
fn files(path: &Path) -> TestResult<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(path)?));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        let (folder, name) = path.split_once('/').unwrap();
        assert!(folder.starts_with("ordermill-report-"), "{path}");
        files.insert(name.to_owned(), text);
    }
    Ok(files)
}

/// Puts what must not get out into a Secret, an annotation, a property and a URL.
async fn plant(stage: &Stage) -> TestResult {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "login"}, "stringData": {"username": "u", "password": PLANTED},
    }))?;
    stage
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await?;
    let planted = json!({
        "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": PLANTED,
            "example.com/api-token": PLANTED,
        }},
        "spec": {
            "kafka": {"properties": {"ssl.keystore.password": PLANTED, "linger.ms": "7"}},
            "workload": {"podAnnotations": {"example.com/database": format!("postgres://u:{PLANTED}@db/orders")}},
        },
    });
    let producers = stage.api::<OrderProducer>();
    producers
        .patch("food", &PatchParams::default(), &Patch::Merge(planted))
        .await?;
    stage
        .status("food", "the new pods", |status| {
            status.observed_generation == Some(2) && status.ready_replicas == Some(1)
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_bundle_holds_what_helps_and_no_secret() -> TestResult {
    let stage = Stage::set("bundle").await?;
    let _node = Node::start(&stage.cluster, stage.namespace.name()).await?;
    let namespace = stage.namespace.name();
    let _broker = running_producer(&stage, "food").await?;
    plant(&stage).await?;

    let folder = Scratch::new("report")?;
    let path = folder.path().join("bundle.tar.gz");
    let file = path.to_string_lossy().into_owned();
    let arguments = ["report", "-n", namespace, "--output", &file];
    let exit = run(&stage.cluster.kubeconfig(), &arguments)
        .await?
        .assert_code(0);
    assert!(exit.stdout.contains("bundle.tar.gz: "), "{}", exit.stdout);
    assert_eq!(
        std::fs::metadata(&path)?.permissions().mode() & 0o777,
        0o600
    );
    let files = files(&path)?;
    for (name, text) in &files {
        assert!(!text.contains(PLANTED), "{name}: {text}");
        assert!(!text.contains("managedFields:"), "{name}: {text}");
        assert!(!name.contains("secrets/"), "{name}");
    }
    let place = |name: &str| format!("namespaces/{namespace}/{name}");
    for name in [
        place("orderproducers/food.yaml"),
        place("deployments/food-producer.yaml"),
        place("configmaps/food-producer.yaml"),
        place("serviceaccounts/food-producer.yaml"),
        place("leases/ordermill-operator.yaml"),
        "README.txt".to_owned(),
        "status.txt".to_owned(),
        "status.json".to_owned(),
        "versions.yaml".to_owned(),
    ] {
        assert!(files.contains_key(&name), "{name}: {:?}", files.keys());
    }
    for folder in [
        "pods/food-producer-",
        "replicasets/food-producer-",
        "events/",
    ] {
        let folder = place(folder);
        assert!(
            files.keys().any(|name| name.starts_with(&folder)),
            "{folder}: {:?}",
            files.keys()
        );
    }
    let food = &files[&place("orderproducers/food.yaml")];
    assert!(
        food.contains("kind: OrderProducer") && food.contains("linger.ms: '7'"),
        "{food}"
    );
    assert!(
        food.contains("ssl.keystore.password: '[redacted]'"),
        "{food}"
    );
    let versions = &files["versions.yaml"];
    assert!(
        versions.contains("orderproducers.ordermill.dev") && versions.contains("v1alpha1"),
        "{versions}"
    );
    let status: Value = serde_json::from_str(&files["status.json"])?;
    assert_eq!(status["systems"][0]["resources"][0]["name"], "food");
    let read_me = &files["README.txt"];
    assert!(
        read_me.contains("Secrets: they are never read"),
        "{read_me}"
    );
    // There is no kubelet here that could be asked for a log.
    assert!(
        read_me.contains(&format!("the log of {namespace}/food-producer-")),
        "{read_me}"
    );

    let again = run(&stage.cluster.kubeconfig(), &arguments)
        .await?
        .assert_code(1);
    assert!(
        again.stderr.contains("cannot be written"),
        "{}",
        again.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_bundle_of_somebody_with_few_rights_says_what_is_missing() -> TestResult {
    let stage = Stage::set("poor").await?;
    stage
        .create::<OrderProducer>("wood", "{model: WoodOrder}")
        .await?;
    may(&stage, "poor", &["list"], &["*"], &[]).await?;
    bind(&stage, "poor", "poor").await?;
    let kubeconfig = stage.cluster.kubeconfig_as(&Identity::user("poor")).await?;
    let folder = Scratch::new("report")?;
    let path = folder.path().join("bundle.tar.gz");
    let file = path.to_string_lossy().into_owned();
    let namespace = stage.namespace.name();
    let exit = run(&kubeconfig, &["report", "-n", namespace, "--output", &file])
        .await?
        .assert_code(0);
    assert!(exit.stdout.contains("could not be read"), "{}", exit.stdout);
    let files = files(&path)?;
    assert!(
        files.contains_key(&format!("namespaces/{namespace}/orderproducers/wood.yaml")),
        "{:?}",
        files.keys()
    );
    let read_me = &files["README.txt"];
    assert!(read_me.contains("- pods in namespace"), "{read_me}");
    assert!(
        read_me.contains("cannot list resource \"pods\""),
        "{read_me}"
    );
    Ok(())
}
