//! The wood orders as a whole: what was sent, what became of it, and whether that adds up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ordermill_tests::TestResult;
use ordermill_tests::reader::Record;
use serde_json::Value;
use sqlx::{PgPool, Row as _};

use super::producer::read_topic;

/// Wood by an event's id: its type, and how much.
type Wood = BTreeMap<String, (String, i64)>;

/// A dead letter, as far as it explains something.
#[derive(Debug)]
struct Letter {
    reason: String,
    message: String,
    injected: Option<String>,
}

/// Everything there is to know of a run.
pub struct Account {
    /// Orders and deliveries as they lie in their topics, each once, those that parse.
    ordered: Wood,
    supplied: Wood,
    /// Messages that do not parse, by topic and offset.
    broken: BTreeSet<String>,
    /// Dead letters, by the topic and offset that they come from.
    letters: BTreeMap<String, Letter>,
    /// The ids in dead letters that parse.
    given_up: BTreeSet<String>,
    /// Status and wood of each order of the order API.
    orders: BTreeMap<String, (String, String, i64)>,
    /// What the stock API took and gave, by id; and what it has.
    delivered: Wood,
    decreased: Wood,
    stock: BTreeMap<String, i64>,
    states: BTreeMap<String, Value>,
}

fn source(topic: &str, record: &Record) -> String {
    format!("{topic}/{}/{}", record.partition, record.offset)
}

/// Reads what is wood in records; what is not goes by its place.
fn wood(topic: &str, records: &[Record], id: &str, broken: &mut BTreeSet<String>) -> Wood {
    let mut wood = Wood::new();
    for record in records {
        let value = record.json().unwrap_or_default();
        match value[id].as_str() {
            Some(found) => {
                let kind = value["wood_type"].as_str().unwrap().to_owned();
                let entry = (kind, value["quantity"].as_i64().unwrap());
                let before = wood.insert(found.to_owned(), entry.clone());
                assert!(before.is_none_or(|before| before == entry), "{found} twice");
            }
            None => _ = broken.insert(source(topic, record)),
        }
    }
    wood
}

/// Whether an order stays in this status.
fn is_end(status: &str) -> bool {
    ["processed", "failed"].contains(&status)
}

async fn rows(pool: &PgPool, statement: &'static str) -> TestResult<Wood> {
    let rows = sqlx::query(statement).fetch_all(pool).await?;
    let entry = |row: &sqlx::postgres::PgRow| (row.get(0), (row.get(1), row.get(2)));
    Ok(rows.iter().map(entry).collect())
}

impl Account {
    pub async fn gather(
        bootstrap: &str,
        databases: &[String; 2],
        states: BTreeMap<String, Value>,
    ) -> TestResult<Self> {
        let mut broken = BTreeSet::new();
        let orders = read_topic(bootstrap, "orders").await?;
        let stocks = read_topic(bootstrap, "stocks").await?;
        let ordered = wood("orders", &orders, "order_id", &mut broken);
        let supplied = wood("stocks", &stocks, "delivery_id", &mut broken);
        let (mut letters, mut given_up) = (BTreeMap::new(), BTreeSet::new());
        for topic in ["orders.dead-letter", "stocks.dead-letter"] {
            for record in read_topic(bootstrap, topic).await? {
                let header = |name: &str| {
                    let name = format!("ordermill-dead-letter-{name}");
                    record.header(&name).map(str::to_owned)
                };
                let required = |name: &str| header(name).ok_or(format!("no {name}: {record:?}"));
                let (from, partition, offset) = (
                    required("topic")?,
                    required("partition")?,
                    required("offset")?,
                );
                let letter = Letter {
                    reason: required("reason")?,
                    message: required("message")?,
                    injected: header("injected"),
                };
                letters.insert(format!("{from}/{partition}/{offset}"), letter);
                let value = record.json().unwrap_or_default();
                let ids = [&value["order_id"], &value["delivery_id"]];
                given_up.extend(ids.into_iter().filter_map(Value::as_str).map(str::to_owned));
            }
        }
        let order_pool = PgPool::connect(&databases[0]).await?;
        let found = sqlx::query("SELECT order_id, status, wood_type, quantity FROM orders")
            .fetch_all(&order_pool)
            .await?;
        let entry =
            |row: &sqlx::postgres::PgRow| (row.get(0), (row.get(1), row.get(2), row.get(3)));
        let stock_pool = PgPool::connect(&databases[1]).await?;
        let account = Self {
            ordered,
            supplied,
            broken,
            letters,
            given_up,
            orders: found.iter().map(entry).collect(),
            delivered: rows(
                &stock_pool,
                "SELECT delivery_id, wood_type, quantity FROM deliveries",
            )
            .await?,
            decreased: rows(
                &stock_pool,
                "SELECT idempotency_key, wood_type, quantity FROM decreases WHERE quantity IS NOT NULL",
            )
            .await?,
            stock: sqlx::query("SELECT wood_type, quantity FROM stocks")
                .fetch_all(&stock_pool)
                .await?
                .iter()
                .map(|row| (row.get(0), row.get(1)))
                .collect(),
            states,
        };
        order_pool.close().await;
        stock_pool.close().await;
        Ok(account)
    }

    fn of_status(&self, status: &str) -> Wood {
        let found = self
            .orders
            .iter()
            .filter(|(_, (found, ..))| found == status);
        found
            .map(|(id, (_, kind, quantity))| (id.clone(), (kind.clone(), *quantity)))
            .collect()
    }

