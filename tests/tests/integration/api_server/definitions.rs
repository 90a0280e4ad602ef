//! The definitions themselves: they are accepted, and objects stored under older ones live on.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use ordermill_crds::{KINDS, OrderProducer, definitions};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, Namespace};
use ordermill_tests::wait::eventually;
use serde_json::{Value, json};

use super::support::{SOON, kubectl, producer};

#[tokio::test]
async fn the_files_are_accepted_in_every_way() -> TestResult {
    let cluster = Cluster::start().await?;
    let created = cluster.kubectl(["apply", "--filename", "crds"]).await?;
    assert_eq!(
        created.matches(" created").count(),
        KINDS.len(),
        "{created}"
    );
    let again = cluster.kubectl(["apply", "--filename", "crds"]).await?;
    assert_eq!(again.matches(" unchanged").count(), KINDS.len(), "{again}");
    let server_side = ["apply", "--server-side", "--filename", "crds"];
    let applied = cluster.kubectl(server_side).await?;
    let count = applied.matches(" serverside-applied").count();
    assert_eq!(count, KINDS.len(), "{applied}");
    // What the types say is what the files say.
    cluster.install_crds().await?;
    let stored: Api<CustomResourceDefinition> = Api::all(cluster.client()?);
    for definition in stored.list(&ListParams::default()).await? {
        let conditions = definition.status.clone().unwrap().conditions.unwrap();
        let mut conditions: Vec<(&str, &str)> = conditions
            .iter()
            .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
            .collect();
        conditions.sort_unstable();
        let good = [("Established", "True"), ("NamesAccepted", "True")];
        assert_eq!(conditions, good, "{}", definition.name_any());
    }
    Ok(())
}

/// The definition of `OrderProducer` as it might have been: with one more field, and without the rules across fields.
fn older() -> TestResult<CustomResourceDefinition> {
    let mut all = definitions()?.into_iter();
    let today = all.find(|definition| definition.spec.names.kind == "OrderProducer");
    let mut older = serde_json::to_value(today)?;
    let spec = &mut older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["formerly"] = json!({"type": "string"});
    let rules = spec
        .as_object_mut()
        .unwrap()
        .remove("x-kubernetes-validations");
    assert!(rules.is_some_and(|rules| rules.to_string().contains("self.stages")));
    Ok(serde_json::from_value(older)?)
}

/// Merges `change` into an object.
async fn change(namespace: &Namespace, name: &str, change: Value) -> kube::Result<OrderProducer> {
    let producers: Api<OrderProducer> = namespace.api();
    producers
        .patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await
}

#[tokio::test]
async fn stored_objects_survive_new_definitions() -> TestResult {
    let cluster = Cluster::start().await?;
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client()?);
    let older = older()?;
    let apply = PatchParams::apply("older");
    api.patch(&older.name_any(), &apply, &Patch::Apply(&older))
        .await?;
    let namespace = cluster.namespace("stored").await?;
    for (name, fields) in [
        ("good", json!({"formerly": "kept", "interval": "1s"})),
        // Today's rules allow one of the two.
        ("bad", json!({"interval": "1s", "rate": 5})),
    ] {
        let mut object = serde_json::to_value(producer(name))?;
        let fields = fields.as_object().unwrap().clone();
        object["spec"].as_object_mut().unwrap().extend(fields);
        let file = cluster.folder().join(name);
        std::fs::write(&file, object.to_string())?;
        let file = file.display().to_string();
        // Served a moment after the definition is.
        eventually(SOON, "an object under the older definition", async || {
            let apply = ["apply", "--filename", &file];
            kubectl(&cluster, &namespace, &apply).await.ok()
        })
        .await;
    }
    let path = "--output=jsonpath={.spec.formerly}";
    assert_eq!(
        kubectl(&cluster, &namespace, &["get", "oprod/good", path]).await?,
        "kept"
    );

    cluster.install_crds().await?;
    eventually(SOON, "today's schema", async || {
        let formerly = kubectl(&cluster, &namespace, &["get", "oprod/good", path]).await;
        formerly.is_ok_and(|text| text.is_empty()).then_some(())
    })
    .await;
    let producers: Api<OrderProducer> = namespace.api();
    let read = producers.list(&ListParams::default()).await?.items;
    assert_eq!(read.len(), 2);
    change(&namespace, "good", json!({"spec": {"errorRate": 0.5}})).await?;

    let bad = |fields| change(&namespace, "bad", fields);
    // Whoever does not touch the spec, the operator for one, is not held up by it.
    bad(json!({"metadata": {"labels": {"team": "wood"}}})).await?;
    let status = Patch::Merge(json!({"status": {"phase": "Failed"}}));
    producers
        .patch_status("bad", &PatchParams::default(), &status)
        .await?;
    let refused = bad(json!({"spec": {"errorRate": 0.5}})).await.unwrap_err();
    assert!(refused.to_string().contains("interval"), "{refused}");
    bad(json!({"spec": {"errorRate": 0.5, "interval": null}})).await?;
    Ok(())
}
