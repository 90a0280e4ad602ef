//! What tests of one process share, as each start of it takes seconds of a processor.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use crate::process;

/// One for all who ask. It goes with the process, or, where a child cannot be tied to the life of its parent, with the last of
/// those that hold it.
pub(crate) struct Shared<T>(Mutex<Held<T>>);

struct Held<T> {
    known: Weak<T>,
    _kept: Option<Arc<T>>,
}

impl<T> Shared<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::const_new(Held {
            known: Weak::new(),
            _kept: None,
        }))
    }

    /// The one that is there, or a new one. A failed start is not kept.
    pub(crate) async fn get<E>(
        &self,
        start: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut held = self.0.lock().await;
        if let Some(shared) = held.known.upgrade() {
            return Ok(shared);
        }
        let shared = Arc::new(start().await?);
        *held = Held {
            known: Arc::downgrade(&shared),
            _kept: process::children_die_with_us().then(|| Arc::clone(&shared)),
        };
        Ok(shared)
    }
}
