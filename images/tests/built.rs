//! The images that `make images` has built, where they are: each program in its own file system, as its own user.
//!
//! `make check-images` runs these tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use ordermill_images::files::USER;
use ordermill_images::image::LIMIT_FOR_TESTS;
use ordermill_images::layer::digest;
use ordermill_images::{Architecture, Program};
use serde_json::Value;
use tempfile::TempDir;

/// An archive, unpacked.
struct Built {
    program: Program,
    /// The file system of the image.
    root: TempDir,
    /// What is in its configuration under `config`.
    config: Value,
}

fn built(program: Program) -> Built {
    let folder = std::env::var("ORDERMILL_IMAGES").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"),
        PathBuf::from,
    );
    let layout = tempfile::tempdir().unwrap();
    let archive = fs::File::open(folder.join(format!("{}.tar", program.name())));
    tar::Archive::new(archive.expect("`make images` builds it"))
        .unpack(layout.path())
        .unwrap();
    let blob = |descriptor: &Value| {
        let digest_of = descriptor["digest"].as_str().unwrap().replace(':', "/");
        let bytes = fs::read(layout.path().join("blobs").join(&digest_of)).unwrap();
        assert_eq!(format!("sha256/{}", digest(&bytes)), digest_of);
        bytes
    };
    let index: Value =
        serde_json::from_slice(&fs::read(layout.path().join("index.json")).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
    let mut config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
    assert_eq!(
        config["architecture"],
        Architecture::of_this_machine().unwrap().name()
    );
    let layer = blob(&manifest["layers"][0]);
    let root = tempfile::tempdir().unwrap();
    // The program's user has to get in.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    tar::Archive::new(GzDecoder::new(layer.as_slice()))
        .unpack(root.path())
        .unwrap();
    Built {
        program,
        root,
        config: config["config"].take(),
    }
}

impl Built {
    fn binary(&self) -> Vec<u8> {
        fs::read(self.root.path().join(self.program.name())).unwrap()
    }

    /// The entry point with nothing but the image's files: as its user where this process is root, else as nobody else
    /// but with the same rights.
    fn command(&self) -> Command {
        let root = self.root.path();
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("chroot");
            command.arg(format!("--userspec={USER}:{USER}")).arg(root);
            command
        } else {
            let mut command = Command::new("unshare");
            command
                .args(["--user", "--map-root-user", "--root"])
                .arg(root);
            command
        };
        // As container engines do, the search path is given.
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env_clear().env("PATH", path);
        for variable in self.config["Env"].as_array().unwrap() {
            let (name, value) = variable.as_str().unwrap().split_once('=').unwrap();
            command.env(name, value);
        }
        command.arg(self.config["Entrypoint"][0].as_str().unwrap());
        command
    }
}

/// Where `bytes` have `part`.
fn contains(bytes: &[u8], part: &str) -> bool {
    bytes
        .windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// The program headers of a 64-bit ELF file by kind.
fn program_header_kinds(elf: &[u8]) -> Vec<u32> {
    let number = |offset: usize, bytes: usize| {
        elf[offset..offset + bytes]
            .iter()
            .rev()
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(elf[..5], *b"\x7fELF\x02");
    let (begin, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count)
        .map(|index| u32::try_from(number(begin + index * size, 4)).unwrap())
        .collect()
}

#[test]
#[ignore = "needs what `make images` builds"]
fn programs_are_small_and_need_no_library() {
    const INTERPRETER: u32 = 3;
    for program in Program::ALL {
        let binary = built(program).binary();
        assert!((1_000_000..LIMIT_FOR_TESTS).contains(&(binary.len() as u64)));
        assert!(!program_header_kinds(&binary).contains(&INTERPRETER));
    }
}

#[test]
#[ignore = "needs what `make images` builds"]
fn programs_do_not_tell_where_they_were_built() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let checkout = checkout.canonicalize().unwrap();
    let home = std::env::var("HOME").unwrap();
    for program in Program::ALL {
        let binary = built(program).binary();
        assert!(contains(&binary, "/cargo/registry/"));
        for folder in [checkout.to_str().unwrap(), &format!("{home}/.cargo")] {
            assert!(!contains(&binary, folder), "{}: {folder}", program.name());
        }
    }
}

#[test]
#[ignore = "needs what `make images` builds"]
fn programs_start_from_scratch() {
    for program in Program::ALL {
        let output = built(program).command().arg("--version").output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{} {}\n", program.name(), env!("CARGO_PKG_VERSION")),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
