//! Tasks in the background: every one is named and joined, and one that ends before it should ends the process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// A task that ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the {name} ended")]
pub struct Ended {
    /// What it was.
    pub name: String,
}

/// The tasks of the process.
#[derive(Debug, Clone)]
pub struct Tasks {
    set: Arc<Mutex<Set>>,
    cancelled: CancellationToken,
    changed: Arc<tokio::sync::Notify>,
}

#[derive(Debug, Default)]
struct Set {
    running: JoinSet<()>,
    names: Vec<(Id, String)>,
}

impl Tasks {
    /// No tasks; those that come end with the token.
    #[must_use]
    pub fn new(cancelled: CancellationToken) -> Self {
        Self {
            set: Arc::default(),
            cancelled,
            changed: Arc::default(),
        }
    }

    /// Runs a task until it is cancelled.
    pub fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let cancelled = self.cancelled.clone();
        let mut set = self.lock();
        let task = async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = task => {}
            }
        };
        let id = set.running.spawn(task.in_current_span()).id();
        set.names.push((id, name));
        self.changed.notify_one();
    }

    /// Waits for the first task that ends before it is cancelled.
    pub async fn first_ended(&self) -> Ended {
        loop {
            let ended = std::future::poll_fn(|context| {
                let mut set = self.lock();
                match set.running.poll_join_next_with_id(context) {
                    std::task::Poll::Ready(Some(ended)) => {
                        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                        let name = set.names.iter().find(|(it, _)| *it == id);
                        let name = name.map(|(_, name)| name.clone());
                        std::task::Poll::Ready(Some(name.unwrap_or_default()))
                    }
                    std::task::Poll::Ready(None) => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            });
            tokio::select! {
                ended = ended => match ended {
                    Some(name) if !self.cancelled.is_cancelled() => return Ended { name },
                    _ => self.changed.notified().await,
                },
                // A task that came later must be polled too.
                () = self.changed.notified() => {}
            }
        }
    }

    /// Waits until every task has ended.
    pub async fn join(&self) {
        let mut set = std::mem::take(&mut *self.lock());
        while set.running.join_next().await.is_some() {}
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
