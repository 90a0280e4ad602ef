//! The wood orders whole: from an event to the end of its order, on PostgreSQL, with every part a pod.

use std::collections::BTreeMap;
use std::fs::{File, read_dir};

use ordermill_crds::{Backend, ResourceStatus, StreamConsumer, Worker};
use ordermill_tests::collector::{Collector, Span};
use ordermill_tests::kind::{Broker, Cluster, Postgres};
use ordermill_tests::process::Program;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{Scratch, TestResult};
use serde_json::{Value, json};

use super::pods::lives;
use super::release::{OnKind, SOON, install};
use crate::support::account::Account;
use crate::support::stage::has;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wood-orders");
/// Orders that are worth an account.
const ORDERS: usize = 50;
/// Dead letters that are worth a replay.
const LETTERS: usize = 3;
const BACKENDS: [&str; 2] = ["order", "stock"];
/// Theirs, in the same order.
const DATABASES: [&str; 2] = ["orders", "stock"];
/// The Secret that has the URL of each under the name of its Backend.
const SECRET: &str = "databases";

/// All that the examples need, beside an operator.
struct System {
    stage: OnKind,
    broker: Broker,
    database: Postgres,
    collector: Collector,
}

impl System {
    async fn start() -> TestResult<Self> {
        let stage = install("wood-orders").await?;
        let (cluster, namespace) = (&stage.cluster, &stage.namespace);
        let (broker, database) = tokio::try_join!(
            Broker::start(cluster, namespace),
            Postgres::start(cluster, namespace, &DATABASES)
        )?;
        let collector = Collector::start_on(&cluster.host_address()?).await?;
        let brokers = format!("kafka.bootstrapServers={}", broker.inside());
        let endpoint = format!("telemetry.endpoint={}", collector.endpoint());
        stage.upgrade(&[&brokers, &endpoint]).await?;
        Ok(Self {
            stage,
            broker,
            database,
            collector,
        })
    }

    /// Applies the examples all at once, with databases behind the APIs that outlive their pods; callers are quicker than the
    /// node's network, so that the addresses of the APIs lead anywhere else at first.
    async fn apply(&self) -> TestResult {
        let [orders, stock] = DATABASES.map(|name| self.database.inside(name));
        let orders = format!("--from-literal=order={orders}");
        let stock = format!("--from-literal=stock={stock}");
        let secret = ["create", "secret", "generic", SECRET, &orders, &stock];
        self.stage.kubectl(&secret).await?;
        let folder = Scratch::new("wood-orders")?;
        for example in read_dir(EXAMPLES)? {
            let example = example?;
            let object = serde_yaml::from_reader(File::open(example.path())?)?;
            let copy = File::create(folder.path().join(example.file_name()))?;
            serde_yaml::to_writer(copy, &with_database(object))?;
        }
        let folder = folder.path().to_string_lossy();
        let late = LateNetwork::begin(&self.stage.cluster)?;
        self.stage
            .kubectl(&["apply", "--filename", &folder])
            .await?;
        let calls_in_vain =
            |status: &ResourceStatus| has(status, "Ready", "False", "BackendUnreachable");
        self.worker("calls in vain", calls_in_vain).await;
        drop(late);
        Ok(())
    }

    /// Waits until every part says that it does its work.
    async fn works(&self) {
        for name in BACKENDS {
            let ready = |status: &ResourceStatus| status.ready_replicas == Some(1);
            self.stage.status_of::<Backend>(name, "a pod", ready).await;
        }
        for (name, members) in [("ordercheck", 2), ("stockcheck", 1)] {
            let follows = |status: &ResourceStatus| {
                let observed = status.observed.as_ref();
                has(status, "Ready", "True", "Running")
                    && observed.is_some_and(|it| it.events > Some(5) && it.lag.is_some())
                    && observed.is_some_and(|it| it.members == Some(members))
                    && status.partitions.len() == 3
                    && observed.and_then(|it| it.lag)
                        == Some(status.partitions.iter().map(|it| it.lag).sum())
            };
            self.stage
                .status_of::<StreamConsumer>(name, "messages, a lag and all members", follows)
                .await;
        }
    }

    async fn worker(&self, what: &str, wanted: impl Fn(&ResourceStatus) -> bool) -> ResourceStatus {
        let stage = &self.stage;
        stage
            .status_of::<Worker>("ordermanagement", what, wanted)
            .await
    }

    async fn account(&self) -> TestResult<Account> {
        let databases = DATABASES.map(|name| self.database.outside(name));
        Account::gather(self.broker.outside(), &databases, BTreeMap::new()).await
    }

    /// Waits until the account is as `wanted`; returns it.
    async fn account_when(&self, what: &str, wanted: impl Fn(&Account) -> bool) -> Account {
        eventually_ok(SOON, what, async || {
            let account = self.account().await.map_err(|error| error.to_string())?;
            if wanted(&account) {
                Ok(account)
            } else {
                let left = account.on_their_way();
                Err(format!("{left} on their way: {account}"))
            }
        })
        .await
    }

    /// `ordermill dlq` on this machine; what it prints.
    async fn dead_letters(&self, arguments: &[&str]) -> TestResult<String> {
        let launch = Program::ordermill().await?.arg("dlq").args(arguments);
        let launch = launch.env("KAFKA_BOOTSTRAP_SERVERS", self.broker.outside());
        let exit = launch.start()?.wait(SOON).await?;
        Ok(exit.assert_code(0).stdout)
    }
}

/// While it is there, the node's network learns of no new Service.
struct LateNetwork<'a>(&'a Cluster);

impl<'a> LateNetwork<'a> {
    fn begin(cluster: &'a Cluster) -> TestResult<Self> {
        cluster.on_node(&["pkill", "-STOP", "kube-proxy"])?;
        Ok(Self(cluster))
    }
}

