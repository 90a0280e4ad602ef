//! Logs: one subscriber for the process, in which every workload has its own level, name and exporter.
//!
//! A workload's task runs inside the span of its [`WorkloadLog`]; whatever is logged there with `tracing`'s macros becomes
//! a line under the workload's name, and a record of its own OTLP logger. `trace_id` and `span_id` are given as fields of
//! those names, since a span of the trace is known only when it is finished.

mod export;
mod layer;
mod level;
mod record;
mod sink;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use opentelemetry_sdk::logs::SdkLogger;
use ordermill_crds::{LogFormat, LogLevel};
use tracing::Span;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan as _;

use self::layer::LogLayer;
use self::level::LiveLevel;
pub use self::sink::{ChannelSink, LogLine, LogSink, Stderr, Stdout};

/// Installs the one subscriber of the process. `process_level` is the least level for what belongs to no workload.
///
/// Lines of libraries are shown from INFO on, those of the OpenTelemetry crates never: what they drop, we count.
///
/// # Errors
/// A subscriber is installed already.
pub fn init(
    format: LogFormat,
    process_level: LogLevel,
    sink: impl LogSink,
) -> Result<(), InitError> {
    let subscriber = Registry::default().with(LogLayer::new(format, process_level, sink));
    tracing::subscriber::set_global_default(subscriber).map_err(InitError)
}

