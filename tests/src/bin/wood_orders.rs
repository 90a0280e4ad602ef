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
const TIMED: usize = 600;
const TIMED_RATE: &str = "20";
/// More than the chain can do.
const FLOOD: &str = "3000";
/// Over which a rate is counted, from the first thousand orders on.
const WINDOW: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("{TIMED} orders at {TIMED_RATE}/s, from event to processed:");
    for interval in ["2", "0.1"] {
        let system = System::start(interval, TIMED_RATE, Some(TIMED)).await?;
        let times = system.times().await?;
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!(
            "  management every {interval:>3} s: p50 {:>4.0} ms, p99 {:>4.0} ms",
            at(50),
            at(99)
        );
    }
    let system = System::start("0.1", FLOOD, None).await?;
    let [checked, moved] = system.rates().await?;
    println!("flooded with {FLOOD} orders/s: {checked:.0}/s registered, {moved:.0}/s at their end");
    println!("memory of each part after that, at most:");
    for part in &system.parts {
        println!("  {:<18} {:>4.0} MiB", part.name, part.mebibytes()?);
    }
    Ok(())
}

/// A process that tells of itself.
struct Part {
    name: &'static str,
    admin: Port,
    process: Process,
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
        })
    }

    /// How much it has done.
    async fn events(&self) -> Result<u64, Failure> {
        let url = format!("http://127.0.0.1:{}/state", self.admin.number());
        let state: Value = http::get(&url).await?.json()?;
        Ok(state["observed"]["events"].as_u64().unwrap_or_default())
    }

    /// The most that it ever held.
    fn mebibytes(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(kibibytes.ok_or("no VmHWM")? / 1024.0)
    }
}

/// The whole chain. Those that call go before those that are called.
struct System {
    parts: Vec<Part>,
    api: Port,
    _stock: Port,
    _databases: [Postgres; 2],
    _broker: Broker,
}

impl System {
    async fn start(interval: &str, rate: &str, orders: Option<usize>) -> Result<Self, Failure> {
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
        let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
        let (orders_url, stocks_url) = (url(&api), url(&stock));
        let apis = [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap()),
            ("API_URL_ORDERS", &orders_url),
            ("API_URL_STOCKS", &stocks_url),
            ("INTERVAL_SECONDS", interval),
            ("BATCH_SIZE", "1000"),
        ];
        for name in ["stock-check", "order-check", "order-management"] {
            parts.push(Part::start(name, &apis).await?);
        }
        let kafka = apis[0];
        parts.push(Part::start("wood-stock", &[kafka, ("RATE", rate)]).await?);
        let count = orders.map(|count| count.to_string());
        let mut customer = vec![kafka, ("RATE", rate)];
        if let Some(count) = &count {
            customer.push(("NUM_EVENTS", count));
        }
        parts.push(Part::start("wood-order", &customer).await?);
        Ok(Self {
            parts,
            api,
            _stock: stock,
            _databases: databases,
            _broker: broker,
        })
    }

    fn part(&self, name: &str) -> Result<&Part, Failure> {
        let found = self.parts.iter().find(|part| part.name == name);
        Ok(found.ok_or("no such part")?)
    }

    async fn orders(&self, status: &str) -> Result<Vec<Value>, Failure> {
        let port = self.api.number();
        let url = format!("http://127.0.0.1:{port}/orders?status={status}&limit=10000");
        let page: Value = http::get(&url).await?.json()?;
        Ok(page["orders"].as_array().cloned().unwrap_or_default())
    }

    /// Milliseconds from each event until its order was processed, in order.
    async fn times(&self) -> Result<Vec<f64>, Failure> {
        wait::eventually(DEADLINE, "every order at its end", async || {
            let ended = self.orders("processed").await.ok()?.len();
            let ended = ended + self.orders("failed").await.ok()?.len();
            (ended == TIMED).then_some(())
        })
        .await;
        let at = |order: &Value, member: &str| -> Result<Timestamp, Failure> {
            Ok(order[member].as_str().unwrap_or_default().parse()?)
        };
        let mut times = Vec::new();
        for order in self.orders("processed").await? {
            let took = at(&order, "updated_at")?.duration_since(at(&order, "timestamp")?);
            times.push(took.as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// Orders a second that are registered, and that come to their end, while there are more than can.
    async fn rates(&self) -> Result<[f64; 2], Failure> {
        let (check, management) = (self.part("order-check")?, self.part("order-management")?);
        wait::eventually(DEADLINE, "the first orders", async || {
            (management.events().await.ok()? > 1000).then_some(())
        })
        .await;
        let begin = Instant::now();
        let before = [check.events().await?, management.events().await?];
        tokio::time::sleep(WINDOW).await;
        let after = [check.events().await?, management.events().await?];
        let seconds = begin.elapsed().as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate needs no more than 53 bits"
        )]
        let rate = |index: usize| (after[index] - before[index]) as f64 / seconds;
        Ok([rate(0), rate(1)])
    }
}
