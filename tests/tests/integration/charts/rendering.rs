//! What Helm makes of the charts.

use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::Cluster;
use serde_json::Value;

use super::helm;

/// Every way to install the operator that differs in its objects, as values; the namespaces exist in the test.
const MODES: [(&str, &str); 5] = [
    ("all namespaces", "{}"),
    ("some namespaces", "{namespaces: [NAMESPACE]}"),
    (
        "some namespaces and those of Kafka",
        "{namespaces: [NAMESPACE], kafka: {strimzi: {namespaces: [default]}}}",
    ),
    (
        "everything on",
        "{networkPolicy: {enabled: true}, metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}}, limits: {maximumRate: 50}, kafka: {bootstrapServers: 'kafka:9092', \
            allowedBootstrapServers: ['*.kafka:9092']}, telemetry: {endpoint: 'http://otel:4317', \
            operatorEndpoint: 'http://otel:4317'}, operator: {podLabels: {team: mill}, priorityClassName: high}}",
    ),
    (
        "everything off",
        "{operator: {replicas: 1}, podDisruptionBudget: {enabled: false}, aggregatedRoles: {enabled: false}, \
            kafka: {strimzi: {enabled: false}}}",
    ),
];

#[tokio::test]
async fn lint_finds_nothing() -> TestResult {
    for chart in ["charts/ordermill", "charts/ordermill-crds"] {
        let found = helm(&["lint", "--strict", chart]).await?;
        assert!(found.contains("0 chart(s) failed"), "{found}");
    }
    Ok(())
}

#[tokio::test]
async fn the_api_server_takes_every_mode() -> TestResult {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("charts").await?;
    install_service_monitors(&cluster).await?;
    for (mode, values) in MODES {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(&file, values.replace("NAMESPACE", namespace.name()))?;
        let values = file.path().display().to_string();
        let rendered = helm(&[
            "template",
            "mill",
            "charts/ordermill",
            "--namespace",
            namespace.name(),
            "--values",
            &values,
        ])
        .await?;
        let manifest = tempfile::NamedTempFile::with_suffix(".yaml")?;
        std::fs::write(&manifest, rendered)?;
        let path = manifest.path().display().to_string();
        let apply = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            &path,
        ];
        let applied = cluster.kubectl(apply).await;
        let applied = applied.map_err(|error| format!("{mode}: {error}"))?;
        assert!(
            applied.contains("deployment.apps/mill-ordermill"),
            "{mode}: {applied}"
        );
        assert_eq!(
            applied.contains("servicemonitor.monitoring.coreos.com/mill-ordermill"),
            mode == "everything on",
            "{mode}: {applied}"
        );
    }
    Ok(())
}

/// The Prometheus operator's definition of what the chart makes for it, with the fields that the chart sets.
async fn install_service_monitors(cluster: &Cluster) -> TestResult {
    const DEFINITION: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, \
        metadata: {name: servicemonitors.monitoring.coreos.com}, spec: {group: monitoring.coreos.com, scope: Namespaced, \
        names: {kind: ServiceMonitor, listKind: ServiceMonitorList, plural: servicemonitors, singular: servicemonitor}, \
        versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: \
        {type: object, required: [endpoints, selector], properties: \
        {selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}, \
        endpoints: {type: array, items: {type: object, properties: {port: {type: string}, interval: {type: string, \
        pattern: '^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$'}}}}}}}}}}]}}";
    let definition = tempfile::NamedTempFile::with_suffix(".yaml")?;
    std::fs::write(&definition, DEFINITION)?;
    let path = definition.path().display().to_string();
    cluster
        .kubectl(["apply", "--server-side", "--filename", &path])
        .await?;
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/servicemonitors.monitoring.coreos.com",
    ];
    cluster.kubectl(established).await?;
    Ok(())
}

#[tokio::test]
async fn the_operator_may_reach_the_ports_that_the_values_name() -> TestResult {
    for (endpoint, port) in [
        ("http://otel:14317", "{port: 14317}"),
        ("http://otel.example/v1", "{port: 80}"),
        ("https://otel.example", "{port: 443}"),
        ("https://[fd00::1]:4318/v1", "{port: 4318}"),
    ] {
        let endpoint = format!("telemetry.operatorEndpoint={endpoint}");
        let values = [
            "networkPolicy.enabled=true",
            "networkPolicy.apiServerPorts={8443}",
            &endpoint,
        ];
        let mut arguments = vec!["template", "mill", "charts/ordermill"];
        arguments.extend(["--show-only", "templates/networkpolicy.yaml"]);
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        let policy = helm(&arguments).await?;
        assert!(policy.contains("{port: 8443}"), "{policy}");
        assert!(!policy.contains("{port: 6443}"), "{policy}");
        assert!(
            policy.contains(&format!("- ports: [{port}]")),
            "{endpoint}: {policy}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_definitions_are_those_beside_the_types_and_are_kept() -> TestResult {
    let rendered = helm(&["template", "crds", "charts/ordermill-crds"]).await?;
    let mut found = 0;
    for document in serde_yaml::Deserializer::from_str(&rendered) {
        let mut chart: Value = serde::Deserialize::deserialize(document)?;
        let annotations = chart["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        assert_eq!(annotations.unwrap()["helm.sh/resource-policy"], "keep");
        let plural = chart["spec"]["names"]["plural"].as_str().unwrap();
        let beside = format!("{}/../crds/{plural}.yaml", env!("CARGO_MANIFEST_DIR"));
        let beside: Value = serde_yaml::from_str(&std::fs::read_to_string(beside)?)?;
        assert_eq!(chart, beside);
        found += 1;
    }
    assert_eq!(found, ordermill_crds::KINDS.len());
    Ok(())
}

#[tokio::test]
async fn a_value_that_is_wrong_is_named() -> TestResult {
    for (set, named) in [
        ("operator.replicas=-1", "/operator/replicas"),
        ("namespace=shop", "namespace"),
        ("kafka.bootstrapServers=kafka", "/kafka/bootstrapServers"),
        ("limits.maximumRate=fast", "/limits/maximumRate"),
        ("telemetry.protocol=Http", "/telemetry/protocol"),
        (
            "networkPolicy.apiServerPorts={70000}",
            "/networkPolicy/apiServerPorts/0",
        ),
    ] {
        let rendered = helm(&["template", "mill", "charts/ordermill", "--set", set]).await;
        let error = rendered.expect_err(set).to_string();
        assert!(error.contains(named), "{set}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn every_value_has_a_rule_and_every_rule_a_value() -> TestResult {
    fn paths(rules: &Value, values: &Value, path: &str, wrong: &mut Vec<String>) {
        let Some(properties) = rules["properties"].as_object() else {
            return;
        };
        let known = values.as_object().cloned().unwrap_or_default();
        for name in known.keys().filter(|name| !properties.contains_key(*name)) {
            wrong.push(format!("{path}.{name} has no rule"));
        }
        for (name, rule) in properties.iter().filter(|(name, _)| *name != "global") {
            match known.get(name) {
                Some(value) => paths(rule, value, &format!("{path}.{name}"), wrong),
                None => wrong.push(format!("{path}.{name} has no value")),
            }
        }
    }
    let read = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ordermill");
        std::fs::read_to_string(format!("{folder}/{name}"))
    };
    let rules: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let values: Value = serde_yaml::from_str(&read("values.yaml")?)?;
    let mut wrong = Vec::new();
    paths(&rules, &values, "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
