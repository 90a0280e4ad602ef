//! An image: its layer, what it is called, and the JSON documents that say how it runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::files::{self, AUTHORITIES, File, USER};
use crate::layer::{self, Blob, Layer};
use crate::{Architecture, Program};

/// An image for people has less than this, in bytes, before compression.
pub const LIMIT: u64 = 30_000_000;
/// One for tests, whose program is built sooner and not smaller.
pub const LIMIT_FOR_TESTS: u64 = 60_000_000;

/// The limit of images whose programs are built with a profile of cargo.
#[must_use]
pub fn limit_of(profile: &str) -> u64 {
    if profile == "quick" {
        LIMIT_FOR_TESTS
    } else {
        LIMIT
    }
}

/// What all images of a build have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// What the programs are built for.
    pub architecture: Architecture,
    /// The version, which is the tag too.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The commit's time: no clock is in an image.
    pub created: Timestamp,
    /// An image has less than this, in bytes, before compression.
    pub limit: u64,
    /// Where the sources are, if they are somewhere.
    pub source: Option<String>,
    /// What stands before the images' names, such as `ghcr.io/somebody`.
    pub registry: Option<String>,
}

impl Build {
    /// When everything in the images was changed last, in seconds since 1970.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        u64::try_from(self.created.as_second()).unwrap_or(0)
    }
}

/// An image, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name with its tag, such as `ordermill-operator:0.1.0`.
    pub reference: String,
    /// Its tag.
    pub tag: String,
    /// What it is for.
    pub architecture: Architecture,
    /// Its files.
    pub layer: Layer,
    /// How to run them.
    pub config: Blob,
    /// Which layer and config belong together.
    pub manifest: Blob,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It would be larger than promised.
    #[error("{name} has {size} bytes, and less than {limit} are allowed")]
    TooLarge {
        /// Which.
        name: &'static str,
        /// Of all its files.
        size: u64,
        /// What it must have less than.
        limit: u64,
    },
    /// The files are no layer.
    #[error("the layer cannot be made")]
    Layer(#[source] std::io::Error),
    /// A document is no JSON.
    #[error("a document of the image cannot be written")]
    Document(#[from] serde_json::Error),
}

/// The media types of OCI images.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[derive(Serialize)]
struct Config<'a> {
    created: String,
    architecture: &'static str,
    os: &'static str,
    #[serde(rename = "config")]
    execution: Execution<'a>,
    rootfs: RootFilesystem,
    history: [History; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution<'a> {
    user: String,
    env: [String; 1],
    entrypoint: [String; 1],
    working_dir: &'static str,
    labels: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct RootFilesystem {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [String; 1],
}

#[derive(Serialize)]
struct History {
    created: String,
    created_by: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: &'a BTreeMap<&'static str, String>,
}

/// What stands for a blob in another document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
}

impl Descriptor {
    pub(crate) fn of(media_type: &'static str, blob: &Blob) -> Self {
        Self {
            media_type,
            digest: format!("sha256:{}", blob.digest),
            size: blob.bytes.len(),
        }
    }
}

/// The labels of the image of `program`.
#[must_use]
pub fn labels(program: Program, build: &Build) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([
        ("org.opencontainers.image.title", program.title().to_owned()),
        (
            "org.opencontainers.image.description",
            program.description().to_owned(),
        ),
        ("org.opencontainers.image.version", build.version.clone()),
        ("org.opencontainers.image.revision", build.revision.clone()),
        (
            "org.opencontainers.image.created",
            build.created.to_string(),
        ),
        (
            "org.opencontainers.image.licenses",
            env!("CARGO_PKG_LICENSE").to_owned(),
        ),
    ]);
    if let Some(source) = &build.source {
        labels.insert("org.opencontainers.image.source", source.clone());
    }
    labels
}

/// The image of `program`, whose statically linked bytes are `binary`.
///
/// # Errors
/// [`Error`]; [`Error::TooLarge`] for one that is not small.
pub fn image(program: Program, binary: Vec<u8>, build: &Build) -> Result<Image, Error> {
    let files = files::files(program, binary);
    check_size(program, &files, build.limit)?;
    let layer = layer::layer(&files, build.epoch()).map_err(Error::Layer)?;
    let labels = labels(program, build);
    let created = build.created.to_string();
    let config = Config {
        created: created.clone(),
        architecture: build.architecture.name(),
        os: "linux",
        execution: Execution {
            user: format!("{USER}:{USER}"),
            env: [format!("SSL_CERT_FILE=/{AUTHORITIES}")],
            entrypoint: [format!("/{}", program.name())],
            working_dir: "/",
            labels: &labels,
        },
        rootfs: RootFilesystem {
            kind: "layers",
            diff_ids: [format!("sha256:{}", layer.tar_digest)],
        },
        history: [History {
            created,
            created_by: env!("CARGO_PKG_NAME"),
        }],
    };
    let config = Blob::new(serde_json::to_vec(&config)?);
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config: Descriptor::of(CONFIG, &config),
        layers: [Descriptor::of(LAYER, &layer.compressed)],
        annotations: &labels,
    };
    let repository = match &build.registry {
        Some(registry) => format!("{registry}/{}", program.name()),
        None => program.name().to_owned(),
    };
    Ok(Image {
        reference: format!("{repository}:{}", build.version),
        tag: build.version.clone(),
        architecture: build.architecture,
        manifest: Blob::new(serde_json::to_vec(&manifest)?),
        layer,
        config,
    })
}

/// Whether `files` are few and small enough for an image.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn check_size(program: Program, files: &[File], limit: u64) -> Result<(), Error> {
    let size = files.iter().map(|file| file.content.len() as u64).sum();
    if size >= limit {
        return Err(Error::TooLarge {
            name: program.name(),
            size,
            limit,
        });
    }
    Ok(())
}
