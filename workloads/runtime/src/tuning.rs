//! The tuning that a workload runs with: swapped whole, never half, and never back to an older one.

mod keys;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use ordermill_config::{Tuning, TuningDocument, TuningVersion, read_tuning};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use self::keys::KeysFile;
use ordermill_config::full_error;

/// A file is read when it has not changed for this long, so that one being written is not read half.
const SETTLED: Duration = Duration::from_millis(50);
/// A watch can miss what happens on some file systems; this is how stale a file can get there.
const POLL: Duration = Duration::from_secs(5);

/// Why a document was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is for another resource.
    #[error("the document is for another resource")]
    OtherResource,
    /// It is older than what the workload runs with.
    #[error("{offered} is not newer than {running}, which is running")]
    NotNewer {
        /// What was offered.
        offered: TuningVersion,
        /// What is running.
        running: TuningVersion,
    },
}

/// Where new tuning goes in. Every source (a file, a push, the command line) goes through here.
#[derive(Debug, Clone)]
pub struct TuningHandle {
    current: watch::Sender<Arc<TuningDocument>>,
}

impl TuningHandle {
    /// A handle that starts with a document.
    #[must_use]
    pub fn new(document: TuningDocument) -> Self {
        Self {
            current: watch::Sender::new(Arc::new(document)),
        }
    }

    /// Takes a document over, if it is for the same resource and newer than what is running.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn offer(&self, document: TuningDocument) -> Result<(), Refused> {
        let mut refused = None;
        self.current.send_if_modified(|running| {
            if document.uid != running.uid {
                refused = Some(Refused::OtherResource);
            } else if document.version() <= running.version() {
                let (offered, running) = (document.version(), running.version());
                refused = Some(Refused::NotNewer { offered, running });
            } else {
                *running = Arc::new(document);
                return true;
            }
            false
        });
        refused.map_or(Ok(()), Err)
    }

    /// What is running.
    #[must_use]
    pub fn current(&self) -> Arc<TuningDocument> {
        Arc::clone(&self.current.borrow())
    }

    /// A view that tells of each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<TuningDocument>> {
        self.current.subscribe()
    }
}

/// Compares two tunings for the log: what an edit changed, in words.
#[must_use]
pub fn describe_change(before: &Tuning, after: &Tuning) -> String {
    let as_value = |tuning| serde_json::to_value(tuning).unwrap_or_default();
    let mut changes = Vec::new();
    collect_changes("", &as_value(before), &as_value(after), &mut changes);
    changes.join(", ")
}

fn collect_changes(
    path: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
    changes: &mut Vec<String>,
) {
    use serde_json::Value;
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let at = |map: &serde_json::Map<_, _>| map.get(name).cloned().unwrap_or_default();
            collect_changes(&path, &at(old), &at(new), changes);
        }
    } else if before != after {
        changes.push(format!("{path} {before} → {after}"));
    }
}

/// Watches a tuning file and offers what it holds, until cancelled. A document that cannot be read leaves the running one
/// in place; why is logged once for each content.
pub async fn watch_file(file: PathBuf, handle: TuningHandle, cancelled: CancellationToken) {
    let changed = Arc::new(Notify::new());
    let watcher = file_watcher(&file, &changed);
    if watcher.is_none() {
        tracing::warn!(file = %file.display(), "the system offers no file watch: tuning is polled");
    }
    // What was saved between the reading at the start and the watch gave no notice.
    changed.notify_one();
    let mut complaint = String::new();
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            // A timeout is as good as a notice: the content is what counts.
            _ = tokio::time::timeout(POLL, changed.notified()) => {}
        }
        while tokio::time::timeout(SETTLED, changed.notified())
            .await
            .is_ok()
        {}
        match read_tuning(&file) {
            Ok(document) => {
                complaint.clear();
                offer(&handle, document);
            }
            Err(error) => {
                let text = full_error(&error);
                if text != complaint {
                    tracing::error!("{text}; the running tuning stays");
                    complaint = text;
                }
            }
        }
    }
}

fn offer(handle: &TuningHandle, document: TuningDocument) {
    match handle.offer(document) {
        Ok(()) | Err(Refused::NotNewer { .. }) => {}
        Err(refused) => tracing::error!("{refused}; the running tuning stays"),
    }
}

fn file_watcher(file: &Path, changed: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let mut watcher = notify::recommended_watcher(move |_| changed.notify_one()).ok()?;
    // The folder, not the file: a mounted ConfigMap is swapped by a link beside the file.
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    watcher
        .watch(
            folder.unwrap_or(Path::new(".")),
            RecursiveMode::NonRecursive,
        )
        .ok()?;
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use ordermill_crds::LogLevel;
    use ordermill_crds::values::Fraction;

    use super::*;

    fn document(generation: i64, error_rate: f64) -> TuningDocument {
        TuningDocument {
            uid: "one".to_owned(),
            generation,
            revision: 2,
            tuning: Tuning {
                paused: false,
                error_rate: Fraction::try_from(error_rate).unwrap(),
                log_level: LogLevel::Info,
                trace_sampling: Fraction::MAXIMUM,
                producer: None,
                consumer: None,
                worker: None,
                backend: None,
            },
        }
    }

    fn revised(generation: i64, revision: u32) -> TuningDocument {
        TuningDocument {
            revision,
            ..document(generation, 0.2)
        }
    }

    #[test]
    fn only_a_newer_document_of_the_same_resource_is_taken() {
        let handle = TuningHandle::new(document(5, 0.1));
        for (generation, revision) in [(5, 2), (5, 1), (4, 9)] {
            let refused = handle.offer(revised(generation, revision)).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "generation {generation} revision {revision} is not newer than \
                     generation 5 revision 2, which is running"
                )
            );
        }
        let other = TuningDocument {
            uid: "two".to_owned(),
            ..document(9, 0.2)
        };
        assert_eq!(handle.offer(other), Err(Refused::OtherResource));
        assert_eq!(*handle.current(), document(5, 0.1));
        for (generation, revision) in [(5, 3), (6, 0)] {
            let newer = revised(generation, revision);
            assert_eq!(handle.offer(newer.clone()), Ok(()));
            assert_eq!(*handle.current(), newer);
        }
    }

    #[test]
    fn a_change_is_told_by_field() {
        let (before, after) = (document(1, 0.1).tuning, document(2, 0.5).tuning);
        assert_eq!(describe_change(&before, &after), "errorRate 0.1 → 0.5");
    }

    #[tokio::test]
    async fn a_saved_file_is_taken_and_a_broken_one_leaves_the_running_tuning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuning.json");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write(&serde_json::to_string(&document(1, 0.1)).unwrap());
        let handle = TuningHandle::new(read_tuning(&file).unwrap());
        let mut changes = handle.subscribe();
        let cancelled = CancellationToken::new();
        let watching = tokio::spawn(watch_file(file.clone(), handle.clone(), cancelled.clone()));
        write("{\"uid\": \"one\", \"gener");
        write(&serde_json::to_string(&document(2, 0.5)).unwrap());
        tokio::time::timeout(Duration::from_secs(20), changes.changed())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(*handle.current(), document(2, 0.5));
        cancelled.cancel();
        watching.await.unwrap();
    }
}
