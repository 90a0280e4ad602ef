//! An upgrade restarts what it has to and nothing else.

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

    // A label of the operator's pods, and its image: the operator restarts, workloads do not.
    for value in ["operator.podLabels.team=mill", "operator.tag=next"] {
        let before = Running::of(&stage).await?;
        stage.upgrade(&[value]).await?;
        let now = Running::of(&stage).await?;
        assert!(
            now.operator
                .keys()
                .all(|pod| !before.operator.contains_key(pod)),
            "{value}"
        );
        assert_eq!(
            (now.default, now.named),
            (before.default, before.named),
            "{value}"
        );
    }

    // The default image: the workload that names none restarts, the other one does not.
    let before = Running::of(&stage).await?;
    stage.upgrade(&["workload.tag=next"]).await?;
    eventually_ok(SOON, "the default workload anew", async || {
        let now = stage.lives("default").await.map_err(|it| it.to_string())?;
        let anew = now.len() == 1 && now.keys().all(|pod| !before.default.contains_key(pod));
        anew.then_some(()).ok_or(format!("{now:?}"))
    })
    .await;
    stage.all_ready("default", 1).await;
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
