//! All parts of the wood orders, on a Kafka and two PostgreSQL of their own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ordermill_config::BackendRole;
use ordermill_tests::TestResult;
use ordermill_tests::kafka::Broker;
use ordermill_tests::ports::{Port, pick};
use ordermill_tests::postgres::Postgres;
use ordermill_tests::wait::eventually_ok;
use serde_json::Value;

use super::part::Part;
use crate::support::account::Account;
use crate::support::configuration::{Configuration, Setup};
use crate::support::producer::Dice;

/// For what the parts have left to do when nothing fails any more.
const SETTLING: Duration = Duration::from_mins(3);

const CUSTOMER: &str =
    "model: WoodOrder, rate: 15, topics: {orders: {name: orders, partitions: 3}}";
const SUPPLIER: &str = "model: WoodStock, rate: 4, topics: {stocks: {name: stocks, partitions: 3}}";
const ORDERCHECK: &str = "handler: OrderCheck, topics: [{name: orders, partitions: 3}], \
    onFailure: {action: DeadLetter, maxRetries: 3, backoff: {initial: 10ms, maximum: 200ms}}";
const STOCKCHECK: &str = "handler: StockCheck, topics: [{name: stocks, partitions: 3}], \
    onFailure: {action: DeadLetter, maxRetries: 3, backoff: {initial: 10ms, maximum: 200ms}}";
const MANAGEMENT: &str = "task: OrderManagement, interval: 500ms, batchSize: 20, maxRetries: 3, \
    orderManagement: {lease: 4s}";

/// What is wrong with each kind of part.
const PRODUCER_FAULTS: &str = "errorRate: 0.3, faults: {duplicate: {rate: 0.05}, malformed: {rate: 0.03}, outOfOrder: {rate: 0.05}}";
const CONSUMER_FAULTS: &str = "errorRate: 0.3, faults: {slow: {rate: 0.05, duration: 50ms}, \
    commitFailure: {rate: 0.1}, rebalance: {rate: 0.003}, crash: {rate: 0.003}}";
const CALLED_FAULTS: &str = "errorRate: 0.3, faults: {latency: {rate: 0.05, duration: 100ms}, \
    hang: {rate: 0.002}, unavailable: {rate: 0.002, duration: 500ms}}";

/// A part with what it does when nothing is wrong.
struct Tuned {
    part: Part,
    spec: String,
}

/// The system.
pub struct System {
    broker: Broker,
    databases: [Postgres; 2],
    _ports: [Port; 2],
    producers: Vec<Part>,
    others: Vec<Tuned>,
}

impl System {
    /// Starts everything, with everything wrong.
    pub async fn start(managers: usize) -> TestResult<Self> {
        let (broker, orders, stock) = tokio::try_join!(
            async { Ok::<_, ordermill_tests::Failure>(Broker::start().await?) },
            async { Ok(Postgres::start().await?) },
            async { Ok(Postgres::start().await?) }
        )?;
        let ports: [Port; 2] = pick()?;
        let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
        let backends = BTreeMap::from([
            (BackendRole::Order, url(&ports[0])),
            (BackendRole::Stock, url(&ports[1])),
        ]);
        let setup = |name: &str| -> TestResult<Setup> {
            let mut setup = Setup::plain(broker.bootstrap())?;
            name.clone_into(&mut setup.name);
            Ok(setup)
        };
        let mut producers = Vec::new();
        for (name, spec) in [("customer", CUSTOMER), ("supplier", SUPPLIER)] {
            let spec = format!("{{{spec}, {PRODUCER_FAULTS}}}");
            let configuration = Configuration::mounted(setup(name)?, &spec)?;
            producers.push(Part::start(name, configuration, None).await?);
        }
        let mut others = Vec::new();
        let apis = [("order", "Order", &orders), ("stock", "Stock", &stock)];
        for ((name, app, database), port) in apis.into_iter().zip(&ports) {
            let spec = format!("app: {app}, port: {}", port.number());
            let configuration = Configuration::of_backend(&format!("{{{spec}, {CALLED_FAULTS}}}"))?;
            let part = Part::start(name, configuration, Some(&database.url())).await?;
            others.push(Tuned { part, spec });
        }
        for (name, spec) in [
            ("ordercheck-0", ORDERCHECK),
            ("ordercheck-1", ORDERCHECK),
            ("stockcheck", STOCKCHECK),
        ] {
            let wrong = format!("{{{spec}, {CONSUMER_FAULTS}}}");
            let configuration = Configuration::of_consumer(setup(name)?, backends.clone(), &wrong)?;
            let part = Part::start(name, configuration, None).await?;
            let spec = spec.to_owned();
            others.push(Tuned { part, spec });
        }
        for number in 0..managers {
            let wrong = format!("{{{MANAGEMENT}, {CALLED_FAULTS}}}");
            let configuration = Configuration::of_worker(backends.clone(), &wrong)?;
            let name = format!("ordermanagement-{number}");
            let part = Part::start(&name, configuration, None).await?;
            let spec = MANAGEMENT.to_owned();
            others.push(Tuned { part, spec });
        }
        Ok(Self {
            broker,
            databases: [orders, stock],
            _ports: ports,
            producers,
            others,
        })
    }

