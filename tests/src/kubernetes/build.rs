//! The programs of a control plane, from Go modules.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use super::Error;
use crate::cache::{self, Cache, Recipe};
use crate::once::once;
use crate::tools::{self, Go, MissingTool};

/// The release of Kubernetes.
pub const VERSION: &str = "1.34.4";
/// The release of etcd.
pub const ETCD_VERSION: &str = "3.6.4";

const GO_MOD: &str = include_str!("../../platform/kubernetes/go.mod");
const GO_SUM: &str = include_str!("../../platform/kubernetes/go.sum");
const MAIN: &str = include_str!("../../platform/kubernetes/main.go");

const API_SERVER: &str = "kube-apiserver";
const CONTROLLERS: &str = "kube-controller-manager";
const KUBECTL: &str = "kubectl";
const ETCD: &str = "etcd";

/// The programs of a control plane.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The API server.
    pub api_server: PathBuf,
    /// The built-in controllers.
    pub controllers: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
    /// The store.
    pub etcd: PathBuf,
    built: bool,
}

impl Binaries {
    /// Takes API server, etcd and kubectl from `$KUBEBUILDER_ASSETS` where that is set, and builds the others unless the cache
    /// has them. Blocks for as long as that takes: about eight minutes the first time.
    ///
    /// # Errors
    /// [`Error::Assets`] and [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty());
        Self::prepare_with(&Cache::of_user()?, assets.map(PathBuf::from).as_deref())
    }

    fn prepare_with(cache: &Cache, assets: Option<&Path>) -> Result<Self, Error> {
        let Some(assets) = assets else {
            return Self::build(cache);
        };
        let program = |name: &str| assets.join(name);
        for name in [API_SERVER, KUBECTL, ETCD] {
            if !program(name).is_file() {
                return Err(Error::Assets {
                    folder: assets.to_owned(),
                    program: name,
                });
            }
        }
        let given = program(CONTROLLERS);
        if given.is_file() {
            return Ok(Self::of(&program, given, false));
        }
        let ours = build(cache, &CONTROLLERS_ALONE)?;
        Ok(Self::of(&program, ours.path.join(CONTROLLERS), ours.made))
    }

    /// Builds all of them unless the cache has them, whatever the environment offers.
    ///
    /// # Errors
    /// [`Error::Build`].
    pub(crate) fn build(cache: &Cache) -> Result<Self, Error> {
        let all = build(cache, &CONTROL_PLANE)?;
        let program = |name: &str| all.path.join(name);
        Ok(Self::of(&program, program(CONTROLLERS), all.made))
    }

    fn of(program: &dyn Fn(&str) -> PathBuf, controllers: PathBuf, built: bool) -> Self {
        Self {
            api_server: program(API_SERVER),
            controllers,
            kubectl: program(KUBECTL),
            etcd: program(ETCD),
            built,
        }
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Binaries> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// Whether any was built by this very call.
    #[must_use]
    pub fn was_built(&self) -> bool {
        self.built
    }
}

/// Programs that are built together.
struct Set {
    name: &'static str,
    work: &'static str,
    programs: &'static [&'static str],
}

const CONTROL_PLANE: Set = Set {
    name: "kubernetes",
    work: "building it from Go modules, about eight minutes",
    programs: &[API_SERVER, CONTROLLERS, KUBECTL, ETCD],
};

const CONTROLLERS_ALONE: Set = Set {
    name: CONTROLLERS,
    work: "building it from Go modules, about five minutes",
    programs: &[CONTROLLERS],
};

const NODE: Set = Set {
    name: "kubernetes-node",
    work: "building it from Go modules, about five minutes",
    programs: &["kubelet", "kubeadm", "kube-proxy", "kube-scheduler"],
};

/// Builds what a cluster of nodes has besides the control plane unless the cache has it.
///
/// # Errors
/// [`cache::Error`].
pub(crate) fn build_node_programs(cache: &Cache) -> Result<cache::Entry, Error> {
    build(cache, &NODE)
}

fn build(cache: &Cache, set: &Set) -> Result<cache::Entry, Error> {
    let linker_flags = linker_flags();
    let recipe = Recipe {
        name: set.name,
        version: VERSION,
        work: set.work,
        files: &[
            ("go.mod", GO_MOD),
            ("go.sum", GO_SUM),
            ("main.go", MAIN),
            // Read by nobody, but another build with other flags.
            ("linker-flags", &linker_flags),
        ],
    };
    Ok(cache.entry(&recipe, |workshop| {
        let go = toolchain()?;
        let build = |output: &Path, packages: &[String]| {
            let mut build = go.command(workshop);
            build
                .current_dir(&workshop.recipe)
                .args(["build", "-mod=readonly", "-trimpath"])
                .arg(&linker_flags)
                .arg("-o")
                .arg(output)
                .args(packages);
            tools::run(&mut build).map(drop)
        };
        let of_kubernetes: Vec<String> = set
            .programs
            .iter()
            .filter(|program| **program != ETCD)
            .map(|program| format!("k8s.io/kubernetes/cmd/{program}"))
            .collect();
        // A folder that ends in a slash takes every program under its own name.
        build(&workshop.product.join(""), &of_kubernetes)?;
        if set.programs.contains(&ETCD) {
            build(&workshop.product.join(ETCD), &[".".to_owned()])?;
        }
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    })?)
}

/// What tells the programs their version: clients read it from the API server.
fn linker_flags() -> String {
    let mut parts = VERSION.split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    let values = [
        ("gitVersion", format!("v{VERSION}")),
        ("gitMajor", major.to_owned()),
        ("gitMinor", minor.to_owned()),
        ("gitTreeState", "clean".to_owned()),
    ];
    // The first is what `version` tells, the second what clients call themselves.
    let places = ["component-base/version", "client-go/pkg/version"];
    let mut flags = "-ldflags=-s -w".to_owned();
    for place in places {
        for (name, value) in &values {
            flags.extend([" -X k8s.io/", place, ".", name, "=", value]);
        }
    }
    flags
}

/// The toolchain that a build would use.
fn toolchain() -> Result<Go, MissingTool> {
    Go::find(GO_MOD).map_err(|missing| MissingTool {
        need: missing
            .need
            .replace("the OpenTelemetry Collector", "Kubernetes"),
        ..missing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        folder
    }

    #[test]
    fn given_programs_are_taken() {
        let cache = tempfile::tempdir().unwrap();
        let given = assets(&[API_SERVER, KUBECTL, ETCD, CONTROLLERS]);
        let cache = Cache::at(cache.path().to_owned());
        let binaries = Binaries::prepare_with(&cache, Some(given.path())).unwrap();
        assert_eq!(binaries.etcd, given.path().join("etcd"));
        assert_eq!(
            binaries.controllers,
            given.path().join("kube-controller-manager")
        );
        assert!(!binaries.was_built());
    }

    #[test]
    fn a_folder_without_a_program_is_told() {
        let cache = tempfile::tempdir().unwrap();
        let given = assets(&[API_SERVER, ETCD]);
        let cache = Cache::at(cache.path().to_owned());
        let error = Binaries::prepare_with(&cache, Some(given.path())).unwrap_err();
        assert!(error.to_string().contains("no kubectl"), "{error}");
    }

    #[test]
    fn the_programs_are_told_their_version() {
        let flags = linker_flags();
        assert!(flags.contains("gitVersion=v1.34.4 "), "{flags}");
        assert!(flags.contains("gitMajor=1 ") && flags.contains("gitMinor=34 "));
    }
}
