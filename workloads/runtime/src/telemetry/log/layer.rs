//! The layer of the process's one subscriber: which events become lines, and whose.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ordermill_crds::{LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::LogTarget;
use super::export::export;
use super::level::LiveLevel;
use super::record::Record;
use super::sink::{LogLine, LogSink};

/// Turns events into lines, and hands those of a workload to its exporter as well.
pub(super) struct LogLayer {
    format: LogFormat,
    sink: Box<dyn LogSink>,
    /// For what belongs to no workload.
    process_level: LiveLevel,
    workloads: Mutex<Vec<Weak<LogTarget>>>,
}

impl LogLayer {
    pub(super) fn new(format: LogFormat, process_level: LogLevel, sink: impl LogSink) -> Self {
        Self {
            format,
            sink: Box::new(sink),
            process_level: LiveLevel::new(process_level),
            workloads: Mutex::default(),
        }
    }

    /// Has the workload's level counted in [`Layer::max_level_hint`] for as long as it lives.
    pub(super) fn watch(&self, target: &Arc<LogTarget>) {
        let mut workloads = self
            .workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        workloads.retain(|known| known.strong_count() > 0);
        workloads.push(Arc::downgrade(target));
    }

    fn is_allowed<S>(&self, level: Level, scope: Option<Scope<'_, S>>) -> bool
    where
        S: for<'lookup> LookupSpan<'lookup>,
    {
        match find_target(scope) {
            Some(target) => target.level.allows(level),
            None => self.process_level.allows(level),
        }
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match Origin::of(metadata.target()) {
            // Spans only lead from an event to its workload.
            Origin::Ours if metadata.is_span() => Interest::always(),
            Origin::Ours => Interest::sometimes(),
            Origin::Library if metadata.is_event() && *metadata.level() <= Level::INFO => {
                Interest::sometimes()
            }
            Origin::Library | Origin::Telemetry => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        if metadata.is_span() {
            return true;
        }
        let current = context.lookup_current();
        self.is_allowed(*metadata.level(), current.map(|span| span.scope()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let workloads = self
            .workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let levels = workloads
            .iter()
            .filter_map(Weak::upgrade)
            .map(|target| target.level.filter());
        Some(levels.fold(self.process_level.filter(), std::cmp::max))
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = find_target(context.event_scope(event));
        let workload = target
            .as_ref()
            .map(|it| (Arc::clone(&it.kind), Arc::clone(&it.name)));
        let record = Record::new(event, workload.clone());
        let text = record.line(self.format);
        self.sink.write(LogLine {
            level: record.level,
            workload,
            text,
        });
        if let Some(logger) = target.and_then(|target| target.exporter.load_full()) {
            export(&logger, record);
        }
    }
}

/// Who an event comes from.
enum Origin {
    Ours,
    Library,
    /// The OpenTelemetry crates: what their lines say we count and tell once, in our own words.
    Telemetry,
}

impl Origin {
    fn of(target: &str) -> Self {
        if target.starts_with("ordermill") {
            Self::Ours
        } else if target.starts_with("opentelemetry") {
            Self::Telemetry
        } else {
            Self::Library
        }
    }
}

/// The workload of the innermost span that has one.
fn find_target<S>(scope: Option<Scope<'_, S>>) -> Option<Arc<LogTarget>>
where
    S: for<'lookup> LookupSpan<'lookup>,
{
    scope?.find_map(|span| span.extensions().get::<Arc<LogTarget>>().cloned())
}
