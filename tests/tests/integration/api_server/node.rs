//! The stand-in for a kubelet.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use ordermill_tests::TestResult;
use ordermill_tests::http;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::{Cluster, Namespace, Node};
use ordermill_tests::process::Launch;
use ordermill_tests::wait::{eventually, eventually_ok};
use serde_json::{Value, json};

use super::support::{SOON, configmap, create, deployment, labels, pod_spec};

/// A node whose pods run `sh` with their arguments.
async fn shell_node(cluster: &Cluster, namespace: &Namespace) -> TestResult<Node> {
    let shell = Launch::new("sh", "sh");
    Ok(Node::builder()
        .program(shell)
        .start(cluster, namespace.name())
        .await?)
}

/// A pod that runs a script.
fn pod(name: &str, script: &str, container: Value, more: Value) -> Pod {
    let mut container = container;
    container["args"] = json!(["-c", script]);
    let mut spec = pod_spec(container);
    let Value::Object(more) = more else {
        panic!("{more}")
    };
    spec.as_object_mut().unwrap().extend(more);
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": labels(name)}, "spec": spec}),
    )
    .unwrap()
}

/// Waits until the pod's processes have written a line.
async fn line(node: &Node, line: &str) {
    eventually_ok(SOON, &format!("the line {line:?}"), async || {
        let logs = node.logs().map_err(|error| error.to_string())?;
        let found = logs
            .iter()
            .any(|log| log.stdout.lines().any(|written| written == line));
        found.then_some(()).ok_or_else(|| format!("{logs:?}"))
    })
    .await;
}

/// Waits for a pod's status.
async fn status(pods: &Api<Pod>, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually_ok(SOON, what, async || {
        let pod = pods.get(name).await.map_err(|error| error.to_string())?;
        let status = serde_json::to_value(pod.status).map_err(|error| error.to_string())?;
        if holds(&status) {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    })
    .await
}

#[tokio::test]
async fn a_workload_runs_in_its_pod() -> TestResult {
    let (cluster, broker) = (Cluster::shared().await?, Broker::shared().await?);
    let namespace = cluster.namespace("workload").await?;
    let topic = ordermill_tests::unique("orders");
    broker.create_topic(&topic, 1).await?;
    let workload = deployment(
        "customer",
        json!({
            "args": ["wood-order"],
            "env": [
                {"name": "KAFKA_BOOTSTRAP_SERVERS", "value": broker.bootstrap()},
                {"name": "KAFKA_TOPIC", "value": topic},
                {"name": "ADMIN_ADDRESS", "value": "0.0.0.0:8080"},
            ],
            "ports": [{"name": "admin", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}},
        }),
    );
    create(&namespace, &workload).await?;
    let node = Node::start(&cluster, namespace.name()).await?;
    let rollout = [
        "rollout",
        "status",
        "deployment/customer",
        "--timeout=60s",
        "--namespace",
    ];
    cluster
        .kubectl(rollout.into_iter().chain([namespace.name()]))
        .await?;
    let [running] = &node.running()[..] else {
        panic!("{:?}", node.running())
    };
    let pods: Api<Pod> = namespace.api();
    let told = pods
        .get(&running.name)
        .await?
        .status
        .unwrap()
        .pod_ip
        .unwrap();
    assert_eq!(told, running.admin.ip().to_string());
    assert!(
        http::get(&format!("http://{told}:8080/state"))
            .await?
            .is_success()
    );
    let id = running.process.to_string();
    namespace
        .api::<Deployment>()
        .delete("customer", &DeleteParams::default())
        .await?;
    eventually(SOON, "the end of the pod", async || {
        pods.list(&ListParams::default())
            .await
            .ok()?
            .items
            .is_empty()
            .then_some(())
    })
    .await;
    assert!(node.running().is_empty());
    assert!(!std::path::Path::new("/proc").join(id).exists());
    Ok(())
}

#[tokio::test]
async fn a_pod_has_its_files_and_variables() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("files").await?;
    let node = shell_node(&cluster, &namespace).await?;
    let script = "cat /etc/ordermill/workload.json /etc/tls/ca.crt; echo; \
                  echo $POD in $SPACE with $PASSWORD at $ADMIN_ADDRESS; \
                  while :; do cat /etc/ordermill/tuning.json; echo; sleep 0.02; done";
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let container = json!({
        "env": [
            field("POD", "metadata.name"),
            field("SPACE", "metadata.namespace"),
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "tls", "key": "password"}}},
        ],
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/ordermill"},
            {"name": "tls", "mountPath": "/etc/tls"},
        ],
    });
    let volumes = json!({"volumes": [
        {"name": "configuration", "configMap": {"name": "customer"}},
        {"name": "tls", "secret": {"secretName": "tls"}},
    ]});
    // The pod first: it waits for what it mounts.
    create(&namespace, &pod("customer", script, container, volumes)).await?;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "tls"},
        "stringData": {"ca.crt": " certificate", "password": "geheim"},
    }))?;
    create(&namespace, &secret).await?;
    let files = [
        ("workload.json", r#"{"ca":"/etc/tls/ca.crt"}"#),
        ("tuning.json", "first"),
    ];
    create(&namespace, &configmap("customer", &files)).await?;
    line(&node, "first").await;
    let [log] = &node.logs()?[..] else {
        panic!("{:?}", node.logs())
    };
    let [document, variables] = log.stdout.lines().take(2).collect::<Vec<_>>()[..] else {
        panic!("{log:?}")
    };
    let (document, certificate) = document.split_once(' ').unwrap();
    assert_eq!(certificate, "certificate");
    let document: Value = serde_json::from_str(document)?;
    let path = document["ca"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(path)?, " certificate");
    let admin = node.running()[0].admin;
    assert_eq!(
        variables,
        format!("customer in {namespace} with geheim at {admin}")
    );

    let maps: Api<ConfigMap> = namespace.api();
    let merge = PatchParams::default();
    maps.patch(
        "customer",
        &merge,
        &Patch::Merge(json!({"data": {"tuning.json": "second"}})),
    )
    .await?;
    let nudge = json!({"metadata": {"annotations": {"ordermill.dev/nudge": "1"}}});
    namespace
        .api::<Pod>()
        .patch("customer", &merge, &Patch::Merge(nudge))
        .await?;
    line(&node, "second").await;
    Ok(())
}

