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
    /// When the files are looked at: something happened, and they may still be changing.
    look_at: Option<Instant>,
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
            look_at: None,
            poll_at,
            changed,
            _watcher: watcher,
        }
    }

    /// Waits until the files hold something else than before. Without files it waits for ever. Safe to drop at any time: it
    /// goes on where it was, so that a busy caller does not keep it from its end.
    pub(super) async fn changed(&mut self) {
        if self.files.is_empty() {
            std::future::pending::<()>().await;
        }
        loop {
            let Some(look_at) = self.look_at else {
                // A timeout is as good as a notice: the content is what counts.
                _ = tokio::time::timeout_at(self.poll_at, self.changed.notified()).await;
                self.look_at = Some(Instant::now() + SETTLED);
                continue;
            };
            tokio::select! {
                biased;
                () = self.changed.notified() => self.look_at = Some(Instant::now() + SETTLED),
                () = tokio::time::sleep_until(look_at) => {
                    self.look_at = None;
                    self.poll_at = Instant::now() + POLL;
                    let content = fingerprint(&self.files);
                    if content != self.seen {
                        self.seen = content;
                        return;
                    }
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use ordermill_config::TlsFiles;

    use super::*;

    #[tokio::test]
    async fn a_rotation_is_noticed_also_by_a_caller_who_keeps_dropping_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        fs::write(&file, "old").unwrap();
        let mut connection = KafkaConnection::plain("kafka:9092".parse().unwrap());
        let certificate_authority = Some(file.clone());
        connection.tls = Some(TlsFiles {
            certificate_authority,
            ..TlsFiles::default()
        });
        let mut watch = CredentialWatch::new(&connection);
        fs::write(&file, "new").unwrap();
        let noticed = async {
            while tokio::time::timeout(Duration::from_millis(3), watch.changed())
                .await
                .is_err()
            {}
        };
        tokio::time::timeout(Duration::from_secs(20), noticed)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_same_content_written_again_is_no_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        fs::write(&file, "same").unwrap();
        let mut connection = KafkaConnection::plain("kafka:9092".parse().unwrap());
        let certificate_authority = Some(file.clone());
        connection.tls = Some(TlsFiles {
            certificate_authority,
            ..TlsFiles::default()
        });
        let mut watch = CredentialWatch::new(&connection);
        fs::write(&file, "same").unwrap();
        let wait = tokio::time::timeout(4 * SETTLED, watch.changed()).await;
        assert!(wait.is_err());
    }
}