/// The process has a subscriber already.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot be set up twice in one process")]
pub struct InitError(#[source] tracing::subscriber::SetGlobalDefaultError);

/// The log of one workload; clones are handles to the same.
#[derive(Debug, Clone)]
pub struct WorkloadLog {
    target: Arc<LogTarget>,
    span: Span,
}

/// What the layer needs to know of a workload; it stands in the extensions of its span.
#[derive(Debug)]
struct LogTarget {
    kind: Arc<str>,
    name: Arc<str>,
    level: LiveLevel,
    exporter: ArcSwapOption<SdkLogger>,
}

impl WorkloadLog {
    /// The log of the workload `kind`/`name` (such as `OrderProducer`/`wood-orders`), of events of at least `level`.
    ///
    /// [`init`] comes first: with no subscriber, nothing is written and everything else works.
    #[must_use]
    pub fn new(kind: &str, name: &str, level: LogLevel) -> Self {
        let target = Arc::new(LogTarget {
            kind: kind.into(),
            name: name.into(),
            level: LiveLevel::new(level),
            exporter: ArcSwapOption::empty(),
        });
        // Of the most severe level, so that no threshold hides the span itself.
        let span = tracing::error_span!(target: "ordermill::workload", parent: None, "workload", kind, name);
        span.with_subscriber(|(id, dispatch)| {
            if let Some(layer) = dispatch.downcast_ref::<LogLayer>() {
                layer.watch(&target);
            }
            if let Some(span) = dispatch
                .downcast_ref::<Registry>()
                .and_then(|all| all.span(id))
            {
                span.extensions_mut().insert(Arc::clone(&target));
            }
        });
        tracing::callsite::rebuild_interest_cache();
        Self { target, span }
    }

    /// Kind of the workload.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.target.kind
    }

    /// Name of the workload.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// The span that the workload's tasks run in: `task.instrument(log.span())`.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Runs `work` inside the workload's span: for threads that are not in a task, such as librdkafka's callbacks.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// The least level that is logged.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.target.level.get()
    }

    /// Changes the least level that is logged, from the next event on.
    pub fn set_level(&self, level: LogLevel) {
        self.target.level.set(level);
        // The callsites of levels that nobody wants are switched off in a cache.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Sends every event to `logger` as well; `None` ends that.
    pub(super) fn export_to(&self, logger: Option<SdkLogger>) {
        self.target.exporter.store(logger.map(Arc::new));
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! One subscriber for all tests of the process, each of which reads the lines of its own workloads.

    use std::sync::{Mutex, OnceLock};

    use super::*;

    static LINES: Mutex<Vec<LogLine>> = Mutex::new(Vec::new());

    struct Memory;

    impl LogSink for Memory {
        fn write(&self, line: LogLine) {
            LINES.lock().unwrap().push(line);
        }
    }

    /// Makes sure that lines are kept.
    pub(in super::super) fn init_once() {
        static DONE: OnceLock<()> = OnceLock::new();
        DONE.get_or_init(|| init(LogFormat::Json, LogLevel::Info, Memory).unwrap());
    }

    /// The workload's lines so far.
    pub(in super::super) fn lines_of(name: &str) -> Vec<serde_json::Value> {
        let lines = LINES.lock().unwrap();
        let theirs = lines
            .iter()
            .filter(|line| line.workload.as_ref().is_some_and(|(_, it)| &**it == name));
        theirs
            .map(|line| serde_json::from_str(&line.text).unwrap())
            .collect()
    }

    /// Lines of no workload that hold `text`.
    pub(in super::super) fn process_lines_with(text: &str) -> usize {
        let lines = LINES.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.workload.is_none() && line.text.contains(text))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{AnyValue, LoggerProvider as _, Severity};
    use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
    use tracing::Instrument as _;

    use super::super::trace::TraceContext;
    use super::testing::{init_once, lines_of, process_lines_with};
    use super::*;

    fn messages(name: &str) -> Vec<String> {
        lines_of(name)
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_level_change_is_live_and_one_workload_s_own() {
        init_once();
        let quiet = WorkloadLog::new("OrderProducer", "level-quiet", LogLevel::Warn);
        let loud = WorkloadLog::new("OrderProducer", "level-loud", LogLevel::Info);
        let say = |log: &WorkloadLog, turn: &str| {
            log.in_scope(|| {
                tracing::trace!("trace {turn}");
                tracing::debug!("debug {turn}");
                tracing::info!("info {turn}");
                tracing::warn!("warn {turn}");
            });
        };
        say(&quiet, "1");
        say(&loud, "1");
        loud.set_level(LogLevel::Debug);
        say(&quiet, "2");
        say(&loud, "2");
        loud.set_level(LogLevel::Error);
        say(&loud, "3");
        assert_eq!(messages("level-quiet"), ["warn 1", "warn 2"]);
        assert_eq!(
            messages("level-loud"),
            ["info 1", "warn 1", "debug 2", "info 2", "warn 2"]
        );
        assert_eq!(
            (quiet.level(), loud.level()),
            (LogLevel::Warn, LogLevel::Error)
        );
    }

    #[tokio::test]
    async fn tasks_and_spans_below_belong_to_the_workload() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "tasks", LogLevel::Info);
        let below = log.in_scope(|| tracing::info_span!("publisher"));
        tokio::spawn(async { tracing::info!("in a task") }.instrument(log.span()))
            .await
            .unwrap();
        tokio::spawn(async { tracing::info!("in a span below") }.instrument(below))
            .await
            .unwrap();
        let handle = log.clone();
        std::thread::spawn(move || handle.in_scope(|| tracing::info!("in a thread")))
            .join()
            .unwrap();
        tracing::info!("belongs to nobody");
        assert_eq!(
            messages("tasks"),
            ["in a task", "in a span below", "in a thread"]
        );
        assert_eq!(process_lines_with("belongs to nobody"), 1);
    }

    #[test]
    fn trace_ids_stand_in_the_line_and_in_the_exported_record() {
        init_once();
        let exporter = InMemoryLogExporter::default();
        let provider = SdkLoggerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let log = WorkloadLog::new("OrderProducer", "trace-ids", LogLevel::Info);
        log.export_to(Some(provider.logger("test")));
        let context = TraceContext::new_root(true);
        log.in_scope(|| {
            tracing::warn!(
                trace_id = %context.trace_id(),
                span_id = %context.span_id(),
                ordermill.sequence = 7_u64,
                "not sent"
            );
        });
        log.export_to(None);
        log.in_scope(|| tracing::warn!("after the export ended"));

        let lines = lines_of("trace-ids");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["trace_id"], context.trace_id().to_string());
        assert_eq!(lines[0]["span_id"], context.span_id().to_string());
        assert_eq!(lines[0]["ordermill.sequence"], 7);
        assert_eq!(
            (&lines[0]["kind"], &lines[0]["level"]),
            (&"OrderProducer".into(), &"WARN".into())
        );

        let emitted = exporter.get_emitted_logs().unwrap();
        assert_eq!(emitted.len(), 1);
        let record = &emitted[0].record;
        assert_eq!(record.body(), Some(&AnyValue::from("not sent")));
        assert_eq!(record.severity_number(), Some(Severity::Warn));
        let trace = record.trace_context().unwrap();
        assert_eq!(
            (trace.trace_id, trace.span_id),
            (context.trace_id(), context.span_id())
        );
        let attributes = record.attributes_iter().collect::<Vec<_>>();
        assert_eq!(
            attributes,
            [&("ordermill.sequence".into(), AnyValue::from(7_i64))]
        );
    }

    #[test]
    fn the_sdk_s_own_lines_are_silent_and_libraries_start_at_info() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "silence", LogLevel::Trace);
        log.in_scope(|| {
            tracing::error!(target: "opentelemetry_sdk", "batch failed");
            tracing::debug!(target: "hyper_util::client", "connecting");
            tracing::info!(target: "axum", "listening");
            tracing::debug!("ours");
        });
        assert_eq!(messages("silence"), ["listening", "ours"]);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot send")]
        struct Outer(#[source] std::fmt::Error);

        init_once();
        let log = WorkloadLog::new("OrderProducer", "causes", LogLevel::Info);
        let error = Outer(std::fmt::Error);
        log.in_scope(|| tracing::error!(error = &error as &dyn std::error::Error, "failed"));
        let expected = format!("cannot send: {}", std::fmt::Error);
        assert_eq!(lines_of("causes")[0]["error"], expected);
    }

    #[test]
    fn a_second_subscriber_is_refused() {
        init_once();
        assert!(init(LogFormat::Text, LogLevel::Info, Stdout).is_err());
    }
}
