//! The image of a cluster's node, with those of its control plane in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::programs::{Kind, NodePrograms};
use super::{Engine, Error, Rootfs};
use crate::cache::Recipe;
use crate::kubernetes::VERSION;
use crate::{Scratch, tools};

macro_rules! recipe_files {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../platform/", $folder, "/", $file)))),+]
    };
}

const NODE_FILES: &[(&str, &str)] = recipe_files!("node":
    "Dockerfile",
    "files/etc/cni/net.d/10-ordermill.conflist",
    "files/kind/configure.sh",
    "files/kind/manifests/default-cni.yaml",
    "files/kind/manifests/default-storage.yaml",
);
const CONTROL_PLANE_FILES: &[(&str, &str)] =
    recipe_files!("node/control-plane": "Dockerfile", "pause.c");
const KUBE_PROXY_FILES: &[(&str, &str)] =
    recipe_files!("node/kube-proxy": "Dockerfile", "collect.sh");

/// The image of the same minor version that was built for the kind release in `tests/platform/kind`
/// (<https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0>).
const OFFICIAL: &str =
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d";

/// Which image a node is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeImage {
    /// Ours, from packages and Go modules.
    Ours,
    /// kind's own, which it pulls.
    Official,
}

impl NodeImage {
    /// The image's name, built first where it is ours and not there yet.
    ///
    /// # Errors
    /// [`Error`], when a part cannot be made.
    pub fn prepare(self, engine: &Engine) -> Result<String, Error> {
        match self {
            Self::Official => Ok(OFFICIAL.to_owned()),
            Self::Ours => node_image(engine),
        }
    }
}

/// A folder that an image is built from.
pub(super) struct Context(Scratch);

impl Context {
    pub(super) fn new(files: &[(&str, &str)]) -> Result<Self, Error> {
        let context = Self(Scratch::new("image").map_err(Error::files("a temporary folder"))?);
        for (name, text) in files {
            let path = context.path().join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(Error::files(folder))?;
            }
            fs::write(&path, text).map_err(Error::files(&path))?;
        }
        Ok(context)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn add(&self, file: &Path, name: &str) -> Result<(), Error> {
        let target = self.path().join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(Error::files(folder))?;
        }
        // A link is free, where both are on one disk.
        fs::hard_link(file, &target)
            .or_else(|_| fs::copy(file, &target).map(drop))
            .map_err(Error::files(file))
    }

    pub(super) fn add_folder(&self, folder: &Path, name: &str) -> Result<(), Error> {
        tools::copy_folder(folder, &self.path().join(name))
            .map_err(Error::command("copying a folder"))
    }
}

fn node_image(engine: &Engine) -> Result<String, Error> {
    let kind = Kind::prepare()?;
    let programs = NodePrograms::prepare()?;
    let rootfs = Rootfs::prepare()?;
    let parts = [kind.identity(), programs.identity(), rootfs.identity()].join(" ");
    let files: Vec<(&str, &str)> = NODE_FILES
        .iter()
        .chain(CONTROL_PLANE_FILES)
        .chain(KUBE_PROXY_FILES)
        .copied()
        .chain([("parts", parts.as_str())])
        .collect();
    let recipe = Recipe {
        name: "node",
        version: VERSION,
        work: "building the node image, about a minute",
        files: &files,
    };
    engine.image(&recipe, |name| {
        let base = format!("{name}-base");
        let context = Context::new(NODE_FILES)?;
        context.add(&rootfs.archive(), "rootfs.tar")?;
        context.add_folder(&kind.base_files(), "base")?;
        for program in ["kubelet", "kubeadm", "kubectl"] {
            context.add(&programs.program(program), &format!("programs/{program}"))?;
        }
        let version = context.path().join("files/kind/version");
        fs::write(&version, format!("v{VERSION}\n")).map_err(Error::files(&version))?;
        engine.build(context.path(), &[], &base)?;
        let archive = control_plane(engine, &programs, &rootfs)?;
        with_images(engine, &base, &archive.path().join(ARCHIVE), name)
    })
}

const ARCHIVE: &str = "images.tar";

