//! The programs of a node and of kind itself, from Go modules.

use std::path::{Path, PathBuf};

use super::Error;
use crate::cache::{Cache, Entry};
use crate::go_program::GoProgram;
use crate::kubernetes;
use crate::tools;

/// The release of kind.
const KIND_VERSION: &str = "0.33.0";
/// The release of the cluster's name server.
const COREDNS_VERSION: &str = "1.12.4";

const COREDNS: GoProgram = GoProgram {
    name: "coredns",
    version: COREDNS_VERSION,
    work: "building it from Go modules, about two minutes",
    files: &[
        ("go.mod", include_str!("../../platform/coredns/go.mod")),
        ("go.sum", include_str!("../../platform/coredns/go.sum")),
        ("main.go", include_str!("../../platform/coredns/main.go")),
    ],
    package: ".",
};

const KIND: GoProgram = GoProgram {
    name: "kind",
    version: KIND_VERSION,
    work: "building it from Go modules, under a minute",
    files: &[
        ("go.mod", include_str!("../../platform/kind/go.mod")),
        ("go.sum", include_str!("../../platform/kind/go.sum")),
    ],
    package: "sigs.k8s.io/kind",
};

/// kind, and the files that its module brings for the images of nodes.
#[derive(Debug, Clone)]
pub struct Kind {
    entry: Entry,
}

impl Kind {
    /// Builds it unless the cache has it. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        let entry = KIND.prepare_with(|go, workshop| {
            let mut where_is_it = go.command(workshop);
            where_is_it.current_dir(&workshop.recipe).args([
                "list",
                "-m",
                "-f",
                "{{.Dir}}",
                KIND.package,
            ]);
            let module = tools::run(&mut where_is_it)?.stdout;
            let module = PathBuf::from(String::from_utf8_lossy(&module).trim());
            copy_folder(
                &module.join("images/base/files"),
                &workshop.product.join("base"),
            )?;
            Ok(())
        })?;
        Ok(Self { entry })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.entry.path.join(KIND.name)
    }

    /// The files of a node's base image.
    #[must_use]
    pub fn base_files(&self) -> PathBuf {
        self.entry.path.join("base")
    }

    /// What it was built from, as part of other recipes.
    pub(super) fn identity(&self) -> String {
        identity(&self.entry)
    }
}

/// What runs on a node of ours, and in its control plane.
#[derive(Debug, Clone)]
pub struct NodePrograms {
    control_plane: kubernetes::Binaries,
    node: Entry,
    coredns: PathBuf,
}

impl NodePrograms {
    /// Builds them unless the cache has them. Blocks for as long as that takes: about fifteen minutes in all.
    ///
    /// # Errors
    /// [`Error::Build`] and [`Error::Kubernetes`].
    pub fn prepare() -> Result<Self, Error> {
        let cache = Cache::of_user()?;
        Ok(Self {
            control_plane: kubernetes::Binaries::build(&cache)?,
            node: kubernetes::build_node_programs(&cache)?,
            coredns: COREDNS.prepare()?.path,
        })
    }

    /// Where a program is, by its name.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        match name {
            "kube-apiserver" => self.control_plane.api_server.clone(),
            "kube-controller-manager" => self.control_plane.controllers.clone(),
            "kubectl" => self.control_plane.kubectl.clone(),
            "etcd" => self.control_plane.etcd.clone(),
            "coredns" => self.coredns.clone(),
            other => self.node.path.join(other),
        }
    }

    /// What they were built from, as part of other recipes.
    pub(super) fn identity(&self) -> String {
        let parents = [&self.control_plane.api_server, &self.coredns]
            .map(|program| program.parent().and_then(Path::file_name));
        format!("{} {parents:?}", identity(&self.node))
    }
}

/// The entry's name, which carries version and hash.
pub(super) fn identity(entry: &Entry) -> String {
    let name = entry.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Copies files and folders below `from`; modules are read-only, the copy is not.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::write(&target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}
