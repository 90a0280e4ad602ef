//! What waits for its turn: objects that have changed and whose reconcile has not begun.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::metrics::Metrics;

/// The queue as it is measured; clones share it.
#[derive(Clone)]
pub struct Queue {
    waiting: Arc<Mutex<HashMap<String, Instant>>>,
    metrics: Metrics,
}

impl Queue {
    /// An empty one.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            waiting: Arc::default(),
            metrics,
        }
    }

    /// An object wants to be looked at; it waits once, however often it changes.
    pub fn add(&self, object: String) {
        let mut waiting = self.lock();
        waiting.entry(object).or_insert_with(Instant::now);
        self.metrics.set_queue(waiting.len());
    }

    /// Its turn has come.
    pub fn take(&self, object: &str) {
        let mut waiting = self.lock();
        if let Some(since) = waiting.remove(object) {
            self.metrics.waited(since.elapsed());
        }
        self.metrics.set_queue(waiting.len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_waits_once_from_its_first_change() {
        let metrics = Metrics::default();
        let queue = Queue::new(metrics.clone());
        queue.add("a".to_owned());
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        queue.add("a".to_owned());
        queue.add("b".to_owned());
        assert!(metrics.text().contains("ordermill_operator_queue_depth 2"));
        queue.take("a");
        queue.take("a");
        let text = metrics.text();
        assert!(text.contains("ordermill_operator_queue_depth 1"), "{text}");
        assert!(
            text.contains("ordermill_operator_queue_wait_seconds_sum 2"),
            "{text}"
        );
        assert!(
            text.contains("ordermill_operator_queue_wait_seconds_count 1"),
            "{text}"
        );
    }
}
