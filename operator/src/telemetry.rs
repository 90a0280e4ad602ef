//! What the operator tells of itself: log lines in JSON, and its reconciles as traces over OTLP where an endpoint is set.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _};

/// The variables of the OpenTelemetry specification that switch traces on.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refuses its settings.
    #[error("traces cannot be exported")]
    Exporter(#[source] ExporterBuildError),
    /// There is a subscriber already.
    #[error("the log cannot be set up")]
    Log(#[source] TryInitError),
}

/// Lets what waits leave when it is shut down.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sets up log and traces for the process; `RUST_LOG` filters the log.
    ///
    /// # Errors
    /// When an exporter cannot be made, or the log is set up already.
    pub fn start() -> Result<Self, TelemetryError> {
        let filter = EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .from_env_lossy();
        // What the client complains of comes to us as an error, and is told once, with what it is about.
        let quiet = "kube_client=off".parse().ok();
        let is_asked_for = std::env::var("RUST_LOG").is_ok_and(|it| it.contains("kube_client"));
        let filter = match quiet.filter(|_| !is_asked_for) {
            Some(quiet) => filter.add_directive(quiet),
            None => filter,
        };
        let log = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter);
        let provider = provider()?;
        let traces = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("ordermill-operator"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                // Libraries below have spans of their own at level DEBUG, far more than anybody reads.
                .with_filter(LevelFilter::INFO)
        });
        tracing_subscriber::registry()
            .with(log)
            .with(traces)
            .try_init()
            .map_err(TelemetryError::Log)?;
        Ok(Self(provider))
    }

    /// Lets what waits leave.
    pub fn shut_down(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

fn provider() -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(is_set) {
        return Ok(None);
    }
    // Endpoint, protocol and headers come from the specification's variables.
    let exporter = SpanExporter::builder()
        .with_tonic()
        .build()
        .map_err(TelemetryError::Exporter)?;
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder()
        .with_service_name("ordermill-operator")
        .with_attribute(version)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}
