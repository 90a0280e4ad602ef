//! An image as one file, which is an OCI image layout and what `docker load` reads at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use serde::Serialize;
use tar::EntryType;

use crate::image::{Descriptor, Image, MANIFEST};
use crate::layer::header;

/// Why an archive is not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A document is no JSON.
    #[error("a document of the archive cannot be written")]
    Document(#[from] serde_json::Error),
    /// It cannot be put together.
    #[error("the archive cannot be made")]
    Tar(#[source] io::Error),
    /// It cannot be stored.
    #[error("{}: the archive cannot be written", .path.display())]
    Write {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OciLayout {
    image_layout_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: [IndexEntry; 1],
}

#[derive(Serialize)]
struct IndexEntry {
    #[serde(flatten)]
    descriptor: Descriptor,
    annotations: BTreeMap<&'static str, String>,
    platform: Platform,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

/// An entry of `manifest.json`, which `docker load` reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: [String; 1],
}

/// The bytes of the archive with `image`, in which everything was changed last at `epoch`, in seconds since 1970.
///
/// # Errors
/// [`Error::Document`] and [`Error::Tar`].
pub fn archive(image: &Image, epoch: u64) -> Result<Vec<u8>, Error> {
    let path = |digest: &str| format!("blobs/sha256/{digest}");
    let layout = serde_json::to_vec(&OciLayout {
        image_layout_version: "1.0.0",
    })?;
    let index = serde_json::to_vec(&Index {
        schema_version: 2,
        media_type: "application/vnd.oci.image.index.v1+json",
        manifests: [IndexEntry {
            descriptor: Descriptor::of(MANIFEST, &image.manifest),
            annotations: BTreeMap::from([
                // Read by containerd and Podman, which know no names without a registry.
                ("io.containerd.image.name", full_name(&image.reference)),
                ("org.opencontainers.image.ref.name", image.tag.clone()),
            ]),
            platform: Platform {
                architecture: image.architecture.name(),
                os: "linux",
            },
        }],
    })?;
    let docker = serde_json::to_vec(&[DockerEntry {
        config: path(&image.config.digest),
        repo_tags: [&image.reference],
        layers: [path(&image.layer.compressed.digest)],
    }])?;

    let mut entries = vec![
        ("index.json".to_owned(), index.as_slice()),
        ("manifest.json".to_owned(), docker.as_slice()),
        ("oci-layout".to_owned(), layout.as_slice()),
    ];
    for blob in [&image.config, &image.layer.compressed, &image.manifest] {
        entries.push((path(&blob.digest), blob.bytes.as_slice()));
    }
    entries.sort();
    tar(&entries, epoch).map_err(Error::Tar)
}

fn tar(entries: &[(String, &[u8])], epoch: u64) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in BTreeSet::from(["blobs/", "blobs/sha256/"]) {
        let mut header = header(EntryType::Directory, 0o755, 0, epoch);
        tar.append_data(&mut header, folder, io::empty())?;
    }
    for (path, content) in entries {
        let mut header = header(EntryType::Regular, 0o644, content.len() as u64, epoch);
        tar.append_data(&mut header, path, *content)?;
    }
    tar.into_inner()
}

/// Writes an archive in one step: whoever reads `path` finds all of it, or what was there before.
///
/// # Errors
/// [`Error::Write`].
pub fn write(archive: &[u8], path: &Path) -> Result<(), Error> {
    let beside = path.with_extension("partial");
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&beside, archive)?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// The name that Kubernetes gives an image that is named without a registry.
fn full_name(reference: &str) -> String {
    if reference.contains('/') {
        reference.to_owned()
    } else {
        format!("docker.io/library/{reference}")
    }
}
