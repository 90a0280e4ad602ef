//! The operator's own metrics, in Prometheus' text form at `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::error::Category;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    kind: &'static str,
    category: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

struct All {
    registry: Registry,
    reconciles: Family<KindLabel, Counter>,
    duration: Histograms<KindLabel>,
    errors: Family<ErrorLabels, Counter>,
    running: Family<KindLabel, Gauge>,
    writes: Family<VerbLabel, Counter>,
    pushes: Family<ResultLabel, Counter>,
    push_latency: Histogram,
    nudges: Counter,
    watch_errors: Family<KindLabel, Counter>,
    queue: Gauge,
    queue_wait: Histogram,
    leader: Gauge,
}

/// The metrics; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<All>);

/// 1 ms to 8 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ordermill_operator");
        let reconciles = Family::default();
        registry.register("reconciles", "Reconciles that ended", reconciles.clone());
        let duration: Histograms<KindLabel> = Family::new_with_constructor(seconds);
        registry.register_with_unit(
            "reconcile_duration",
            "Time of a reconcile",
            Unit::Seconds,
            duration.clone(),
        );
        let errors = Family::default();
        registry.register(
            "reconcile_errors",
            "Reconciles that ended with an error, by its category",
            errors.clone(),
        );
        let running = Family::default();
        registry.register(
            "reconciles_running",
            "Reconciles that are under way",
            running.clone(),
        );
        let writes = Family::default();
        registry.register(
            "api_writes",
            "Requests to the API server that change something",
            writes.clone(),
        );
        let pushes = Family::default();
        registry.register(
            "tuning_pushes",
            "Pushes of a tuning document to a pod, by result",
            pushes.clone(),
        );
        let push_latency = seconds();
        registry.register_with_unit(
            "tuning_push_latency",
            "Time from the begin of a reconcile to a pod's answer that it runs with the tuning",
            Unit::Seconds,
            push_latency.clone(),
        );
        let nudges = Counter::default();
        registry.register(
            "tuning_nudges",
            "Pods that were marked so that their kubelet refreshes the tuning",
            nudges.clone(),
        );
        let watch_errors = Family::default();
        registry.register(
            "watch_errors",
            "Interruptions of watches",
            watch_errors.clone(),
        );
        let queue = Gauge::default();
        registry.register(
            "queue_depth",
            "Objects that have changed and whose reconcile has not begun",
            queue.clone(),
        );
        let queue_wait = seconds();
        registry.register_with_unit(
            "queue_wait",
            "Time from a change to the begin of the reconcile",
            Unit::Seconds,
            queue_wait.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this operator leads", leader.clone());
        Self(Arc::new(All {
            registry,
            reconciles,
            duration,
            errors,
            running,
            writes,
            pushes,
            push_latency,
            nudges,
            watch_errors,
            queue,
            queue_wait,
            leader,
        }))
    }
}

impl Metrics {
    /// Counts a reconcile from now until the guard is dropped.
    #[must_use]
    pub fn reconcile(&self, kind: &'static str) -> Reconcile {
        self.0.running.get_or_create(&KindLabel { kind }).inc();
        Reconcile {
            metrics: self.clone(),
            kind,
            begun: std::time::Instant::now(),
        }
    }

    /// Counts an error.
    pub fn failed(&self, kind: &'static str, category: Category) {
        let category = category.as_str();
        let labels = ErrorLabels { kind, category };
        self.0.errors.get_or_create(&labels).inc();
    }

    /// Counts a request that changes something.
    pub fn write(&self, verb: &'static str) {
        self.0.writes.get_or_create(&VerbLabel { verb }).inc();
    }

    /// Counts a push; `latency` where the pod took it.
    pub fn push(&self, result: &'static str, latency: Option<Duration>) {
        self.0.pushes.get_or_create(&ResultLabel { result }).inc();
        if let Some(latency) = latency {
            self.0.push_latency.observe(latency.as_secs_f64());
        }
    }

    /// Counts a nudge.
    pub fn nudge(&self) {
        self.0.nudges.inc();
    }

    /// Counts an interruption of a watch.
    pub fn watch_failed(&self, kind: &'static str) {
        self.0.watch_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// How many objects wait.
    pub fn set_queue(&self, depth: usize) {
        self.0.queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// How long one has waited.
    pub fn waited(&self, time: Duration) {
        self.0.queue_wait.observe(time.as_secs_f64());
    }

    /// Whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// All of them as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        _ = text::encode(&mut text, &self.0.registry);
        text
    }
}

/// A reconcile that is under way.
pub struct Reconcile {
    metrics: Metrics,
    kind: &'static str,
    begun: std::time::Instant,
}

impl Drop for Reconcile {
    fn drop(&mut self) {
        let label = KindLabel { kind: self.kind };
        let all = &self.metrics.0;
        all.running.get_or_create(&label).dec();
        all.reconciles.get_or_create(&label).inc();
        let seconds = self.begun.elapsed().as_secs_f64();
        all.duration.get_or_create(&label).observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        drop(metrics.reconcile("OrderProducer"));
        metrics.failed("OrderProducer", Category::KafkaNotFound);
        metrics.push("taken", Some(Duration::from_millis(3)));
        let text = metrics.text();
        for line in [
            "ordermill_operator_reconciles_total{kind=\"OrderProducer\"} 1",
            "ordermill_operator_reconciles_running{kind=\"OrderProducer\"} 0",
            "ordermill_operator_reconcile_errors_total{kind=\"OrderProducer\",category=\"KafkaNotFound\"} 1",
            "ordermill_operator_tuning_push_latency_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
