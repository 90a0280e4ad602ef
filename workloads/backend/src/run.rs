//! A backend from its start to its end.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use ordermill_config::{
    BackendSettings, BackendTuning, TroubleReason, Tuning, WorkloadSettings, full_error,
};
use ordermill_crds::BackendApp;
use ordermill_runtime::faults::{BackendFault, Declared, FaultTable, backend_faults};
use ordermill_runtime::kafka::Health;
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Tuned, Workload, WorkloadEnd};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use utoipa::openapi::OpenApi;

use crate::answer::{Desk, Live, answer};
use crate::api::{BODY_LIMIT, with_common_routes};
use crate::database::{Database, DatabaseError, DatabaseUrl};
use crate::gate::{Gate, GatedListener};
use crate::order::{self, store::OrderStore};
use crate::stock::{self, store::StockStore};

/// Time between two looks at the database.
const LOOK: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted, as many as tokio's own listeners have.
const BACKLOG: u32 = 1024;

/// Where a backend is.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The address that its API listens at, with the port of its settings.
    pub address: IpAddr,
    /// `DATABASE_URL`; without one, the data is in a file of the settings' folder.
    pub database_url: Option<String>,
}

/// Why a backend cannot run at all. Troubles that may pass are not among them: they are shown and waited out.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The documents do not describe a backend.
    #[error("the documents do not describe a backend: {0} is missing")]
    Documents(&'static str),
    /// This version has no such app.
    #[error("this version serves no {0} yet")]
    Unsupported(&'static str),
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Database(#[from] DatabaseError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for the API")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("the API cannot be served")]
    Serve(#[source] std::io::Error),
    /// A part of it broke down.
    #[error("a part of the backend broke down")]
    Broken(#[from] tokio::task::JoinError),
}

/// Serves an API until it is asked to end.
///
/// # Errors
/// When its documents, its database or its address cannot be used at all.
pub async fn run_backend(
    workload: Workload,
    surroundings: Surroundings,
) -> Result<WorkloadEnd, BackendError> {
    let span = workload.telemetry.log().span();
    run(workload, surroundings).instrument(span).await
}

async fn run(workload: Workload, surroundings: Surroundings) -> Result<WorkloadEnd, BackendError> {
    let document = Arc::clone(&workload.document);
    let WorkloadSettings::Backend(settings) = &document.workload else {
        return Err(BackendError::Documents("backend settings"));
    };
    let gate = Gate::default();
    let mut controls = Controls::new(&workload, |tuning| LiveSender::new(tuning, gate.clone()))
        .ok_or(BackendError::Documents("backend tuning"))?;
    let url = database_url(settings, surroundings.database_url.as_deref())?;
    // First of all, so that an address that is taken is told at once.
    let address = SocketAddr::new(surroundings.address, settings.port);
    let listen = |source| BackendError::Listen { address, source };
    let socket = bound(address).map_err(listen)?;
    let opened = open(settings.app, &url, &mut controls).await?;
    let Some(Api {
        router,
        openapi,
        database,
    }) = opened
    else {
        workload.state.set_phase(Phase::Stopped);
        return Ok(WorkloadEnd::Stopped);
    };
    // Until here connections are refused: callers learn at once that nobody answers yet.
    let listener = socket.listen(BACKLOG).map_err(listen)?;
    let listener = GatedListener::new(listener, &gate).map_err(listen)?;
    let address = listener.address();
    let desk = Arc::new(Desk::new(
        workload.clone(),
        controls.tuned.live.subscribe(),
        gate,
    ));
    let router = router
        .route_layer(from_fn_with_state(desk, answer))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let router = with_common_routes(router, &openapi, database.clone());
    tracing::info!(generation = workload.state.version().generation, %address, app = ?settings.app, "the backend serves");
    controls.begin();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(workload.cancelled.clone().cancelled_owned());
    let mut serving = tokio::spawn(serving.into_future());
    let looking = watch_database(database.clone(), Arc::clone(&workload.health));
    let looking = AbortOnDropHandle::new(tokio::spawn(looking.in_current_span()));
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            served = &mut serving => {
                served?.map_err(BackendError::Serve)?;
                break;
            }
            () = workload.cancelled.cancelled() => {
                workload.state.set_phase(Phase::Stopping);
                if let Ok(served) = tokio::time::timeout(workload.drain, &mut serving).await {
                    served?.map_err(BackendError::Serve)?;
                } else {
                    tracing::warn!("requests are cut off that took too long");
                    serving.abort();
                }
                break;
            }
            () = controls.changed() => controls.apply(),
            _ = second.tick() => controls.observe(),
        }
    }
    drop(looking);
    database.close().await;
    workload.state.set_phase(Phase::Stopped);
    tracing::info!("the backend has stopped");
    Ok(WorkloadEnd::Stopped)
}

/// A socket that has its address and takes no connection yet.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a process that ended shortly before do not hold the address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Tells whether the database answers. Apart from what follows the tuning: an answer may take its time.
async fn watch_database(database: Database, health: Arc<Health>) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        match database.ping().await {
            Ok(()) => health.working(),
            Err(error) => {
                health.report(TroubleReason::DatabaseUnreachable, full_error(&error));
            }
        }
    }
}

