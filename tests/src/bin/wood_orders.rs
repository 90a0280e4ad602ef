//! Orders per second through the whole chain of the wood orders, time from event to `processed`, and memory by part.
//!
//! `make bench-wood-orders` runs it on release builds: customer, supplier, both checks, both APIs on PostgreSQL and the
//! management, each one process on this machine, with a Kafka of their own.
#![allow(missing_docs)]

use std::fs;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ordermill_tests::kafka::Broker;
use ordermill_tests::ports::{Port, pick};
use ordermill_tests::postgres::Postgres;
use ordermill_tests::process::{Process, Program};
use ordermill_tests::{Failure, http, wait};
use serde_json::Value;

const PARTITIONS: u16 = 3;
const DEADLINE: Duration = Duration::from_mins(2);
/// Orders whose time is taken, and how many a second.
const TIMED: u32 = 600;
const TIMED_RATE: &str = "20";
/// Orders and deliveries that wait when the chain starts.
const BACKLOG: u32 = 6000;
/// How fast they are sent before; no more is asked of a producer here.
const BACKLOG_RATE: &str = "3000";
const PRODUCERS: [&str; 2] = ["wood-stock", "wood-order"];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("{TIMED} orders at {TIMED_RATE}/s, from event to processed:");
    for interval in ["2", "0.1"] {
        let mut system = System::start(interval).await?;
        system.check_and_manage().await?;
        system.send(&[("RATE", TIMED_RATE)]).await?;
        system.ended(TIMED).await?;
        println!("  management every {interval} s:");
        for (moment, member) in [("registered", "created_at"), ("processed", "updated_at")] {
            let times = system.times(member).await?;
            let at = |share: usize| times[(times.len() - 1) * share / 100];
            println!(
                "    {moment:<10} p50 {:>4.0} ms, p99 {:>4.0} ms",
                at(50),
                at(99)
            );
        }
    }
    let mut system = System::start("0.1").await?;
    let count = BACKLOG.to_string();
    let all = [("RATE", BACKLOG_RATE), ("NUM_EVENTS", &count)];
    system.send(&all).await?;
    system.sent().await?;
    let begin = Instant::now();
    system.check_and_manage().await?;
    system.ended(BACKLOG).await?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "a backlog of {BACKLOG} orders and as many deliveries is worked off in {seconds:.1} s: {:.0} orders/s",
        f64::from(BACKLOG) / seconds
    );
    println!("memory of each part after that, at most:");
    for part in &mut system.parts {
        part.look();
        println!("  {:<18} {:>4.0} MiB", part.name, part.mebibytes);
    }
    Ok(())
}

/// A process that tells of itself.
struct Part {
    name: &'static str,
    admin: Port,
    process: Process,
    /// The most memory that it was ever seen with.
    mebibytes: f64,
}

impl Part {
    async fn start(name: &'static str, variables: &[(&str, &str)]) -> Result<Self, Failure> {
        let [admin] = pick()?;
        let address = format!("127.0.0.1:{}", admin.number());
        let mut launch = Program::workload().await?.arg(name);
        let own = [
            ("ADMIN_ADDRESS", address.as_str()),
            ("ERROR_RATE", "0"),
            ("TRACE_SAMPLING", "0"),
        ];
        for (variable, value) in own.iter().chain(variables) {
            launch = launch.env(variable, value);
        }
        let mut process = launch.start()?;
        let ready = |answer: &http::Response| answer.is_success().then_some(());
        let url = format!("http://{address}/readyz");
        process.wait_for_http(DEADLINE, &url, ready).await?;
        Ok(Self {
            name,
            admin,
            process,
            mebibytes: 0.0,
        })
    }

    /// How much it has done.
    async fn events(&self) -> Result<u64, Failure> {
        let url = format!("http://127.0.0.1:{}/state", self.admin.number());
        let state: Value = http::get(&url).await?.json()?;
        Ok(state["observed"]["events"].as_u64().unwrap_or_default())
    }

