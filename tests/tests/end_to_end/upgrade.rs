//! An upgrade restarts what it has to and nothing else.

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use ordermill_crds::OrderProducer;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

use super::pods::lives;
use super::release::{OnKind, SOON, broker, install};

/// Another name of the same image: what is new to Kubernetes is the name.
const NEXT: &str = "next";

#[tokio::test]
async fn an_upgrade_restarts_only_what_it_names() -> TestResult {
    let stage = install("upgrade").await?;
    rename(&stage, "ordermill-operator")?;
    rename(&stage, "ordermill-workload")?;
    let broker = broker().await?;
    // Of two workloads one names its image, so the default is none of its business.
    let version = env!("CARGO_PKG_VERSION");
    for (name, image) in [
        ("default", String::new()),
        (
            "named",
            format!("workload: {{image: 'ordermill-workload:{version}'}}, "),
        ),
    ] {
        let topic = unique("orders");
        let spec = format!(
            "{{{image}model: WoodOrder, rate: 5, topics: {{orders: {{name: {topic}, partitions: 1}}}}, \
              kafka: {{bootstrapServers: '{}'}}}}",
            broker.inside()
        );
        stage.create::<OrderProducer>(name, &spec).await?;
    }
    for name in ["default", "named"] {
        stage.all_ready(name, 1).await;
    }

    // A label of the operator's pods, then its image besides: the operator restarts, workloads do not.
    let mut values = Vec::new();
    for (value, rate) in [
        ("operator.podLabels.team=mill", 0.2),
        ("operator.tag=next", 0.3),
    ] {
        let before = Running::of(&stage).await?;
        values.push(value);
        stage.upgrade(&values).await?;
        led_by_other_than(&stage, &before).await;
        // What the new one would do to workloads it has done when an edit has reached them by it.
        for name in ["default", "named"] {
            let edited = stage.edit(name, &format!("{{errorRate: {rate}}}")).await?;
            stage.applied(name, edited).await;
        }
        let now = Running::of(&stage).await?;
        assert_eq!(
            (now.default, now.named),
            (before.default, before.named),
            "{value}"
        );
    }
    for pod in stage.operators().await? {
        let image = pod.spec.unwrap().containers[0].image.clone();
        assert_eq!(image.as_deref(), Some("ordermill-operator:next"));
        let labels = pod.metadata.labels.unwrap_or_default();
        assert_eq!(labels.get("team").map(String::as_str), Some("mill"));
    }

    // The default image: the workload that names none restarts, the other one does not.
    let before = Running::of(&stage).await?;
    values.push("workload.tag=next");
    stage.upgrade(&values).await?;
    led_by_other_than(&stage, &before).await;
    eventually_ok(SOON, "the default workload anew", async || {
        let now = stage.lives("default").await.map_err(|it| it.to_string())?;
        let anew = now.len() == 1 && now.keys().all(|pod| !before.default.contains_key(pod));
        anew.then_some(()).ok_or(format!("{now:?}"))
    })
    .await;
    stage.all_ready("default", 1).await;
    let edited = stage.edit("named", "{errorRate: 0.4}").await?;
    stage.applied("named", edited).await;
    assert_eq!(stage.lives("named").await?, before.named);
    Ok(())
}

/// Who runs, and how often it was restarted.
struct Running {
    operator: super::pods::Lives,
    default: super::pods::Lives,
    named: super::pods::Lives,
}

impl Running {
    async fn of(stage: &OnKind) -> TestResult<Self> {
        Ok(Self {
            operator: lives(&stage.operators().await?),
            default: stage.lives("default").await?,
            named: stage.lives("named").await?,
        })
    }
}

/// Waits until the operator's pods are all other ones, and one of these leads.
async fn led_by_other_than(stage: &OnKind, before: &Running) {
    eventually_ok(SOON, "a new operator that leads", async || {
        let operators = stage.operators().await.map_err(|it| it.to_string())?;
        let lease = stage.api::<Lease>().get("ordermill-operator").await;
        let lease = lease.map_err(|it| it.to_string())?;
        let holder = lease.spec.and_then(|it| it.holder_identity);
        let holder = holder.unwrap_or_default();
        let names: Vec<String> = operators.iter().map(ResourceExt::name_any).collect();
        let all_other = lives(&operators)
            .keys()
            .all(|pod| !before.operator.contains_key(pod));
        if all_other && names.iter().any(|name| holder.starts_with(name)) {
            Ok(())
        } else {
            Err(format!("{holder} leads, {names:?} run"))
        }
    })
    .await;
}

fn rename(stage: &OnKind, image: &str) -> TestResult {
    let version = env!("CARGO_PKG_VERSION");
    let name = |tag: &str| format!("docker.io/library/{image}:{tag}");
    stage.cluster.on_node(&[
        "ctr",
        "--namespace",
        "k8s.io",
        "images",
        "tag",
        "--force",
        &name(version),
        &name(NEXT),
    ])?;
    Ok(())
}