/// Where the data of a backend is: as somebody says, or in a file.
///
/// # Errors
/// When the URL is of no database that can be used, or there is neither.
pub fn database_url(
    settings: &BackendSettings,
    given: Option<&str>,
) -> Result<DatabaseUrl, BackendError> {
    if let Some(given) = given {
        return Ok(DatabaseUrl::parse(given)?);
    }
    let storage = settings.storage.as_ref();
    let folder = storage.map(|storage| storage.folder.as_path());
    let folder: &Path = folder.ok_or(BackendError::Documents("DATABASE_URL"))?;
    let name = match settings.app {
        BackendApp::Order => "order.db",
        BackendApp::Stock => "stock.db",
        BackendApp::Customer => "customer.db",
    };
    Ok(DatabaseUrl::file(folder, name))
}

/// An API that is ready to serve.
struct Api {
    router: Router,
    openapi: OpenApi,
    database: Database,
}

impl Api {
    async fn open(app: BackendApp, url: &DatabaseUrl) -> Result<Self, BackendError> {
        match app {
            BackendApp::Order => {
                let store = OrderStore::open(url).await?;
                Ok(Self {
                    database: store.database().clone(),
                    router: order::router(store),
                    openapi: order::openapi(),
                })
            }
            BackendApp::Stock => {
                let store = StockStore::open(url).await?;
                Ok(Self {
                    database: store.database().clone(),
                    router: stock::router(store),
                    openapi: stock::openapi(),
                })
            }
            BackendApp::Customer => Err(BackendError::Unsupported("Backend with app Customer")),
        }
    }
}

/// Waits until the database is there; `None`: asked to end before that.
async fn open(
    app: BackendApp,
    url: &DatabaseUrl,
    controls: &mut Controls,
) -> Result<Option<Api>, BackendError> {
    let unreachable = |error: &BackendError| match error {
        BackendError::Database(error) => error
            .may_pass()
            .then_some(TroubleReason::DatabaseUnreachable),
        _ => None,
    };
    controls
        .until_ready(|| Api::open(app, url), unreachable)
        .await
}

/// The live part of a backend: what its requests are answered by.
type Controls = ordermill_runtime::Controls<LiveSender>;

/// Tells the requests of an edit, and the listener of the end of a fault.
struct LiveSender {
    live: watch::Sender<Live>,
    gate: Gate,
}

impl LiveSender {
    fn new(tuning: &Tuning, gate: Gate) -> Option<Self> {
        let live = Live {
            paused: tuning.paused,
            faults: FaultTable::new(declared(tuning)?, Instant::now()),
        };
        Some(Self {
            live: watch::Sender::new(live),
            gate,
        })
    }
}

impl Tuned for LiveSender {
    fn retune(&mut self, tuning: &Tuning, now: Instant) {
        self.live.send_modify(|live| {
            live.paused = tuning.paused;
            if let Some(declared) = declared(tuning) {
                live.faults = live.faults.retuned(declared, now);
            }
        });
        if !self.live.borrow().faults.may_hit(BackendFault::Unavailable) {
            self.gate.open();
        }
    }
}

fn declared(tuning: &Tuning) -> Option<Vec<(BackendFault, Declared)>> {
    let BackendTuning { faults } = tuning.backend.as_ref()?;
    Some(backend_faults(tuning.error_rate, faults))
}
