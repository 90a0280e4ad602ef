//! The kinds through kubectl, as people see them.

use kube::Api;
use kube::api::{Patch, PatchParams};
use ordermill_crds::{KINDS, OrderProducer, definitions};
use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::{Cluster, run_kubectl};
use serde_json::json;

use super::support::{create, kubectl, producer};

#[tokio::test]
async fn explain_describes_a_field() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let text = cluster
        .kubectl(["explain", "orderproducer.spec.errorRate"])
        .await?;
    assert!(text.contains("FIELD: errorRate <number>"), "{text}");
    assert!(text.contains("Share of"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_table_shows_what_matters() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("columns").await?;
    create(&namespace, &producer("customer")).await?;
    let table = kubectl(&cluster, &namespace, &["get", "oprod"]).await?;
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        ["NAME", "MODEL", "READY", "REASON", "RATE", "AGE"],
        "{table}"
    );
    let wide = kubectl(&cluster, &namespace, &["get", "oprod", "--output=wide"]).await?;
    for column in ["EVENTS", "ERROR-RATE"] {
        assert!(wide.lines().next().unwrap().contains(column), "{wide}");
    }
    Ok(())
}

#[tokio::test]
async fn every_name_and_the_category_lead_to_the_kinds() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("names").await?;
    create(&namespace, &producer("customer")).await?;
    for definition in definitions()? {
        let names = definition.spec.names;
        let short = names.short_names.unwrap();
        assert_eq!(short.len(), 1);
        for name in [
            &names.plural,
            &names.singular.unwrap(),
            &names.kind,
            &short[0],
        ] {
            let listed = kubectl(&cluster, &namespace, &["get", name, "--output=json"]).await?;
            let listed: serde_json::Value = serde_json::from_str(&listed)?;
            let count = usize::from(names.kind == "OrderProducer");
            assert_eq!(listed["items"].as_array().unwrap().len(), count, "{name}");
        }
    }
    let all = kubectl(&cluster, &namespace, &["get", "ordermill", "--output=name"]).await?;
    assert_eq!(all.trim(), "orderproducer.ordermill.dev/customer");
    let served = cluster
        .kubectl(["api-resources", "--categories=ordermill", "--no-headers"])
        .await?;
    assert_eq!(served.lines().count(), KINDS.len(), "{served}");
    Ok(())
}

#[tokio::test]
async fn scale_sets_the_replicas() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("scale").await?;
    for definition in definitions()? {
        let kind = definition.spec.names.kind.to_lowercase();
        let spec = match kind.as_str() {
            "orderproducer" => json!({"model": "WoodOrder"}),
            "streamconsumer" => json!({"handler": "OrderCheck"}),
            "worker" => json!({"task": "OrderManagement"}),
            _ => json!({"app": "Order", "database": {"url": "postgres://order@postgres/order"}}),
        };
        let object = json!({
            "apiVersion": "ordermill.dev/v1alpha1",
            "kind": definition.spec.names.kind,
            "metadata": {"name": "subject"},
            "spec": spec,
        });
        let apply = cluster.kubectl_launch().args([
            "apply",
            "--filename",
            &file(&cluster, &object.to_string())?,
            "--namespace",
            namespace.name(),
        ]);
        run_kubectl(apply).await?;
        let subject = format!("{kind}/subject");
        kubectl(&cluster, &namespace, &["scale", &subject, "--replicas=3"]).await?;
        let path = "--output=jsonpath={.spec.replicas}";
        let replicas = kubectl(&cluster, &namespace, &["get", &subject, path]).await?;
        assert_eq!(replicas, "3", "{kind}");
    }
    Ok(())
}

/// A file with this text, which goes with the cluster.
fn file(cluster: &Cluster, text: &str) -> TestResult<String> {
    let path = cluster.folder().join(ordermill_tests::unique("manifest"));
    std::fs::write(&path, text)?;
    Ok(format!("{}", path.display()))
}

#[tokio::test]
async fn wait_sees_the_condition_that_a_status_has() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("wait").await?;
    create(&namespace, &producer("customer")).await?;
    let wait = [
        "wait",
        "--for=condition=Ready",
        "oprod/customer",
        "--timeout=30s",
    ];
    let none = kubectl(
        &cluster,
        &namespace,
        &[
            "wait",
            "--for=condition=Ready",
            "oprod/customer",
            "--timeout=0s",
        ],
    );
    assert!(none.await.is_err(), "nobody has written a status");
    let status = json!({"status": {"conditions": [{
        "type": "Ready",
        "status": "True",
        "reason": "Running",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let producers: Api<OrderProducer> = namespace.api();
    let write = async {
        let merge = Patch::Merge(&status);
        let params = PatchParams::default();
        producers.patch_status("customer", &params, &merge).await
    };
    let (waited, written) = tokio::join!(kubectl(&cluster, &namespace, &wait), write);
    written?;
    assert_eq!(
        waited?.trim(),
        "orderproducer.ordermill.dev/customer condition met"
    );
    let table = kubectl(&cluster, &namespace, &["get", "oprod", "--no-headers"]).await?;
    let columns: Vec<&str> = table.split_whitespace().take(4).collect();
    assert_eq!(columns, ["customer", "WoodOrder", "True", "Running"]);
    Ok(())
}

#[tokio::test]
async fn edit_takes_what_an_editor_saves() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("edit").await?;
    create(&namespace, &producer("customer")).await?;
    let edit = |change: &str| {
        cluster
            .kubectl_launch()
            .env("KUBE_EDITOR", format!("sed -i s/{change}/"))
            .args(["edit", "oprod/customer", "--namespace", namespace.name()])
    };
    run_kubectl(edit("model:.*/model:\\ FoodOrder")).await?;
    let producers: Api<OrderProducer> = namespace.api();
    let stored = serde_json::to_value(producers.get("customer").await?.spec)?;
    assert_eq!(stored["model"], "FoodOrder");
    // kubectl opens the editor again with the server's words, finds nothing changed, and gives up.
    let refused = run_kubectl(edit("model:.*/model:\\ Unicorns")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("Edit cancelled"), "{refused}");
    let stored = serde_json::to_value(producers.get("customer").await?.spec)?;
    assert_eq!(stored["model"], "FoodOrder");
    Ok(())
}

#[tokio::test]
async fn unknown_fields_are_refused() -> TestResult {
    let cluster = Cluster::shared().await?;
    cluster.install_crds().await?;
    let namespace = cluster.namespace("strict").await?;
    let mut object = serde_json::to_value(producer("customer"))?;
    object["spec"]["errorRat"] = json!(0.1);
    let file = file(&cluster, &object.to_string())?;
    for way in ["--server-side=false", "--server-side=true"] {
        let apply = ["apply", way, "--filename", &file];
        let error = kubectl(&cluster, &namespace, &apply).await.unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("spec.errorRat"), "{way}: {error}");
    }
    Ok(())
}
