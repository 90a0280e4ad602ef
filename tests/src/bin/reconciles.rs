//! What the operator costs: requests to a real API server, latency of an edit, memory.
//!
//! `make bench-operator` runs it on release builds. The first resource runs as processes on a real Kafka; the many run
//! nothing, so that only the operator and the control plane work.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use ordermill_crds::OrderProducer;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::{AuditEvent, Cluster, Namespace, Node};
use ordermill_tests::process::{Process, Program};
use ordermill_tests::wait::until;
use ordermill_tests::{Failure, http};
use serde_json::json;

const EDITS: usize = 100;
const MANY: usize = 500;
const DEADLINE: Duration = Duration::from_mins(3);
/// The operator looks at each resource again within eleven seconds: in this time it has looked at all.
const LOOK: Duration = Duration::from_secs(12);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = Cluster::start().await?;
    cluster.install_crds().await?;
    let broker = Broker::start().await?;
    let (one, many) = (
        cluster.namespace("one").await?,
        cluster.namespace("many").await?,
    );
    let _node = Node::start(&cluster, one.name()).await?;
    let _idle_node = Node::builder()
        .without_processes()
        .start(&cluster, many.name())
        .await?;
    let mut operator = Program::operator()
        .await?
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["--namespace", one.name(), "--namespace", many.name()])
        .args(["--operator-namespace", one.name()])
        .args(["--bootstrap-servers", broker.bootstrap()])
        .start()?;
    let line = operator
        .wait_for_line(DEADLINE, "the operator starts")
        .await?;
    let line: serde_json::Value = serde_json::from_str(&line)?;
    let address = line["address"].as_str().unwrap_or_default().to_owned();
    operator
        .wait_for_line(DEADLINE, "made a new key for signing tunings")
        .await?;
    let figures = Figures {
        cluster,
        one,
        many,
        address,
    };
    let result = figures.all(&operator).await;
    if result.is_err() {
        eprintln!("{}", operator.last_lines());
    }
    result
}

struct Figures {
    cluster: Cluster,
    one: Namespace,
    many: Namespace,
    address: String,
}

impl Figures {
    async fn all(&self, operator: &Process) -> Result<(), Failure> {
        self.requests().await?;
        println!("memory with 1 resource: {} MB", megabytes(operator)?);
        self.edits().await?;
        self.many(operator).await
    }

    async fn create(&self, namespace: &Namespace, name: &str) -> Result<(), Failure> {
        let producer: OrderProducer = serde_json::from_value(json!({
            "apiVersion": "ordermill.dev/v1alpha1", "kind": "OrderProducer", "metadata": {"name": name},
            "spec": {"model": "WoodOrder", "replicas": 2, "rate": 0},
        }))?;
        let api: Api<OrderProducer> = namespace.api();
        api.create(&PostParams::default(), &producer).await?;
        Ok(())
    }

    async fn edit(&self, error_rate: f64) -> Result<i64, Failure> {
        let api: Api<OrderProducer> = self.one.api();
        let patch = Patch::Merge(json!({"spec": {"errorRate": error_rate}}));
        let parameters = PatchParams::default();
        let edited = api.patch("first", &parameters, &patch).await?;
        Ok(edited.metadata.generation.unwrap_or_default())
    }

    async fn until_pods(&self, namespace: &Namespace, name: &str) -> Result<(), Failure> {
        let api: Api<OrderProducer> = namespace.api();
        let ready = until(DEADLINE, async || {
            let producer = api.get(name).await.map_err(|error| error.to_string())?;
            match producer.status.unwrap_or_default().ready_replicas {
                Some(2) => Ok(()),
                other => Err(format!("{other:?} pods of {name} are ready")),
            }
        });
        Ok(ready.await?)
    }

    /// Requests of the operator but those for its Lease, since the first `skipped`.
    fn requests_since(&self, skipped: usize) -> Result<Vec<AuditEvent>, Failure> {
        let mut events = self.cluster.audit_events()?;
        events.retain(|event| {
            event.user_agent.starts_with("ordermill-operator") && event.resource != "leases"
        });
        Ok(events.split_off(skipped))
    }

