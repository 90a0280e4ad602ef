//! The SDK's parts of one workload, put together so that nothing waits and nothing is lost uncounted.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{LoggerProvider as _, Severity};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatchConfig, BatchLogProcessor, LogExporter, LogProcessor,
    SdkLogRecord, SdkLogger, SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfig, BatchSpanProcessor, SpanExporter, SpanProcessor as _,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::exporter::{Backlog, Dropped, ExportWatch, Exporters, Signal, Watched};
use super::names;
use super::span::SpanPipeline;

/// Finished spans that wait at most: a few megabytes.
const SPAN_CAPACITY: usize = 8192;
/// Spans in one export: well below the 4 MiB that collectors take over gRPC.
const SPAN_BATCH: usize = 1024;
/// Log records that wait at most.
const LOG_CAPACITY: usize = 4096;
/// Log records in one export.
const LOG_BATCH: usize = 512;
/// How long a span or log record waits for company.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// How long threads get to come back after what they wait for was abandoned.
const GRACE: Duration = Duration::from_millis(500);

/// Everything that exports for one workload.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) spans: Arc<SpanPipeline>,
    logs: SdkLoggerProvider,
    log_backlog: Arc<Backlog>,
    pub(super) metrics: SdkMeterProvider,
    dropped: Arc<Dropped>,
    abandon: CancellationToken,
}

impl Pipelines {
    /// Starts the exporting threads.
    pub(super) fn start<S, M, L>(
        exporters: Exporters<S, M, L>,
        resource: &Resource,
        metric_interval: Duration,
        watch: &ExportWatch,
    ) -> Self
    where
        S: SpanExporter + 'static,
        M: PushMetricExporter,
        L: LogExporter + 'static,
    {
        let Exporters {
            spans,
            metrics,
            logs,
            ..
        } = exporters;
        let log_backlog = Arc::new(Backlog::new(LOG_CAPACITY));
        Self {
            spans: Arc::new(start_spans(spans, resource, watch)),
            logs: start_logs(logs, resource, watch, &log_backlog),
            log_backlog,
            metrics: SdkMeterProvider::builder()
                .with_resource(resource.clone())
                .with_reader(
                    PeriodicReader::builder(Watched::new(
                        metrics,
                        Signal::Metrics,
                        watch.clone(),
                        None,
                    ))
                    .with_interval(metric_interval)
                    .build(),
                )
                .build(),
            dropped: Arc::clone(&watch.dropped),
            abandon: watch.abandon.clone(),
        }
    }

    /// What log events are handed to.
    pub(super) fn logger(&self) -> SdkLogger {
        self.logs.logger(names::SCOPE)
    }

    /// Exports what waits, the numbers of now included, for at most `deadline`, and ends all threads.
    pub(super) async fn shutdown(&self, deadline: Duration) {
        self.close();
        // The SDK's calls block, and a runtime waits for its own blocking threads before it ends.
        let (spans, logs, metrics) = (
            Arc::clone(&self.spans),
            self.logs.clone(),
            self.metrics.clone(),
        );
        let patience = deadline + GRACE;
        let ended = [
            on_a_thread(move || spans.processor.shutdown_with_timeout(patience)),
            on_a_thread(move || logs.shutdown_with_timeout(patience)),
            on_a_thread(move || metrics.shutdown_with_timeout(patience)),
        ];
        let mut all = std::pin::pin!(futures::future::join_all(ended));
        if tokio::time::timeout(deadline, &mut all).await.is_err() {
            self.abandon.cancel();
            // Whoever is not back by then is not waited for; what it held is counted as waiting.
            _ = tokio::time::timeout(GRACE, all).await;
        }
    }

    /// Items of `signal` that were dropped or still wait: after [`shutdown`](Self::shutdown), what was lost.
    pub(super) fn not_delivered(&self, signal: Signal) -> u64 {
        let waiting = match signal {
            Signal::Traces => self.spans.backlog.waiting(),
            Signal::Logs => self.log_backlog.waiting(),
            Signal::Metrics => 0,
        };
        self.dropped.get(signal) + waiting as u64
    }

    fn close(&self) {
        self.spans.backlog.close();
        self.log_backlog.close();
    }
}

impl Drop for Pipelines {
    fn drop(&mut self) {
        self.close();
        // The providers flush when they are dropped, which must not take long here.
        self.abandon.cancel();
    }
}

fn start_spans(
    exporter: impl SpanExporter + 'static,
    resource: &Resource,
    watch: &ExportWatch,
) -> SpanPipeline {
    let backlog = Arc::new(Backlog::new(SPAN_CAPACITY));
    let watched = Watched::new(
        exporter,
        Signal::Traces,
        watch.clone(),
        Some(Arc::clone(&backlog)),
    );
    let config = SpanBatchConfig::default()
        .with_max_queue_size(SPAN_CAPACITY)
        .with_max_export_batch_size(SPAN_BATCH)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let mut processor = BatchSpanProcessor::builder(watched)
        .with_batch_config(config)
        .build();
    processor.set_resource(resource);
    SpanPipeline {
        processor,
        backlog,
        dropped: Arc::clone(&watch.dropped),
    }
}

fn start_logs(
    exporter: impl LogExporter + 'static,
    resource: &Resource,
    watch: &ExportWatch,
    backlog: &Arc<Backlog>,
) -> SdkLoggerProvider {
    let watched = Watched::new(
        exporter,
        Signal::Logs,
        watch.clone(),
        Some(Arc::clone(backlog)),
    );
    let config = LogBatchConfig::default()
        .with_max_queue_size(LOG_CAPACITY)
        .with_max_export_batch_size(LOG_BATCH)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let gated = GatedLogs {
        processor: BatchLogProcessor::builder(watched)
            .with_batch_config(config)
            .build(),
        backlog: Arc::clone(backlog),
        dropped: Arc::clone(&watch.dropped),
    };
    SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_log_processor(gated)
        .build()
}

/// Lets into the SDK's queue what has a place there, and counts what has not.
#[derive(Debug)]
struct GatedLogs {
    processor: BatchLogProcessor,
    backlog: Arc<Backlog>,
    dropped: Arc<Dropped>,
}

impl LogProcessor for GatedLogs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let must_keep = record
            .severity_number()
            .is_some_and(|severity| severity >= Severity::Warn);
        if self.backlog.admit(must_keep) {
            self.processor.emit(record, scope);
        } else {
            self.dropped.add(Signal::Logs, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// Runs `work` on a thread of its own. Its result says nothing that the counts do not say.
fn on_a_thread(
    work: impl FnOnce() -> OTelSdkResult + Send + 'static,
) -> oneshot::Receiver<OTelSdkResult> {
    let (done, ended) = oneshot::channel();
    let started = std::thread::Builder::new().name("telemetry-shutdown".to_owned());
    // Without a thread the channel closes at once, and what waits counts as not delivered.
    _ = started.spawn(move || done.send(work()));
    ended
}
