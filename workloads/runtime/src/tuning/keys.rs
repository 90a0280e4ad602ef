//! The file that says whose pushed tuning a workload takes.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ordermill_config::{DocumentError, VerifyingKeys, read_keys};
use tokio::time::Instant;

use ordermill_config::full_error;

/// Least time between two reads, so that nobody keeps the disk busy by pushing.
const REREAD: Duration = Duration::from_secs(1);

/// A file with [`VerifyingKeys`], read again when it is asked for and was read a second ago: a rotated set is followed
/// before its first use, and without a watch.
#[derive(Debug)]
pub struct KeysFile {
    path: PathBuf,
    last: Mutex<LastRead>,
}

#[derive(Debug, Default)]
struct LastRead {
    at: Option<Instant>,
    keys: Option<Arc<VerifyingKeys>>,
    /// What was last logged of the file.
    complaint: String,
}

impl KeysFile {
    /// The file at this path, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::default(),
        }
    }

    /// The keys, a second old at most; `None`: there is no such file. Of a file that cannot be read, the keys before count;
    /// why is logged once for each content.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<VerifyingKeys>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.at.is_none_or(|at| now.duration_since(at) >= REREAD) {
            last.at = Some(now);
            last.take(read_keys(&self.path));
        }
        last.keys.clone()
    }
}

impl LastRead {
    fn take(&mut self, read: Result<VerifyingKeys, DocumentError>) {
        match read {
            Ok(keys) => {
                self.keys = Some(Arc::new(keys));
                self.complaint.clear();
            }
            Err(DocumentError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                self.keys = None;
                self.complaint.clear();
            }
            Err(error) => {
                self.keys.get_or_insert_default();
                let text = full_error(&error);
                if text != self.complaint {
                    tracing::error!("{text}; the keys before stay");
                    self.complaint = text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_config::SigningKey;

    use super::*;

    fn ids(file: &KeysFile) -> Option<Vec<String>> {
        let keys = file.keys()?;
        Some(keys.ids().map(str::to_owned).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_is_followed_and_read_once_a_second_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let file = KeysFile::new(path.clone());
        assert_eq!(ids(&file), None);
        let key = SigningKey::generate().unwrap();
        let keys: VerifyingKeys = [key.verifying_key()].into_iter().collect();
        std::fs::write(&path, serde_json::to_string(&keys).unwrap()).unwrap();
        assert_eq!(ids(&file), None, "it was read in this second");
        tokio::time::advance(REREAD).await;
        assert_eq!(ids(&file), Some(vec![key.key_id()]));
        std::fs::write(&path, "{\"keys\":").unwrap();
        tokio::time::advance(REREAD).await;
        assert_eq!(ids(&file), Some(vec![key.key_id()]), "the keys before stay");
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(REREAD).await;
        assert_eq!(ids(&file), None);
    }

    #[test]
    fn a_file_that_never_could_be_read_believes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(ids(&KeysFile::new(path)), Some(vec![]));
    }
}
