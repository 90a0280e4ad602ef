//! Folders that go when their owner goes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use tempfile::TempDir;

const OWNER: &str = "owner.lock";

/// One sweep per process is enough.
static SWEEP: Once = Once::new();

/// A fresh folder, removed on drop.
///
/// A test run that is killed cannot clean up after itself, so each folder holds a locked file. The lock dies with its
/// process, and the next run removes the folders whose lock is free.
#[derive(Debug)]
pub struct Scratch {
    // Dropped first: the folder must be gone before another process may take it for an orphan.
    folder: TempDir,
    _owner: File,
}

impl Scratch {
    /// A folder under the system's temporary folder whose name begins with `purpose`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(purpose: &str) -> io::Result<Self> {
        let base = base();
        fs::create_dir_all(&base)?;
        let gate = File::create(base.join("gate.lock"))?;
        gate.lock()?;
        SWEEP.call_once(|| sweep(&base));
        // The gate is held until the owner's lock is, so that no sweep sees the folder without it.
        let folder = tempfile::Builder::new()
            .prefix(&format!("{purpose}-"))
            .tempdir_in(&base)?;
        let owner = File::create(folder.path().join(OWNER))?;
        owner.lock()?;
        Ok(Self {
            folder,
            _owner: owner,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// One folder per user: the lock files of another user could not be opened.
pub(crate) fn base() -> PathBuf {
    std::env::temp_dir().join(format!(
        "ordermill-tests-{}",
        rustix::process::getuid().as_raw()
    ))
}

/// Removes what runs that were killed have left. What cannot be removed is left to the next run.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for folder in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        let orphaned = File::open(folder.join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok());
        if orphaned {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let scratch = Scratch::new("scratch-test").unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "content").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn only_orphans_are_swept() {
        let base = tempfile::tempdir().unwrap();
        let (alive, orphan) = (base.path().join("alive"), base.path().join("orphan"));
        for folder in [&alive, &orphan] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(OWNER), "").unwrap();
        }
        let owner = File::open(alive.join(OWNER)).unwrap();
        owner.lock().unwrap();
        sweep(base.path());
        assert!(alive.exists());
        assert!(!orphan.exists());
    }
}