    /// What is on its way: orders and deliveries that are neither at their end nor dead letters, and messages that do not
    /// parse and are no dead letters yet.
    pub fn on_their_way(&self) -> usize {
        let ended = |id: &String| {
            let order = self.orders.get(id);
            order.is_some_and(|(status, ..)| is_end(status))
        };
        let orders = self.ordered.keys().filter(|id| !ended(id));
        let deliveries = self
            .supplied
            .keys()
            .filter(|id| !self.delivered.contains_key(*id));
        let unexplained =
            |id: &&String| !self.given_up.contains(*id) || self.orders.contains_key(*id);
        let broken = self
            .broken
            .iter()
            .filter(|place| !self.letters.contains_key(*place));
        orders.chain(deliveries).filter(unexplained).count() + broken.count()
    }

    /// Orders that became dead letters and nothing else.
    pub fn given_up(&self) -> usize {
        let orders = self.ordered.keys();
        let letters = orders.filter(|id| self.given_up.contains(*id));
        letters.filter(|id| !self.orders.contains_key(*id)).count()
    }

    /// Orders that were sent.
    pub fn sent(&self) -> usize {
        self.ordered.len()
    }

    /// Orders of a status.
    pub fn count(&self, status: &str) -> usize {
        self.of_status(status).len()
    }

    /// Fails where anything was lost, done twice, or does not add up, or where fewer orders were sent.
    pub fn assert_consistent(&self, least: usize) {
        let sent = self.sent();
        assert!(sent >= least, "{sent} orders, {least} were expected");
        // Every order that was sent is at one end, or a dead letter says why not; none came from nowhere.
        for (id, sent) in &self.ordered {
            match self.orders.get(id) {
                Some((status, kind, quantity)) => {
                    assert!(is_end(status), "{id} is {status}");
                    assert_eq!((kind, *quantity), (&sent.0, sent.1), "{id}");
                }
                None => assert!(self.given_up.contains(id), "order {id} is lost"),
            }
        }
        for id in self.orders.keys() {
            assert!(self.ordered.contains_key(id), "nobody sent order {id}");
        }
        for (id, sent) in &self.supplied {
            match self.delivered.get(id) {
                Some(delivered) => assert_eq!(delivered, sent, "{id}"),
                None => assert!(self.given_up.contains(id), "delivery {id} is lost"),
            }
        }
        for id in self.delivered.keys() {
            assert!(self.supplied.contains_key(id), "nobody sent delivery {id}");
        }
        for place in &self.broken {
            let letter = self.letters.get(place);
            let letter = letter.unwrap_or_else(|| panic!("the message at {place} is lost"));
            // Where each attempt failed on purpose, nobody came so far as to read it.
            let expected = match letter.reason.as_str() {
                "RetriesExhausted" => "errorRate",
                _ => "malformed",
            };
            assert_eq!(letter.injected.as_deref(), Some(expected), "{letter:?}");
            let reasons = ["InvalidMessage", "RetriesExhausted"];
            assert!(reasons.contains(&letter.reason.as_str()), "{letter:?}");
        }
        // What was taken is what was processed, each once; what failed took nothing.
        assert_eq!(self.decreased, self.of_status("processed"));
        // And the stock is what is left.
        for (kind, quantity) in &self.stock {
            let sum = |wood: &Wood| -> i64 {
                let of_kind = wood.values().filter(|(found, _)| found == kind);
                of_kind.map(|(_, quantity)| quantity).sum()
            };
            let left = sum(&self.delivered) - sum(&self.decreased);
            assert_eq!(*quantity, left, "{kind}");
            assert!(*quantity >= 0, "{kind}");
        }
        // What failed on purpose is told from what failed for real, and the other way round.
        for (place, letter) in &self.letters {
            let on_purpose = letter.message.contains("injected by") || self.broken.contains(place);
            assert_eq!(on_purpose, letter.injected.is_some(), "{place}: {letter:?}");
        }
    }

    /// Fails where a part counts other failures as injected than those that it has logged as such.
    pub fn assert_told(&self, logs: &BTreeMap<String, String>) {
        for (name, state) in &self.states {
            let counted = state["observed"]["injected"].as_u64().unwrap();
            let lines = logs[name].lines().map(serde_json::from_str::<Value>);
            let marked = lines.filter(|line| line.as_ref().unwrap()["ordermill.injected"] == true);
            let marked = u64::try_from(marked.count()).unwrap();
            if state["faults"].is_null() {
                assert_eq!(counted, 0, "{name}: a count without a fault");
            }
            // An API logs each once; a message or an order may fail on purpose several times before its end.
            let is_api = ["order", "stock"].contains(&name.as_str());
            let fits = if is_api {
                counted == marked
            } else {
                counted <= marked
            };
            assert!(fits, "{name}: {counted} counted, {marked} logged");
            assert_eq!(
                counted == 0,
                marked == 0,
                "{name}: {counted} counted, {marked} logged"
            );
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for letter in self.letters.values() {
            let injected = letter.injected.as_deref().unwrap_or("for real");
            *reasons.entry((&letter.reason, injected)).or_default() += 1;
        }
        write!(
            formatter,
            "{} orders: {} registered, {} in work, {} processed, {} failed, {} given up; {} deliveries: {} added; dead letters {reasons:?}; stock {:?}",
            self.sent(),
            self.count("registered"),
            self.count("processing"),
            self.count("processed"),
            self.count("failed"),
            self.given_up(),
            self.supplied.len(),
            self.delivered.len(),
            self.stock,
        )
    }
}
