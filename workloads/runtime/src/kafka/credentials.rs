//! Watching the files of a connection: certificates and passwords are rotated while a workload runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use ordermill_config::KafkaConnection;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Certificate and key are two files; a pair is taken when nothing has changed for this long.
const SETTLED: Duration = Duration::from_millis(200);
/// A watch can miss what happens on some file systems; this is how stale a rotation can get there.
const POLL: Duration = Duration::from_secs(10);

/// Notices when the content of a connection's files has changed.
pub(super) struct CredentialWatch {
    files: Vec<PathBuf>,
    seen: Vec<u8>,
    /// Something happened that has not been looked at yet.
    dirty: bool,
    poll_at: Instant,
    changed: Arc<Notify>,
    /// Held so that the watch goes on; absent where the system offers none, and polling must do.
    _watcher: Option<RecommendedWatcher>,
}

impl CredentialWatch {
    pub(super) fn new(connection: &KafkaConnection) -> Self {
        let files: Vec<_> = connection.files().cloned().collect();
        let changed = Arc::new(Notify::new());
        let seen = fingerprint(&files);
        let watcher = watch(&files, &changed);
        let poll_at = Instant::now() + POLL;
        Self {
            files,
            seen,
            dirty: false,
            poll_at,
            changed,
            _watcher: watcher,
        }
    }

    /// Waits until the files hold something else than before. Without files it waits for ever. Safe to drop at any time.
    pub(super) async fn changed(&mut self) {
        if self.files.is_empty() {
            std::future::pending::<()>().await;
        }
        loop {
            if !self.dirty {
                // A timeout is as good as a notice: the content is what counts.
                _ = tokio::time::timeout_at(self.poll_at, self.changed.notified()).await;
                self.dirty = true;
            }
            let now = fingerprint(&self.files);
            if now != self.seen && !self.settled(&now).await {
                continue;
            }
            self.dirty = false;
            self.poll_at = Instant::now() + POLL;
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    /// Whether the content stays as it is for a moment.
    async fn settled(&self, content: &[u8]) -> bool {
        while tokio::time::timeout(SETTLED, self.changed.notified())
            .await
            .is_ok()
        {}
        fingerprint(&self.files) == content
    }
}

fn watch(files: &[PathBuf], changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    // Folders, not files: a mounted Secret is swapped by a link beside the files.
    let folders: BTreeSet<_> = files.iter().filter_map(|file| file.parent()).collect();
    if folders.is_empty() {
        return None;
    }
    let changed = Arc::clone(changed);
    let mut watcher = notify::recommended_watcher(move |_| changed.notify_one()).ok()?;
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    }
    Some(watcher)
}

/// A hash over all files; one that cannot be read counts as empty.
fn fingerprint(files: &[PathBuf]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for file in files {
        let content = std::fs::read(file).unwrap_or_default();
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(&content);
    }
    hash.finalize().to_vec()
}
