//! What has been fetched or built once stays in the user's cache folder.
//!
//! An entry is a folder whose name carries the version and a hash of the recipe (`kafka-4.3.1-0a1b2c3d`). It is made beside
//! its place and renamed in one step, so an entry that is there is complete; a lock makes processes that run at the
//! same time build it once.

use std::error::Error as StdError;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

/// Where entries live.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// What an entry is made from.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// What it is, in one word.
    pub name: &'a str,
    /// Its version, as users know it.
    pub version: &'a str,
    /// What is done to make it and how long that takes, as a line for people (`fetching 41 MB from Maven Central`).
    pub work: &'a str,
    /// File names and contents that the work starts from; their hash is part of the entry's name.
    pub files: &'a [(&'a str, &'a str)],
}

/// The folders in which an entry is made.
#[derive(Debug)]
pub struct Workshop {
    /// Holds the files of the recipe.
    pub recipe: PathBuf,
    /// Becomes the entry.
    pub product: PathBuf,
    /// Room for what is not needed afterwards.
    pub leftovers: PathBuf,
    /// Room that all workshops share and that stays, for a tool which keeps order there by itself. Made by who needs it.
    pub shared: PathBuf,
}

/// An entry, and whether it had to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The folder.
    pub path: PathBuf,
    /// False when it was there already.
    pub made: bool,
}

/// Why an entry is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder is known.
    #[error(
        "there is no folder for the cache: none of ORDERMILL_CACHE, XDG_CACHE_HOME and HOME is set"
    )]
    NoFolder,
    /// A file operation failed.
    #[error("{}: the cache cannot be used", .path.display())]
    Files {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The recipe's work failed.
    #[error("{entry} could not be made")]
    Work {
        /// Its name.
        entry: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Recipe<'_> {
    /// The folder's name: name, version and eight digits of the files' hash.
    #[must_use]
    pub fn entry_name(&self) -> String {
        let mut hash = Sha256::new();
        for (name, content) in self.files {
            for part in [name, content] {
                // With lengths, so that text moved from one part to the next changes the hash.
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        let digits = u32::from_be_bytes([a, b, c, d]);
        format!("{}-{}-{digits:08x}", self.name, self.version)
    }
}

impl Cache {
    /// `$ORDERMILL_CACHE`, else `ordermill` in `$XDG_CACHE_HOME`, else in `~/.cache`.
    ///
    /// # Errors
    /// [`Error::NoFolder`].
    pub fn of_user() -> Result<Self, Error> {
        let folder = |variable| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = folder("ORDERMILL_CACHE")
            .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("ordermill")))
            .or_else(|| Some(folder("HOME")?.join(".cache/ordermill")))
            .ok_or(Error::NoFolder)?;
        Ok(Self::at(root))
    }

    /// A cache in `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry of `recipe`, made by `work` if it is not there. Blocks for as long as that takes, and says on standard
    /// error what it does.
    ///
    /// # Errors
    /// [`Error`]; a failed attempt leaves nothing behind.
    pub fn entry<E>(
        &self,
        recipe: &Recipe<'_>,
        work: impl FnOnce(&Workshop) -> Result<(), E>,
    ) -> Result<Entry, Error>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = recipe.entry_name();
        let path = self.root.join(&name);
        if path.is_dir() {
            return Ok(Entry { path, made: false });
        }
        let _lock = self.lock(&name)?;
        // Whoever held the lock before may have made it.
        if path.is_dir() {
            return Ok(Entry { path, made: false });
        }
        let begin = Instant::now();
        say(&format!(
            "{} {}: {} …",
            recipe.name, recipe.version, recipe.work
        ));
        let bench = self.root.join(format!("{name}.partial"));
        let outcome = self.make(&name, &bench, recipe, work);
        // On success too: the leftovers of a build can be large. The next attempt removes what resists here.
        let _ = fs::remove_dir_all(&bench);
        outcome?;
        let seconds = begin.elapsed().as_secs_f64();
        say(&format!(
            "{} {}: ready after {seconds:.1} s in {}",
            recipe.name,
            recipe.version,
            path.display()
        ));
        Ok(Entry { path, made: true })
    }

    fn make<E>(
        &self,
        name: &str,
        bench: &Path,
        recipe: &Recipe<'_>,
        work: impl FnOnce(&Workshop) -> Result<(), E>,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let shared = self.root.join("shared");
        let workshop = open_workshop(bench, shared, recipe).map_err(|source| Error::Files {
            path: bench.to_owned(),
            source,
        })?;
        work(&workshop).map_err(|error| Error::Work {
            entry: name.to_owned(),
            source: error.into(),
        })?;
        let path = self.root.join(name);
        fs::rename(&workshop.product, &path).map_err(|source| Error::Files { path, source })
    }

    /// Waits until no other process makes the same entry.
    fn lock(&self, name: &str) -> Result<File, Error> {
        let locks = self.root.join("locks");
        let path = locks.join(name);
        let file = fs::create_dir_all(&locks).and_then(|()| File::create(&path));
        let file = file.map_err(|source| Error::Files {
            path: path.clone(),
            source,
        })?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                say(&format!("{name}: another process is making it, waiting …"));
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.map_err(|source| Error::Files { path, source })?;
        Ok(file)
    }
}