    /// Looks at its memory; whether it still has any.
    fn look(&mut self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        if let Some(kibibytes) = kibibytes {
            self.mebibytes = kibibytes / 1024.0;
        }
        kibibytes.is_some()
    }
}

/// The whole chain. Those that call go before those that are called.
struct System {
    parts: Vec<Part>,
    interval: &'static str,
    api: Port,
    stock: Port,
    _databases: [Postgres; 2],
    broker: Broker,
}

impl System {
    /// Topics and APIs.
    async fn start(interval: &'static str) -> Result<Self, Failure> {
        let broker = Broker::start().await?;
        let databases = [Postgres::start().await?, Postgres::start().await?];
        let [api, stock] = pick()?;
        for topic in ["orders", "stocks"] {
            broker.create_topic(topic, PARTITIONS).await?;
        }
        let mut parts = Vec::new();
        for (name, port, database) in [
            ("order", &api, &databases[0]),
            ("stock", &stock, &databases[1]),
        ] {
            let (port, database) = (port.number().to_string(), database.url());
            let variables = [("PORT", port.as_str()), ("DATABASE_URL", &database)];
            parts.push(Part::start(name, &variables).await?);
        }
        Ok(Self {
            parts,
            interval,
            api,
            stock,
            _databases: databases,
            broker,
        })
    }

    /// The checks, and the management every interval.
    async fn check_and_manage(&mut self) -> Result<(), Failure> {
        let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
        let variables = [
            ("KAFKA_BOOTSTRAP_SERVERS", self.broker.bootstrap()),
            ("API_URL_ORDERS", &url(&self.api)),
            ("API_URL_STOCKS", &url(&self.stock)),
            ("INTERVAL_SECONDS", self.interval),
            ("BATCH_SIZE", "1000"),
        ];
        for name in ["stock-check", "order-check", "order-management"] {
            self.parts.push(Part::start(name, &variables).await?);
        }
        Ok(())
    }

    /// Sends orders and as many deliveries.
    async fn send(&mut self, variables: &[(&str, &str)]) -> Result<(), Failure> {
        let kafka = ("KAFKA_BOOTSTRAP_SERVERS", self.broker.bootstrap());
        let variables = [&[kafka], variables].concat();
        for name in PRODUCERS {
            self.parts.push(Part::start(name, &variables).await?);
        }
        Ok(())
    }

    /// Waits until both producers have sent all that they were to send.
    async fn sent(&mut self) -> Result<(), Failure> {
        let is_producer = |part: &&mut Part| PRODUCERS.contains(&part.name);
        let mut producers: Vec<_> = self.parts.iter_mut().filter(is_producer).collect();
        wait::eventually(DEADLINE, "the end of both producers", async || {
            let alive = producers.iter_mut().map(|part| part.look());
            (alive.filter(|alive| *alive).count() == 0).then_some(())
        })
        .await;
        for producer in producers {
            _ = producer.process.wait(DEADLINE).await?.assert_code(0);
        }
        Ok(())
    }

    /// Waits until so many orders are at their end.
    async fn ended(&self, count: u32) -> Result<(), Failure> {
        let mut parts = self.parts.iter();
        let management = parts.find(|part| part.name == "order-management");
        let management = management.ok_or("no management")?;
        wait::eventually(DEADLINE, "every order at its end", async || {
            let moved = management.events().await.ok()?;
            (moved >= u64::from(count)).then_some(())
        })
        .await;
        Ok(())
    }

    /// Milliseconds from the event of each order that was processed until a moment of it in the order API, in order.
    async fn times(&self, moment: &str) -> Result<Vec<f64>, Failure> {
        let at = |order: &Value, member: &str| -> Result<Timestamp, Failure> {
            Ok(order[member].as_str().unwrap_or_default().parse()?)
        };
        let port = self.api.number();
        let url = format!("http://127.0.0.1:{port}/orders?status=processed&limit=10000");
        let page: Value = http::get(&url).await?.json()?;
        let mut times = Vec::new();
        for order in page["orders"].as_array().ok_or("no orders")? {
            let took = at(order, moment)?.duration_since(at(order, "timestamp")?);
            times.push(took.as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}