/// The images that kubeadm asks for, in one archive.
fn control_plane(
    engine: &Engine,
    programs: &NodePrograms,
    rootfs: &Rootfs,
) -> Result<Context, Error> {
    let names = needed_images(&programs.program("kubeadm"))?;
    for (program, name) in &names {
        match *program {
            "kube-proxy" => {
                let context = Context::new(KUBE_PROXY_FILES)?;
                context.add(&rootfs.archive(), "rootfs.tar")?;
                context.add(&programs.program(program), program)?;
                engine.build(context.path(), &[], name)?;
            }
            program => {
                let context = Context::new(CONTROL_PLANE_FILES)?;
                if program == "pause" {
                    compile_pause(context.path())?;
                } else {
                    context.add(&programs.program(program), program)?;
                }
                let stage = match program {
                    "coredns" | "pause" => "entry-point",
                    _ => "command",
                };
                let argument = format!("PROGRAM={program}");
                let options = ["--target", stage, "--build-arg", &argument];
                engine.build(context.path(), &options, name)?;
            }
        }
    }
    let product = Context::new(&[])?;
    let archive = product.path().join(ARCHIVE);
    let save: [&OsStr; 3] = ["save".as_ref(), "--output".as_ref(), archive.as_os_str()];
    let save = save.into_iter().chain(names.values().map(OsStr::new));
    engine.run("saving the images of the control plane", save)?;
    // Under these names others expect the official ones.
    let untag = ["image", "rm"].into_iter();
    let untag = untag.chain(names.values().map(String::as_str));
    engine.run("removing the names of the control plane's images", untag)?;
    Ok(product)
}

fn compile_pause(folder: &Path) -> Result<(), Error> {
    let mut compile = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compile
        .current_dir(folder)
        .args(["-static", "-Os", "-s", "-o", "pause", "pause.c"]);
    tools::run(&mut compile).map_err(Error::command("compiling pause"))?;
    Ok(())
}

/// The programs that an image is made for.
const PROGRAMS: [&str; 7] = [
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "pause",
];

/// What this release of kubeadm asks for, by the program that each image holds.
fn needed_images(kubeadm: &Path) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut list = Command::new(kubeadm);
    let version = format!("v{VERSION}");
    list.args(["config", "images", "list", "--kubernetes-version", &version]);
    let output = tools::run(&mut list).map_err(Error::command("asking kubeadm for its images"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = |image: &str| Ok((program_of(image)?, image.to_owned()));
    text.lines().map(named).collect()
}

/// `registry.k8s.io/coredns/coredns:v1.12.1` holds `coredns`.
fn program_of(image: &str) -> Result<&'static str, Error> {
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split(':').next().unwrap_or(last);
    let mut programs = PROGRAMS.into_iter();
    let program = programs.find(|program| *program == name);
    program.ok_or_else(|| Error::UnknownImage(image.to_owned()))
}

/// Puts images into the node's own container runtime: a cluster starts from nothing else.
fn with_images(engine: &Engine, base: &str, archive: &Path, name: &str) -> Result<(), Error> {
    let what = "putting the control plane's images into the node";
    // The containerd in it needs no more rights to unpack nothing.
    let container = engine.run(
        what,
        ["run", "--detach", "--entrypoint", "sleep", base, "infinity"],
    )?;
    let fill = || {
        let into = format!("{container}:/images.tar");
        let copy: [&OsStr; 3] = ["cp".as_ref(), archive.as_os_str(), into.as_ref()];
        engine.run(what, copy)?;
        engine.run(what, ["exec", &container, "sh", "-euc", IMPORT])?;
        let start = r#"ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]"#;
        engine.run(what, ["commit", "--change", start, &container, name])
    };
    let outcome = fill();
    engine.run(what, ["rm", "--force", &container])?;
    engine.run(what, ["image", "rm", "--no-prune", base])?;
    outcome.map(drop)
}

/// Unpacking is the cluster's work: only the content goes into the image.
const IMPORT: &str = "containerd >/dev/null 2>&1 & process=$!
until ctr version >/dev/null 2>&1; do kill -0 $process; sleep 0.1; done
ctr --namespace k8s.io images import --no-unpack /images.tar >/dev/null
kill $process
wait $process || true
rm -r /images.tar";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_of_kubeadm_has_its_program() {
        for (image, program) in [
            ("registry.k8s.io/kube-apiserver:v1.34.4", "kube-apiserver"),
            ("registry.k8s.io/coredns/coredns:v1.12.1", "coredns"),
            ("registry.k8s.io/pause:3.10.1", "pause"),
        ] {
            assert_eq!(program_of(image).unwrap(), program);
        }
        let unknown = program_of("registry.k8s.io/surprise:1").unwrap_err();
        assert!(unknown.to_string().contains("surprise:1"), "{unknown}");
    }
}