impl Drop for LateNetwork<'_> {
    fn drop(&mut self) {
        // Where that fails, what is waited for next does not come about.
        _ = self.0.on_node(&["pkill", "-CONT", "kube-proxy"]);
    }
}

/// An example; a Backend has its URL from the Secret.
fn with_database(mut example: Value) -> Value {
    if example["kind"] == "Backend" {
        let key = example["metadata"]["name"].clone();
        example["spec"]["database"] = json!({"secret": {"name": SECRET, "key": key}});
    }
    example
}

/// A span by its service and name among those of one trace; there may be more, of attempts that failed.
fn find<'a>(trace: &[&'a Span], service: &str, name: &str, parent: &str) -> Option<&'a Span> {
    let found = |span: &&&Span| {
        span.resource["service.name"] == service
            && span.name == name
            && span.parent_span_id == parent
            && !span.is_error()
    };
    trace.iter().find(found).copied()
}

/// Whether a trace leads from an event to its processed order, each span the child of the one before.
fn leads_to_the_end(trace: &[&Span]) -> bool {
    let follow = || {
        let sent = find(trace, "customer", "send orders", "")?;
        let checked = find(trace, "ordercheck", "process orders", &sent.span_id)?;
        let call = find(trace, "ordercheck", "POST /orders", &checked.span_id)?;
        let created = find(trace, "order", "POST /orders", &call.span_id)?;
        let moved = trace.iter().find(|span| {
            span.name == "process order"
                && span.attributes.get("ordermill.order.status") == Some(&"processed".into())
        })?;
        // The worker goes on with what the order API was called with.
        let known = moved.parent_span_id == created.parent_span_id;
        let taken = find(
            trace,
            "ordermanagement",
            "POST /stocks/decrease",
            &moved.span_id,
        )?;
        find(trace, "stock", "POST /stocks/decrease", &taken.span_id)?;
        let told = find(
            trace,
            "ordermanagement",
            "PUT /orders/{id}/status",
            &moved.span_id,
        )?;
        find(trace, "order", "PUT /orders/{id}/status", &told.span_id)?;
        known.then_some(())
    };
    follow().is_some()
}

async fn one_trace(collector: &Collector) {
    eventually_ok(SOON, "an order in one trace", async || {
        let spans = collector.spans().map_err(|error| error.to_string())?;
        let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in &spans {
            traces.entry(&span.trace_id).or_default().push(span);
        }
        if traces.values().any(|trace| leads_to_the_end(trace)) {
            return Ok(());
        }
        let longest = traces.into_values().max_by_key(Vec::len);
        Err(format!("the longest trace: {longest:#?}"))
    })
    .await;
}

#[tokio::test]
async fn orders_come_to_their_end_and_failures_are_drained() -> TestResult {
    let system = System::start().await?;
    system.stage.explained(come_to_their_end(&system)).await
}

async fn come_to_their_end(system: &System) -> TestResult {
    let stage = &system.stage;
    system.apply().await?;
    system.works().await;
    let moves = |status: &ResourceStatus| {
        let observed = status.observed.as_ref();
        has(status, "Ready", "True", "Running") && observed.is_some_and(|it| it.events > Some(5))
    };
    let before = system.worker("orders moved", moves).await;
    one_trace(&system.collector).await;

    // An edit reaches the worker that runs: its counts go on.
    let pods = async || stage.pods_of("ordermanagement", "worker").await;
    let before_edit = lives(&pods().await?);
    assert_eq!(before_edit.len(), 1);
    stage
        .edit_of::<Worker>("ordermanagement", "errorRate: 1")
        .await?;
    let injected = |status: &ResourceStatus| {
        let observed = status.observed.as_ref();
        observed.and_then(|it| it.injected).unwrap_or_default()
    };
    let fails = |status: &ResourceStatus| {
        has(status, "TuningApplied", "True", "Applied") && injected(status) > injected(&before) + 5
    };
    let after = system.worker("more injected errors", fails).await;
    let events = |status: ResourceStatus| status.observed.unwrap().events;
    assert!(
        events(after) >= events(before),
        "the same process counts on"
    );
    assert_eq!(lives(&pods().await?), before_edit);

    // The check gives orders up meanwhile.
    stage
        .edit_of::<StreamConsumer>("ordercheck", "errorRate: 1")
        .await?;
    system
        .account_when("orders and dead letters", |account| {
            account.sent() >= ORDERS && account.given_up() >= LETTERS
        })
        .await;

    // Nothing new, nothing fails: what is on its way comes to its end.
    for name in ["customer", "supplier"] {
        stage.edit(name, "paused: true").await?;
        stage.ready(name, "Paused").await;
    }
    let healthy = "errorRate: 0";
    for name in ["ordercheck", "stockcheck"] {
        stage.edit_of::<StreamConsumer>(name, healthy).await?;
    }
    stage.edit_of::<Worker>("ordermanagement", healthy).await?;
    let drained = system
        .account_when("every order and delivery at its end", |account| {
            account.on_their_way() == 0
        })
        .await;
    let letters = drained.given_up();
    assert!(letters >= LETTERS, "{drained}");
    drained.assert_consistent(ORDERS);

    // And what was given up as well, once it is sent back.
    let told = system
        .dead_letters(&["replay", "orders.dead-letter", "--yes"])
        .await?;
    assert!(told.contains(", 0 left"), "{told}");
    let account = system
        .account_when("every dead letter an order", |account| {
            account.given_up() == 0 && account.on_their_way() == 0
        })
        .await;
    println!("{letters} dead letters replayed: {account}");
    account.assert_consistent(ORDERS);
    // Whether one fails for want of wood is a matter of chance here.
    assert!(account.count("processed") > 0, "{account}");
    Ok(())
}