    /// Kills one thing after the other and starts it again, for so long; how often each was killed.
    pub async fn suffer(
        &mut self,
        dice: &mut Dice,
        lasts: Duration,
    ) -> TestResult<BTreeMap<String, usize>> {
        let end = Instant::now() + lasts;
        let mut kills = BTreeMap::new();
        while Instant::now() < end {
            // Chance decides when something dies: there is no condition to wait for.
            tokio::time::sleep(dice.milliseconds(300, 1500)).await;
            let parts = self.producers.len() + self.others.len();
            let victim = usize::try_from(dice.number(0, parts as u64 + 3))?;
            let down = dice.milliseconds(0, 1500);
            let name = self.kill(victim, down).await?;
            *kills.entry(name).or_default() += 1;
            // A crash that a fault makes is a kill as well.
            for part in self.parts() {
                if part.has_ended()? {
                    part.restart().await?;
                }
            }
        }
        Ok(kills)
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        let others = self.others.iter_mut().map(|tuned| &mut tuned.part);
        self.producers.iter_mut().chain(others)
    }

    async fn kill(&mut self, victim: usize, down: Duration) -> TestResult<String> {
        let parts = self.producers.len() + self.others.len();
        if let Some(part) = self.parts().nth(victim) {
            part.kill()?;
            tokio::time::sleep(down).await;
            part.restart().await?;
            return Ok(part.name.clone());
        }
        if victim == parts {
            self.broker.kill()?;
            tokio::time::sleep(down).await;
            self.broker.restart().await?;
            return Ok("kafka".to_owned());
        }
        let database = &mut self.databases[victim - parts - 1];
        database.kill()?;
        tokio::time::sleep(down).await;
        database.restart().await?;
        Ok("postgres".to_owned())
    }

    /// Ends what is new, makes everything right, and waits until all that there is has come to its end.
    pub async fn settle(&mut self) -> TestResult {
        for part in &mut self.producers {
            // What a kill left of it is delivered by nobody; what it still has goes out.
            part.stop().await?;
        }
        for Tuned { part, spec } in &mut self.others {
            let calm = format!("{{{spec}, errorRate: 0}}");
            loop {
                if part.has_ended()? {
                    part.restart().await?;
                }
                match part.retune(&calm).await {
                    // It may crash on purpose until the edit is in force.
                    Err(_) if part.has_ended()? => {}
                    edited => {
                        edited?;
                        break;
                    }
                }
            }
        }
        let urls = self.urls();
        let bootstrap = self.broker.bootstrap();
        eventually_ok(SETTLING, "all of it at its end", async || {
            let account = Account::gather(bootstrap, &urls, BTreeMap::new()).await;
            let account = account.map_err(|error| error.to_string())?;
            match account.on_their_way() {
                0 => Ok(()),
                left => Err(format!("{left} on their way: {account}")),
            }
        })
        .await;
        Ok(())
    }

    fn urls(&self) -> [String; 2] {
        [self.databases[0].url(), self.databases[1].url()]
    }

    /// What came of it all.
    pub async fn account(&mut self) -> TestResult<Account> {
        let mut states = BTreeMap::new();
        for Tuned { part, .. } in &mut self.others {
            let state: Value = part.state().await?;
            states.insert(part.name.clone(), state);
        }
        Account::gather(self.broker.bootstrap(), &self.urls(), states).await
    }

    /// Ends everything, in good order; what each part has logged since it was started last.
    pub async fn stop(&mut self) -> TestResult<BTreeMap<String, String>> {
        let mut logs = BTreeMap::new();
        // Those that call before those that are called.
        for Tuned { part, .. } in self.others.iter_mut().rev() {
            logs.insert(part.name.clone(), part.stop().await?);
        }
        Ok(logs)
    }
}
