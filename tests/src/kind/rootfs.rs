//! The system of a node, from Debian's packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, programs};
use crate::cache::{Cache, Entry, Recipe};
use crate::tools::{self, MissingTool};

/// The release of Debian.
const RELEASE: &str = "bookworm";
/// What a node needs besides Debian's base: kind's own list, and the container runtime with its network plugins.
const PACKAGES: &str = "bash,ca-certificates,conntrack,containerd,containernetworking-plugins,curl,dbus,ethtool,iproute2,\
                        iptables,jq,kmod,libseccomp2,mount,nftables,pigz,procps,runc,socat,systemd,systemd-sysv,util-linux";
/// What nobody reads there.
const NEEDLESS: &[&str] = &[
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];
/// Where packages come from where that is not Debian's own site.
const MIRROR: &str = "ORDERMILL_DEBIAN_MIRROR";

/// A system as one archive.
#[derive(Debug, Clone)]
pub struct Rootfs {
    entry: Entry,
}

impl Rootfs {
    /// Fetches and unpacks the packages unless the cache has them. Blocks for as long as that takes: about two minutes.
    ///
    /// # Errors
    /// [`Error::Build`]: it takes debootstrap, and root.
    pub fn prepare() -> Result<Self, Error> {
        let recipe = Recipe {
            name: "debian",
            version: RELEASE,
            work: "installing a node's packages by debootstrap, about two minutes",
            files: &[("packages", PACKAGES), ("needless", &NEEDLESS.join(" "))],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let system = workshop.leftovers.join("system");
            let mut install = Command::new(debootstrap()?);
            install
                .args([
                    "--variant=minbase",
                    &format!("--include={PACKAGES}"),
                    RELEASE,
                ])
                .arg(&system);
            if let Some(mirror) = std::env::var_os(MIRROR).filter(|mirror| !mirror.is_empty()) {
                install.arg(mirror);
            }
            tools::run(&mut install)?;
            archive(&system, &workshop.product.join("rootfs.tar"))
        })?;
        Ok(Self { entry })
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.entry.path.join("rootfs.tar")
    }

    /// What it was made from, as part of other recipes.
    pub(super) fn identity(&self) -> String {
        programs::identity(&self.entry)
    }
}

fn archive(system: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for folder in NEEDLESS {
        let folder = system.join(folder);
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    let mut pack = Command::new("tar");
    // Devices are the engine's to make.
    pack.args([
        "--sort=name",
        "--numeric-owner",
        "--exclude=./dev/*",
        "--directory",
    ])
    .arg(system)
    .arg("--create")
    .arg("--file")
    .arg(to)
    .arg(".");
    tools::run(&mut pack)?;
    Ok(())
}

fn debootstrap() -> Result<PathBuf, MissingTool> {
    let known = ["/usr/sbin/debootstrap", "/sbin/debootstrap"].map(PathBuf::from);
    let found = known.iter().find(|program| program.is_file());
    found.cloned().ok_or_else(|| MissingTool {
        need: "debootstrap, for the system of nodes, brokers and databases".to_owned(),
        looked: known.map(|program| program.display().to_string()).to_vec(),
        remedy: "Install Debian's package debootstrap (docs/air-gap.md tells what else is needed).",
    })
}
