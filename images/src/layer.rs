//! Files as the one layer of an image.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::files::File;

/// Bytes that are known by their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 in hexadecimal digits.
    pub digest: String,
    /// What it is of.
    pub bytes: Vec<u8>,
}

/// A layer in the two forms that images speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What is stored: a tar, by gzip.
    pub compressed: Blob,
    /// The digest of the tar.
    pub tar_digest: String,
    /// The size of all files, in bytes.
    pub files_size: u64,
}

impl Blob {
    /// With the digest of `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            digest: digest(&bytes),
            bytes,
        }
    }
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let digits = |byte: &u8| format!("{byte:02x}");
    Sha256::digest(bytes).iter().map(digits).collect()
}

/// The layer with `files` and their folders, all of which were changed last at `epoch`, in seconds since 1970.
///
/// # Errors
/// When a path is too long for a tar.
pub fn layer(files: &[File], epoch: u64) -> io::Result<Layer> {
    let tar = tar(files, epoch)?;
    // Neither a name nor a time is in the header of the gzip.
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    Ok(Layer {
        compressed: Blob::new(gzip.finish()?),
        tar_digest: digest(&tar),
        files_size: files.iter().map(|file| file.content.len() as u64).sum(),
    })
}

fn tar(files: &[File], epoch: u64) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for file in files {
        for (end, _) in file.path.match_indices('/') {
            let folder = &file.path[..=end];
            if folders.insert(folder) {
                let mut header = header(EntryType::Directory, 0o755, 0, epoch);
                tar.append_data(&mut header, folder, io::empty())?;
            }
        }
        let size = file.content.len() as u64;
        let mut header = header(EntryType::Regular, file.mode, size, epoch);
        tar.append_data(&mut header, &file.path, file.content.as_slice())?;
    }
    tar.into_inner()
}

/// What the header of a tar says besides the path; the owner is root.
pub(crate) fn header(kind: EntryType, mode: u32, size: u64, epoch: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_as_sha256sum_writes_it() {
        assert_eq!(
            digest(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
