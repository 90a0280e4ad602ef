//! A worker in this process, between an order and a stock API of its own, each on a database in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use ordermill_backend::database::DatabaseUrl;
use ordermill_backend::order::model::{NewOrder, Order, OrderStatus};
use ordermill_backend::order::store::OrderStore;
use ordermill_backend::stock::model::Delivery;
use ordermill_backend::stock::store::StockStore;
use ordermill_backend::{order, stock};
use ordermill_config::{
    BackendRole, Documents, Placement, ResourceReference, TelemetrySettings, TuningDocument,
    worker_documents,
};
use ordermill_events::wood::WoodType;
use ordermill_runtime::state::WorkloadState;
use ordermill_runtime::tuning::TuningHandle;
use ordermill_runtime::{Instance, Workload, WorkloadEnd};
use ordermill_worker::{WorkerError, run_worker};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What an API does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Fine,
    /// It does what it is asked for and says that it failed.
    LosesAnswers,
    /// It answers when it is fine again.
    Waits,
    /// Something else answers at its address, and goes on with it on connections that were made meanwhile.
    IsAnother,
}

/// One API's listener.
struct Listener {
    url: String,
    mood: watch::Sender<Mood>,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Listener {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mood = watch::Sender::new(Mood::Fine);
        let requests = Arc::default();
        let desk = Desk {
            mood: mood.subscribe(),
            requests: Arc::clone(&requests),
            led_astray: Arc::default(),
        };
        let router = router.layer(from_fn_with_state(desk, in_mood));
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            mood,
            requests,
            serving,
        }
    }
}

/// What the requests of a listener share.
#[derive(Clone)]
struct Desk {
    mood: watch::Receiver<Mood>,
    requests: Arc<AtomicUsize>,
    /// Who is connected to something else, for as long as the connection lasts.
    led_astray: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

async fn in_mood(
    State(mut desk): State<Desk>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    desk.requests.fetch_add(1, Ordering::Relaxed);
    let mood = &mut desk.mood;
    if *mood.borrow() == Mood::IsAnother {
        desk.led_astray.lock().unwrap().insert(caller);
    }
    if desk.led_astray.lock().unwrap().contains(&caller) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if *mood.borrow() == Mood::Waits {
        _ = mood.wait_for(|mood| *mood != Mood::Waits).await;
    }
    let response = next.run(request).await;
    let mood = *mood.borrow();
    match mood {
        Mood::LosesAnswers => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Fine | Mood::Waits | Mood::IsAnother => response,
    }
}

/// Both APIs.
pub struct Shop {
    pub orders: OrderStore,
    pub stocks: StockStore,
    order_api: Listener,
    stock_api: Listener,
    _folder: TempDir,
}

/// The id of the order of this number.
pub fn id(number: usize) -> Uuid {
    format!("0192f0c1-2d3e-7f00-8000-{number:012}")
        .parse()
        .unwrap()
}

impl Shop {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name| DatabaseUrl::file(folder.path(), name);
        let orders = OrderStore::open(&url("order.db")).await.unwrap();
        let stocks = StockStore::open(&url("stock.db")).await.unwrap();
        Self {
            order_api: Listener::start(order::api(orders.clone())).await,
            stock_api: Listener::start(stock::api(stocks.clone())).await,
            orders,
            stocks,
            _folder: folder,
        }
    }

