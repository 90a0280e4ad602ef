//! One running workload: its documents, and everything that it shares with the outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ordermill_config::{ResourceReference, TuningDocument, WorkloadDocument};
use tokio_util::sync::CancellationToken;

use crate::kafka::Health;
use crate::state::WorkloadState;
use crate::telemetry::log::WorkloadLog;
use crate::telemetry::{OtlpTarget, Telemetry, TelemetryError, TelemetrySettings, is_disabled};
use crate::tuning::{TuningHandle, describe_change};

/// How long a workload may take to finish what is in flight; a pod's grace period is longer.
const DRAIN: Duration = Duration::from_secs(20);
/// How long telemetry may take to leave after that.
const TELEMETRY_FLUSH: Duration = Duration::from_secs(5);

/// Which of a resource's instances this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Number among the instances, from 0 on.
    pub ordinal: u32,
    /// Name, unique among all instances that ever run, unless a seed makes runs repeatable.
    pub name: String,
}

impl Instance {
    /// The instance of this ordinal of a workload's documents, running on `host` (a pod's name, or a machine's).
    ///
    /// A seeded run is to repeat in everything, so its name does too; a bounded one goes on in its later lives under the
    /// same name; any other is named anew at each start.
    #[must_use]
    pub fn of(document: &WorkloadDocument, ordinal: u32, host: &str) -> Self {
        let producer = document.workload.producer();
        let ResourceReference { name, uid, .. } = &document.resource;
        let name = if producer.is_some_and(|settings| settings.seed.is_some()) {
            format!("{name}-{ordinal}")
        } else if producer.is_some_and(|settings| settings.bounded.is_some()) {
            let run = uid.split('-').next().unwrap_or_default();
            format!("{name}-{run}-{ordinal}")
        } else {
            format!("{host}-{}", Self::unique())
        };
        Self { ordinal, name }
    }

    /// Eight hexadecimal digits that tell one start from all others.
    #[must_use]
    pub fn unique() -> String {
        let mut random = uuid::Uuid::new_v4().simple().to_string();
        random.truncate(8);
        random
    }
}

/// How a workload came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadEnd {
    /// It has done all it was to do.
    Completed,
    /// It was asked to end, and everything was delivered.
    Stopped,
    /// It was asked to end, and this many records could not be delivered in time.
    Undelivered(usize),
}

/// What a workload's code is given.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What it does.
    pub document: Arc<WorkloadDocument>,
    /// What it is tuned by.
    pub tuning: TuningHandle,
    /// What it reports with.
    pub telemetry: Arc<Telemetry>,
    /// What it shows.
    pub state: Arc<WorkloadState>,
    /// What it knows of Kafka.
    pub health: Arc<Health>,
    /// Which instance it is.
    pub instance: Instance,
    /// Asks it to end.
    pub cancelled: CancellationToken,
    /// How long it may take to finish what is in flight.
    pub drain: Duration,
}

impl Workload {
    /// Puts a workload together and starts its telemetry. It must be called inside a tokio runtime. What the document does
    /// not say of telemetry comes from the standard `OTEL_*` variables in `environment`.
    ///
    /// # Errors
    /// When telemetry cannot be set up.
    pub fn start(
        document: WorkloadDocument,
        tuning: TuningHandle,
        instance: Instance,
        environment: &BTreeMap<String, String>,
        cancelled: CancellationToken,
    ) -> Result<Self, TelemetryError> {
        let current = tuning.current();
        let resource = document.resource.clone();
        let log = WorkloadLog::new(&resource.kind, &resource.name, current.tuning.log_level);
        let settings = &document.telemetry;
        let standard = TelemetrySettings::from_env_map(environment, &settings.service_name)?;
        let endpoint = settings
            .endpoint
            .as_ref()
            .filter(|_| !is_disabled(environment));
        let target = endpoint.map(|endpoint| OtlpTarget {
            endpoint: endpoint.clone(),
            protocol: settings.protocol,
            certificate: standard
                .target
                .as_ref()
                .and_then(|it| it.certificate.clone()),
        });
        let mut attributes = standard.attributes;
        for (name, value) in [
            ("service.namespace", &resource.namespace),
            ("service.instance.id", &instance.name),
            ("k8s.namespace.name", &resource.namespace),
            ("ordermill.resource.kind", &resource.kind),
            ("ordermill.resource.name", &resource.name),
        ] {
            attributes.insert(name.to_owned(), value.clone());
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        attributes.insert("service.version".to_owned(), version);
        let telemetry = Telemetry::start(
            &TelemetrySettings {
                target,
                attributes,
                sampling_ratio: current.tuning.trace_sampling,
                metric_interval: standard.metric_interval,
                ..TelemetrySettings::new(&settings.service_name)
            },
            log,
        )?;
        let telemetry = Arc::new(telemetry);
        let health = Arc::new(Health::default());
        let counters = Arc::clone(telemetry.counters());
        let name = instance.name.clone();
        let state = WorkloadState::new(resource, name, counters, Arc::clone(&health));
        state.set_version(current.version());
        Ok(Self {
            document: Arc::new(document),
            tuning,
            telemetry,
            state: Arc::new(state),
            health,
            instance,
            cancelled,
            drain: DRAIN,
        })
    }

    /// Takes over what every kind of workload is tuned by, and logs what a new tuning changes. When all of it is in force,
    /// [`WorkloadState::set_version`] says so.
    pub fn retune(&self, before: &TuningDocument, after: &TuningDocument) {
        let change = describe_change(&before.tuning, &after.tuning);
        let change = if change.is_empty() {
            "nothing that concerns this instance"
        } else {
            &change
        };
        // Only an operator raises it, so by hand it would be noise.
        let revision = Some(after.revision).filter(|revision| *revision > 0);
        tracing::info!(generation = after.generation, revision, "tuned: {change}");
        self.follow(after);
    }

    /// Takes over what every kind of workload is tuned by.
    pub(crate) fn follow(&self, document: &TuningDocument) {
        self.telemetry.log().set_level(document.tuning.log_level);
        self.telemetry
            .set_sampling_ratio(document.tuning.trace_sampling);
    }

    /// Lets telemetry leave, and says what did not.
    pub async fn flush_telemetry(&self) {
        let lost = self.telemetry.shutdown(TELEMETRY_FLUSH).await;
        if !lost.is_nothing() {
            self.telemetry.log().in_scope(|| {
                tracing::warn!(
                    spans = lost.spans,
                    metric_points = lost.metric_points,
                    log_records = lost.log_records,
                    "telemetry that was not delivered"
                );
            });
        }
    }
}
