//! A backend from its start to its end.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use ordermill_config::{
    BackendSettings, BackendTuning, TroubleReason, Tuning, TuningDocument, WorkloadSettings,
    full_error,
};
use ordermill_crds::BackendApp;
use ordermill_runtime::faults::{BackendFault, Declared, FaultTable, backend_faults};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::Instrument as _;
use utoipa::openapi::OpenApi;

use crate::answer::{Desk, Live, answer};
use crate::api::{BODY_LIMIT, with_common_routes};
use crate::database::{Database, DatabaseError, DatabaseUrl};
use crate::gate::{Gate, GatedListener};
use crate::order::{self, store::OrderStore};
use crate::stock::{self, store::StockStore};

/// Time between attempts to open the database, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
/// Time between two looks at the database, and between two samples of the rate.
const LOOK: Duration = Duration::from_secs(1);

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
    let mut controls = Controls::new(&workload)?;
    let url = database_url(settings, surroundings.database_url.as_deref())?;
    // First of all, so that an address that is taken is told at once.
    let address = SocketAddr::new(surroundings.address, settings.port);
    let listen = |source| BackendError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let gate = Gate::default();
    let listener = GatedListener::new(listener, &gate).map_err(listen)?;
    let address = listener.address();
    let opened = open(&workload, settings.app, &url, &mut controls).await?;
    let Some(Api {
        router,
        openapi,
        database,
    }) = opened
    else {
        workload.state.set_phase(Phase::Stopped);
        return Ok(WorkloadEnd::Stopped);
    };
    let desk = Arc::new(Desk::new(workload.clone(), controls.live.subscribe(), gate));
    let router = router
        .route_layer(from_fn_with_state(desk, answer))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let router = with_common_routes(router, &openapi, database.clone());
    tracing::info!(generation = workload.state.version().generation, %address, app = ?settings.app, "the backend serves");
    controls.begin();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(workload.cancelled.clone().cancelled_owned());
    let mut serving = tokio::spawn(serving.into_future());
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            _ = look.tick() => {
                workload.state.sample();
                match database.ping().await {
                    Ok(()) => workload.health.working(),
                    Err(error) => workload.health.report(TroubleReason::DatabaseUnreachable, full_error(&error)),
                }
            }
        }
    }
    database.close().await;
    workload.state.set_phase(Phase::Stopped);
    tracing::info!("the backend has stopped");
    Ok(WorkloadEnd::Stopped)
}

/// Where the data is: as somebody says, or in a file.
fn database_url(
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
    workload: &Workload,
    app: BackendApp,
    url: &DatabaseUrl,
    controls: &mut Controls,
) -> Result<Option<Api>, BackendError> {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let Some(opened) = controls.follow_during(Api::open(app, url)).await else {
            return Ok(None);
        };
        match opened {
            Ok(api) => {
                workload.health.working();
                return Ok(Some(api));
            }
            Err(BackendError::Database(error)) if error.may_pass() => {
                workload
                    .health
                    .report(TroubleReason::DatabaseUnreachable, full_error(&error));
            }
            Err(error) => return Err(error),
        }
        if controls
            .follow_during(tokio::time::sleep(backoff))
            .await
            .is_none()
        {
            return Ok(None);
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// The live part of a backend.
struct Controls {
    workload: Workload,
    changes: watch::Receiver<Arc<TuningDocument>>,
    running: Arc<TuningDocument>,
    begun: bool,
    live: watch::Sender<Live>,
}

impl Controls {
    fn new(workload: &Workload) -> Result<Self, BackendError> {
        let mut changes = workload.tuning.subscribe();
        let running = Arc::clone(&changes.borrow_and_update());
        let declared =
            declared(&running.tuning).ok_or(BackendError::Documents("backend tuning"))?;
        let live = Live {
            paused: running.tuning.paused,
            faults: FaultTable::new(declared, Instant::now()),
        };
        let controls = Self {
            workload: workload.clone(),
            changes,
            running,
            begun: false,
            live: watch::Sender::new(live),
        };
        controls.show_phase();
        Ok(controls)
    }

    fn begin(&mut self) {
        self.begun = true;
        self.show_phase();
    }

    /// Waits for another tuning. It never ends where no more can come.
    async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the newest tuning over, whole; shows its generation when it is in force.
    fn apply(&mut self) {
        let document = Arc::clone(&self.changes.borrow_and_update());
        self.workload.retune(&self.running, &document);
        self.live.send_modify(|live| {
            live.paused = document.tuning.paused;
            if let Some(declared) = declared(&document.tuning) {
                live.faults = live.faults.retuned(declared, Instant::now());
            }
        });
        self.running = document;
        self.show_phase();
        self.workload.state.set_version(self.running.version());
    }

    fn show_phase(&self) {
        self.workload
            .state
            .set_phase(if self.running.tuning.paused {
                Phase::Paused
            } else if self.begun {
                Phase::Running
            } else {
                Phase::Starting
            });
    }

    /// Does what comes before there is anything to serve, while following the tuning; `None`: asked to end meanwhile.
    async fn follow_during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let cancelled = self.workload.cancelled.clone();
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return None,
                result = &mut work => return Some(result),
                () = self.changed() => self.apply(),
            }
        }
    }
}

fn declared(tuning: &Tuning) -> Option<Vec<(BackendFault, Declared)>> {
    let BackendTuning { faults } = tuning.backend.as_ref()?;
    Some(backend_faults(tuning.error_rate, faults))
}