fn open_workshop(bench: &Path, shared: PathBuf, recipe: &Recipe<'_>) -> io::Result<Workshop> {
    // An attempt that was killed may have left its own.
    if bench.exists() {
        fs::remove_dir_all(bench)?;
    }
    let workshop = Workshop {
        recipe: bench.join("recipe"),
        product: bench.join("product"),
        leftovers: bench.join("leftovers"),
        shared,
    };
    for folder in [&workshop.recipe, &workshop.product, &workshop.leftovers] {
        fs::create_dir_all(folder)?;
    }
    for (name, content) in recipe.files {
        fs::write(workshop.recipe.join(name), content)?;
    }
    Ok(workshop)
}

/// Writes past the test runner, which captures the print macros: a minute of building must not look like a hang.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "ordermill-tests: {line}");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const RECIPE: Recipe<'_> = Recipe {
        name: "thing",
        version: "1.2",
        work: "making it",
        files: &[("recipe.txt", "flour")],
    };

    fn bake(workshop: &Workshop) -> io::Result<()> {
        fs::copy(
            workshop.recipe.join("recipe.txt"),
            workshop.product.join("bread"),
        )
        .map(drop)
    }

    #[test]
    fn an_entry_is_made_once_and_leaves_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let first = cache.entry(&RECIPE, bake).unwrap();
        assert!(first.made);
        assert_eq!(
            fs::read_to_string(first.path.join("bread")).unwrap(),
            "flour"
        );
        let second = cache
            .entry(&RECIPE, |_| -> io::Result<()> { panic!("made twice") })
            .unwrap();
        assert_eq!(
            second,
            Entry {
                made: false,
                ..first
            }
        );
        assert_eq!(
            fs::read_dir(cache.root()).unwrap().count(),
            2,
            "the entry and the locks"
        );
    }

    #[test]
    fn a_failed_attempt_leaves_nothing_and_the_next_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().to_owned());
        let failed = cache.entry(&RECIPE, |workshop| {
            fs::write(workshop.product.join("dough"), "")?;
            Err::<(), _>(io::Error::other("the oven is cold"))
        });
        let error = failed.unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "the oven is cold");
        assert!(!folder.path().join(RECIPE.entry_name()).exists());
        let entry = cache.entry(&RECIPE, bake).unwrap();
        assert!(!entry.path.join("dough").exists());
    }

    #[test]
    fn concurrent_calls_make_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().to_owned());
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let entry = cache.entry(&RECIPE, |workshop| {
                        made.fetch_add(1, Ordering::Relaxed);
                        bake(workshop)
                    });
                    assert!(entry.unwrap().path.join("bread").exists());
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn the_name_changes_with_every_part_of_the_recipe() {
        let of = |files| Recipe { files, ..RECIPE }.entry_name();
        let names = [
            of(&[("a", "bc")]),
            of(&[("ab", "c")]),
            of(&[("a", "b"), ("c", "")]),
            of(&[("a", "bd")]),
        ];
        assert!(names[0].starts_with("thing-1.2-"));
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{names:?}");
        }
    }
}
