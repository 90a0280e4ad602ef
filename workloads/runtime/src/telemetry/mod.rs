//! What a workload tells the world: spans, metrics and logs over OTLP, and lines.
//!
//! One process may run many workloads, so each has a [`Telemetry`] of its own, with its own resource, counters, sampling
//! ratio and exporters; the process shares only the subscriber that [`log::init`] installs. Several hundred thousand
//! events a second must pass, so counting is atomics, and a span costs nothing unless it is kept.

mod counters;
mod exporter;
pub mod log;
mod metrics;
pub mod names;
mod outcome;
mod pipeline;
mod settings;
mod span;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::LogExporter;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanExporter;
use ordermill_crds::values::Fraction;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use self::counters::{Counters, CountersSnapshot, LatenessSnapshot, Membership};
use self::exporter::{EXPORT_TIMEOUT, ExportHealth, ExportWatch, Exporters, Signal};
pub use self::exporter::{ExporterError, OtlpTarget};
use self::log::WorkloadLog;
pub use self::metrics::{ConsumeMetrics, SendMetrics, WorkloadMetrics};
pub use self::outcome::Outcome;
use self::pipeline::Pipelines;
pub use self::settings::{SettingsError, TelemetrySettings, is_disabled};
pub use self::span::{FinishedSpan, ParentSpan, SpanRecorder};
pub use self::trace::{SamplingRatio, TraceContext, Traceparent, TraceparentError};

/// The telemetry of one workload.
#[derive(Debug)]
pub struct Telemetry {
    log: WorkloadLog,
    sampling: SamplingRatio,
    spans: SpanRecorder,
    metrics: WorkloadMetrics,
    pipelines: Option<Pipelines>,
}

impl Telemetry {
    /// Starts exporting to the target of `settings`, and what is logged to `log` with it; without a target, only counts.
    ///
    /// The collector need not be there. With a target, it must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The exporters cannot be built from the settings, or there is no runtime.
    pub fn start(settings: &TelemetrySettings, log: WorkloadLog) -> Result<Self, TelemetryError> {
        let Some(target) = &settings.target else {
            return Ok(Self::without_export(settings, log));
        };
        let runtime = Handle::try_current().map_err(TelemetryError::Runtime)?;
        let exporters = exporter::build(target)?;
        let endpoint = target.endpoint.as_str();
        Ok(Self::with_exporters(
            settings, log, runtime, endpoint, exporters,
        ))
    }

    fn without_export(settings: &TelemetrySettings, log: WorkloadLog) -> Self {
        let provider = SdkMeterProvider::builder().build();
        Self {
            log,
            sampling: SamplingRatio::new(settings.sampling_ratio),
            spans: SpanRecorder::new(None),
            metrics: WorkloadMetrics::register(&provider, &Arc::default()),
            pipelines: None,
        }
    }

    fn with_exporters<S, M, L>(
        settings: &TelemetrySettings,
        log: WorkloadLog,
        runtime: Handle,
        endpoint: &str,
        exporters: Exporters<S, M, L>,
    ) -> Self
    where
        S: SpanExporter + 'static,
        M: PushMetricExporter,
        L: LogExporter + 'static,
    {
        let watch = ExportWatch {
            runtime,
            health: Arc::new(ExportHealth::new(
                endpoint,
                log.clone(),
                Arc::clone(&exporters.network_cause),
                2 * settings.metric_interval + EXPORT_TIMEOUT,
            )),
            dropped: Arc::default(),
            abandon: CancellationToken::new(),
        };
        let pipelines = Pipelines::start(
            exporters,
            &settings.resource(),
            settings.metric_interval,
            &watch,
        );
        log.export_to(Some(pipelines.logger()));
        Self {
            log,
            sampling: SamplingRatio::new(settings.sampling_ratio),
            spans: SpanRecorder::new(Some(Arc::clone(&pipelines.spans))),
            metrics: WorkloadMetrics::register(&pipelines.metrics, &watch.dropped),
            pipelines: Some(pipelines),
        }
    }

    /// Begins a trace of its own and decides by the ratio of now whether it is sampled.
    #[must_use]
    pub fn new_trace(&self) -> TraceContext {
        TraceContext::root(&self.sampling)
    }

    /// Changes the share of traces that are sampled, for those that begin from now on.
    pub fn set_sampling_ratio(&self, ratio: Fraction) {
        self.sampling.set(ratio);
    }

    /// Takes finished spans.
    #[must_use]
    pub const fn spans(&self) -> &SpanRecorder {
        &self.spans
    }

    /// The instruments, for durations.
    #[must_use]
    pub const fn metrics(&self) -> &WorkloadMetrics {
        &self.metrics
    }

    /// The exact numbers.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        self.metrics.counters()
    }

    /// The workload's log.
    #[must_use]
    pub const fn log(&self) -> &WorkloadLog {
        &self.log
    }

    /// What was not delivered so far; what still waits counts too.
    #[must_use]
    pub fn not_delivered(&self) -> NotDelivered {
        let count = |signal| {
            self.pipelines
                .as_ref()
                .map_or(0, |it| it.not_delivered(signal))
        };
        NotDelivered {
            spans: count(Signal::Traces),
            metric_points: count(Signal::Metrics),
            log_records: count(Signal::Logs),
        }
    }

    /// Exports what waits and the counters as they stand, for at most about `deadline`, and says what did not get out.
    ///
    /// Afterwards spans are dropped and log lines are no longer exported. A second call does nothing more.
    pub async fn shutdown(&self, deadline: Duration) -> NotDelivered {
        self.log.export_to(None);
        if let Some(pipelines) = &self.pipelines {
            pipelines.shutdown(deadline).await;
        }
        self.not_delivered()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The log may outlive this, and would keep the exporting thread alive.
        self.log.export_to(None);
    }
}

/// What was dropped or is still on its way, by signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotDelivered {
    /// Finished spans.
    pub spans: u64,
    /// Points of metrics; their values are cumulative, so a later export makes up for them.
    pub metric_points: u64,
    /// Log records.
    pub log_records: u64,
}

impl NotDelivered {
    /// Whether everything got out.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Exporting needs a runtime for its connections.
    #[error("telemetry must be started inside a tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
    /// A standard variable holds what it must not.
    #[error("a variable of OpenTelemetry cannot be used")]
    Settings(#[from] SettingsError),
    /// The exporters cannot be built.
    #[error("telemetry cannot be exported")]
    Exporter(#[from] ExporterError),
}

#[cfg(test)]
mod tests;