    async fn reconciles(&self) -> Result<u64, Failure> {
        let metrics = http::get(&format!("http://{}/metrics", self.address)).await?;
        let name = "ordermill_operator_reconciles_total{kind=\"OrderProducer\"} ";
        let mut lines = metrics.body.lines();
        let count = lines.find_map(|line| line.strip_prefix(name));
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Lets everything settle: the operator has looked again and written nothing.
    async fn settle(&self) -> Result<usize, Failure> {
        loop {
            let before = (self.requests_since(0)?.len(), self.reconciles().await?);
            // That nothing happens can only be seen by waiting.
            tokio::time::sleep(LOOK).await;
            let after = (self.requests_since(0)?.len(), self.reconciles().await?);
            if after.0 == before.0 {
                println!(
                    "no-op: {} reconciles in {LOOK:?} sent no request",
                    after.1 - before.1
                );
                return Ok(after.0);
            }
        }
    }

    async fn requests(&self) -> Result<(), Failure> {
        let begin = self.settle().await?;
        let before = self.reconciles().await?;
        self.create(&self.one, "first").await?;
        self.until_pods(&self.one, "first").await?;
        let settled = self.settle().await?;
        let reconciles = self.reconciles().await? - before;
        let created = self.requests_since(begin)?;
        println!(
            "create: {reconciles} reconciles until it is quiet; {}",
            told(&created)
        );
        self.edit(0.5).await?;
        self.settle().await?;
        println!("tuning edit: {}", told(&self.requests_since(settled)?));
        Ok(())
    }

    /// From the answer to an edit until a watcher sees the `ConfigMap` that holds it.
    async fn edits(&self) -> Result<(), Failure> {
        let config_maps: Api<ConfigMap> = self.one.api();
        let only = watcher::Config::default().fields("metadata.name=first-producer");
        let mut changes = Box::pin(watcher(config_maps, only).applied_objects());
        let mut latencies = Vec::new();
        for number in 0..EDITS {
            let share = f64::from(u32::try_from(number % 50)?) / 100.0;
            let generation = self.edit(share).await?;
            let begin = Instant::now();
            while let Some(config_map) = changes.try_next().await? {
                let data = config_map.data.unwrap_or_default();
                let tuning: serde_json::Value = serde_json::from_str(&data["tuning.json"])?;
                if tuning["generation"].as_i64() >= Some(generation) {
                    break;
                }
            }
            latencies.push(begin.elapsed());
        }
        latencies.sort();
        println!(
            "edit to ConfigMap, {EDITS} edits: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
            latencies[EDITS / 2],
            latencies[EDITS * 99 / 100 - 1],
            latencies[EDITS - 1],
        );
        Ok(())
    }

    async fn many(&self, operator: &Process) -> Result<(), Failure> {
        let begin = Instant::now();
        let skipped = self.requests_since(0)?.len();
        for number in 1..MANY {
            self.create(&self.many, &format!("many-{number}")).await?;
        }
        for number in 1..MANY {
            self.until_pods(&self.many, &format!("many-{number}"))
                .await?;
        }
        let took = begin.elapsed();
        let requests = self.requests_since(skipped)?;
        println!(
            "{MANY} resources with their pods after {took:.0?}, {} requests for each: {}",
            requests.len() / (MANY - 1),
            told(&requests)
        );
        println!(
            "memory with {MANY} resources and {} pods: {} MB",
            MANY * 2,
            megabytes(operator)?
        );
        Ok(())
    }
}

/// `3 get configmaps, 1 patch deployments`.
fn told(events: &[AuditEvent]) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for event in events {
        let part = match event.subresource.as_str() {
            "" => String::new(),
            part => format!("/{part}"),
        };
        let request = format!("{} {}{part}", event.verb, event.resource);
        *counts.entry(request).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|(request, count)| format!("{count} {request}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// What a process has in memory now.
fn megabytes(process: &Process) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.map_or(Ok(0), str::parse::<u64>)? / 1024)
}