    /// Orders of this kind of wood, two of it each.
    pub async fn order(&self, wood_type: WoodType, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            let order = NewOrder {
                order_id: id(number),
                customer_id: "CUST-0001".to_owned(),
                wood_type,
                quantity: 2,
                timestamp: Timestamp::UNIX_EPOCH,
            };
            let registered = self.orders.register(&order, None, Timestamp::now());
            registered.await.unwrap();
        }
    }

    pub async fn deliver(&self, wood_type: WoodType, quantity: i64) {
        let delivery = Delivery {
            delivery_id: Uuid::new_v4(),
            supplier_id: "SUPP-001".to_owned(),
            wood_type,
            quantity,
            timestamp: Timestamp::UNIX_EPOCH,
        };
        self.stocks.add(&delivery, Timestamp::now()).await.unwrap();
    }

    pub async fn stock_of(&self, wood_type: WoodType) -> i64 {
        self.stocks.get(wood_type).await.unwrap().unwrap().quantity
    }

    pub async fn order_of(&self, number: usize) -> Order {
        let order = self.orders.get(id(number), Timestamp::now()).await.unwrap();
        order.unwrap()
    }

    /// How many orders are so.
    pub async fn count(&self, status: OrderStatus) -> usize {
        let page = self
            .orders
            .page(Some(status), None, 10_000, Timestamp::now());
        page.await.unwrap().len()
    }

    /// Waits until so many orders are so.
    pub async fn until(&self, status: OrderStatus, count: usize) {
        eventually(&format!("{count} orders that are {status}"), async || {
            self.count(status).await == count
        })
        .await;
    }

    pub fn stock_api(&self, mood: Mood) {
        self.stock_api.mood.send_replace(mood);
    }

    pub fn order_api(&self, mood: Mood) {
        self.order_api.mood.send_replace(mood);
    }

    /// Requests that came to the order API so far.
    pub fn order_requests(&self) -> usize {
        self.order_api.requests.load(Ordering::Relaxed)
    }

    /// Requests that came to the stock API so far.
    pub fn stock_requests(&self) -> usize {
        self.stock_api.requests.load(Ordering::Relaxed)
    }

    /// A worker whose spec has these fields besides its task.
    pub fn worker(&self, spec: &Value) -> Worker {
        let urls = [
            (BackendRole::Order, self.order_api.url.clone()),
            (BackendRole::Stock, self.stock_api.url.clone()),
        ];
        Worker::start(urls.into(), spec)
    }
}

/// A worker that runs.
pub struct Worker {
    tuning: TuningHandle,
    pub state: Arc<WorkloadState>,
    pub cancelled: CancellationToken,
    backends: BTreeMap<BackendRole, String>,
    running: JoinHandle<Result<WorkloadEnd, WorkerError>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Worker {
    pub fn start(backends: BTreeMap<BackendRole, String>, spec: &Value) -> Self {
        let Documents { workload, tuning } = documents(&backends, 1, spec);
        let tuning = TuningHandle::new(tuning);
        let cancelled = CancellationToken::new();
        let instance = Instance {
            ordinal: 0,
            name: format!("worker-{}", Instance::unique()),
        };
        let workload = Workload::start(
            workload,
            tuning.clone(),
            instance,
            &BTreeMap::new(),
            cancelled.clone(),
        )
        .unwrap();
        Self {
            tuning,
            state: Arc::clone(&workload.state),
            cancelled,
            backends,
            running: tokio::spawn(run_worker(workload)),
        }
    }

    /// Edits the tunable part of its spec, and waits until it is in force.
    pub async fn edit(&self, spec: &Value) {
        let generation = self.tuning.current().generation + 1;
        let tuning: TuningDocument = documents(&self.backends, generation, spec).tuning;
        let version = tuning.version();
        self.tuning.offer(tuning).unwrap();
        assert_eq!(self.state.running_with(version, PATIENCE).await, version);
    }

    /// Waits until its numbers are as `wanted`.
    pub async fn until(&self, what: &str, wanted: impl Fn(&ordermill_config::StateReport) -> bool) {
        eventually(what, async || wanted(&self.state.report())).await;
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> WorkloadEnd {
        self.cancelled.cancel();
        let ended = tokio::time::timeout(PATIENCE, &mut self.running).await;
        ended.unwrap().unwrap().unwrap()
    }
}

fn documents(backends: &BTreeMap<BackendRole, String>, generation: i64, spec: &Value) -> Documents {
    let mut whole = json!({"task": "OrderManagement", "errorRate": 0});
    let fields = whole.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    let placement = Placement {
        resource: ResourceReference {
            kind: "Worker".to_owned(),
            namespace: "shop".to_owned(),
            name: "ordermanagement".to_owned(),
            uid: "uid".to_owned(),
        },
        generation,
        revision: 0,
        kafka: None,
        telemetry: TelemetrySettings::default(),
        create_topics: false,
        backends: backends.clone(),
    };
    worker_documents(&serde_json::from_value(whole).unwrap(), placement)
}

/// Waits for a condition.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "{what}: in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