#[tokio::test]
async fn exit_codes_and_restarts_are_told() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("exits").await?;
    let _node = shell_node(&cluster, &namespace).await?;
    let pods: Api<Pod> = namespace.api();
    for (name, script, policy) in [
        ("good", "exit 0", "OnFailure"),
        ("bad", "exit 3", "Never"),
        ("crashing", "exit 4", "Always"),
        // Kubernetes makes one dollar sign of two.
        ("killed", "kill -9 $$$$", "Never"),
    ] {
        create(
            &namespace,
            &pod(name, script, json!({}), json!({"restartPolicy": policy})),
        )
        .await?;
    }
    for (name, phase, code) in [
        ("good", "Succeeded", 0),
        ("bad", "Failed", 3),
        ("killed", "Failed", 137),
    ] {
        let ended = status(&pods, name, "the end of a pod", |status| {
            status["phase"] == phase
        })
        .await;
        assert_eq!(
            ended["containerStatuses"][0]["state"]["terminated"]["exitCode"],
            code
        );
    }
    let crashing = status(&pods, "crashing", "two restarts", |status| {
        status["containerStatuses"][0]["restartCount"].as_i64() >= Some(2)
    })
    .await;
    assert_eq!(crashing["phase"], "Running");
    assert_eq!(
        crashing["containerStatuses"][0]["lastState"]["terminated"]["exitCode"],
        4
    );
    Ok(())
}

#[tokio::test]
async fn a_job_completes() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("job").await?;
    let node = shell_node(&cluster, &namespace).await?;
    let mut spec = pod_spec(json!({"args": ["-c", "echo share $JOB_COMPLETION_INDEX"]}));
    spec["restartPolicy"] = json!("Never");
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "bounded"},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "template": {"metadata": {"labels": labels("bounded")}, "spec": spec},
        },
    }))?;
    create(&namespace, &job).await?;
    let complete = [
        "wait",
        "--for=condition=Complete",
        "job/bounded",
        "--timeout=60s",
        "--namespace",
    ];
    cluster
        .kubectl(complete.into_iter().chain([namespace.name()]))
        .await?;
    line(&node, "share 0").await;
    line(&node, "share 1").await;
    Ok(())
}

#[tokio::test]
async fn a_deleted_pod_ends_in_good_order() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("end").await?;
    let node = shell_node(&cluster, &namespace).await?;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done";
    create(&namespace, &pod("customer", script, json!({}), json!({}))).await?;
    line(&node, "up").await;
    let pods: Api<Pod> = namespace.api();
    pods.delete("customer", &DeleteParams::default()).await?;
    eventually(SOON, "the end of the pod", async || {
        matches!(pods.get_opt("customer").await, Ok(None)).then_some(())
    })
    .await;
    line(&node, "bye").await;
    Ok(())
}

#[tokio::test]
async fn a_node_can_do_without_processes_and_without_addresses() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("pretended").await?;
    let node = Node::builder()
        .without_processes()
        .unreachable()
        .start(&cluster, namespace.name())
        .await?;
    create(&namespace, &deployment("customer", json!({}))).await?;
    let with_namespace = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments
            .iter()
            .chain(&["--namespace", namespace.name()])
            .map(ToString::to_string)
            .collect();
        arguments
    };
    cluster
        .kubectl(with_namespace(&[
            "scale",
            "deployment/customer",
            "--replicas=3",
        ]))
        .await?;
    cluster
        .kubectl(with_namespace(&[
            "rollout",
            "status",
            "deployment/customer",
            "--timeout=60s",
        ]))
        .await?;
    cluster
        .kubectl(with_namespace(&[
            "scale",
            "deployment/customer",
            "--replicas=1",
        ]))
        .await?;
    let pods: Api<Pod> = namespace.api();
    let left = eventually(SOON, "one pod", async || {
        let mut pods = pods.list(&ListParams::default()).await.ok()?.items;
        (pods.len() == 1).then(|| pods.remove(0))
    })
    .await;
    let address = left.status.unwrap().pod_ip.unwrap();
    assert!(address.starts_with("192.0.2."), "{address}");
    assert!(node.running().is_empty());
    Ok(())
}
