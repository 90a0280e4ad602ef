//! An exporter that is bounded in time, whose failures are counted and told.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Backlog, Dropped, ExportHealth, Signal};

/// How long one export may take, connecting and retrying included.
pub(in super::super) const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// What the exporters of one workload share.
#[derive(Debug, Clone)]
pub(in super::super) struct ExportWatch {
    /// Where connections live: the SDK exports from threads of its own.
    pub(in super::super) runtime: Handle,
    pub(in super::super) health: Arc<ExportHealth>,
    pub(in super::super) dropped: Arc<Dropped>,
    /// Ends exports that are under way when the time to shut down is over.
    pub(in super::super) abandon: CancellationToken,
}

/// Wraps an exporter of the SDK.
#[derive(Debug)]
pub(in super::super) struct Watched<E> {
    exporter: E,
    signal: Signal,
    watch: ExportWatch,
    backlog: Option<Arc<Backlog>>,
}

impl<E> Watched<E> {
    /// `backlog` is what bounds the queue before this exporter, if there is one.
    pub(in super::super) fn new(
        exporter: E,
        signal: Signal,
        watch: ExportWatch,
        backlog: Option<Arc<Backlog>>,
    ) -> Self {
        Self {
            exporter,
            signal,
            watch,
            backlog,
        }
    }

    /// Runs one export of `items` to its end, and accounts for it.
    async fn account(
        &self,
        items: usize,
        export: impl Future<Output = OTelSdkResult> + Send,
    ) -> OTelSdkResult {
        let result = self
            .watch
            .abandon
            .run_until_cancelled(self.in_time(export))
            .await;
        match &result {
            Some(Ok(())) => self.watch.health.succeeded(self.signal),
            Some(Err(error)) => self.watch.health.failed(self.signal, &cause(error)),
            None => {}
        }
        if !matches!(result, Some(Ok(()))) {
            self.watch.dropped.add(self.signal, items as u64);
        }
        if let Some(backlog) = &self.backlog {
            backlog.release(items);
        }
        result.unwrap_or(Err(OTelSdkError::AlreadyShutdown))
    }

    /// Bounds `export` in time and polls it inside the runtime, which timers and connections need.
    async fn in_time(&self, export: impl Future<Output = OTelSdkResult> + Send) -> OTelSdkResult {
        let timed = {
            let _inside = self.watch.runtime.enter();
            tokio::time::timeout(EXPORT_TIMEOUT, export)
        };
        let mut timed = pin!(timed);
        let polled = std::future::poll_fn(|context| {
            let _inside = self.watch.runtime.enter();
            timed.as_mut().poll(context)
        });
        polled
            .await
            .unwrap_or(Err(OTelSdkError::Timeout(EXPORT_TIMEOUT)))
    }
}

fn cause(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        OTelSdkError::Timeout(after) => format!("no answer within {after:?}"),
        OTelSdkError::AlreadyShutdown => error.to_string(),
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.account(batch.len(), self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
        self.account(items, self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.account(count_points(metrics), self.exporter.export(metrics))
            .await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn count_points(metrics: &ResourceMetrics) -> usize {
    fn points<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    all.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => points(data),
        AggregatedMetrics::U64(data) => points(data),
        AggregatedMetrics::I64(data) => points(data),
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use ordermill_crds::LogLevel;

    use super::super::super::log::WorkloadLog;
    use super::super::super::log::testing::{init_once, lines_of};
    use super::*;

    #[derive(Debug)]
    struct Silent;

    impl SpanExporter for Silent {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_never_answers_is_given_up() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "never-answers", LogLevel::Info);
        let watch = ExportWatch {
            runtime: Handle::current(),
            health: Arc::new(ExportHealth::new(
                "http://silent:4317",
                log,
                Arc::default(),
                EXPORT_TIMEOUT,
            )),
            dropped: Arc::default(),
            abandon: CancellationToken::new(),
        };
        let backlog = Arc::new(Backlog::new(8));
        let watched = Watched::new(
            Silent,
            Signal::Traces,
            watch.clone(),
            Some(Arc::clone(&backlog)),
        );
        let items = (0..3).filter(|_| backlog.admit(true)).count();
        let error = watched
            .account(items, Silent.export(Vec::new()))
            .await
            .unwrap_err();
        assert!(matches!(error, OTelSdkError::Timeout(EXPORT_TIMEOUT)));
        assert_eq!(
            (watch.dropped.get(Signal::Traces), backlog.waiting()),
            (3, 0)
        );
        assert_eq!(lines_of("never-answers")[0]["cause"], "no answer within 3s");
    }
}
