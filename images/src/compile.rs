//! The programs, statically linked, without a trace of the folder and the time that they are built in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{env, io};

use crate::{Architecture, Program};

/// Where a build takes place; all folders are absolute.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The workspace.
    pub checkout: PathBuf,
    /// Where cargo keeps the sources of crates.
    pub cargo_home: PathBuf,
    /// Where cargo builds; of this build alone, whose C libraries other builds would not make alike.
    pub target: PathBuf,
    /// For which processor.
    pub architecture: Architecture,
    /// The profile of cargo; its results are in a folder of its name, as of every profile but cargo's own `dev`.
    pub profile: String,
}

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder for crates is known.
    #[error("neither CARGO_HOME nor HOME is set")]
    NoCargoHome,
    /// A folder is not there.
    #[error("{}: no such folder", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The search path has a folder with a colon in its name.
    #[error("the compiler cannot be put into PATH")]
    Path(#[from] env::JoinPathsError),
    /// There is no cargo.
    #[error("cargo cannot be run")]
    Run(#[source] io::Error),
    /// The build failed.
    #[error("cargo build: {0}")]
    Failed(ExitStatus),
}

impl Compiler {
    /// Builds the workspace in `checkout` by what the environment says, `CARGO_TARGET_DIR` for instance.
    ///
    /// # Errors
    /// [`Error::Folder`] and [`Error::NoCargoHome`].
    pub fn of_environment(
        checkout: &Path,
        architecture: Architecture,
        profile: String,
    ) -> Result<Self, Error> {
        let folder = |variable| {
            env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let checkout = checkout.canonicalize().map_err(|source| Error::Folder {
            path: checkout.to_owned(),
            source,
        })?;
        let cargo_home = folder("CARGO_HOME")
            .or_else(|| Some(folder("HOME")?.join(".cargo")))
            .ok_or(Error::NoCargoHome)?;
        let target = folder("CARGO_TARGET_DIR").unwrap_or_else(|| PathBuf::from("target"));
        Ok(Self {
            target: checkout.join(target).join("static"),
            cargo_home: checkout.join(cargo_home),
            checkout,
            architecture,
            profile,
        })
    }

    /// Builds all programs. What cargo says goes to standard error.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&self) -> Result<(), Error> {
        let mut path = vec![self.checkout.join("images/compiler")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new("cargo");
        // `cargo run` tells this program of its own package, which crates would take for a reason to be built anew.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        let status = command
            .args(["build", "--locked", "--profile", &self.profile])
            .arg("--target")
            .arg(self.architecture.target())
            .arg("--target-dir")
            .arg(&self.target)
            .args(
                Program::ALL
                    .iter()
                    .flat_map(|program| ["--package", program.name()]),
            )
            .current_dir(&self.checkout)
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags())
            // By its name alone, which cargo counts among what a crate is built with.
            .env("RUSTC_WORKSPACE_WRAPPER", "ordermill-rustc")
            // OpenSSL keeps it as the time that it was built at; a build that is cached must not keep another.
            .env("SOURCE_DATE_EPOCH", "0")
            .env("PATH", env::join_paths(path)?)
            .env(
                "ORDERMILL_CC",
                env::var_os("CC").unwrap_or_else(|| "cc".into()),
            )
            .env("CC", "ordermill-cc")
            .env("ORDERMILL_CHECKOUT", &self.checkout)
            .env("ORDERMILL_CARGO_HOME", &self.cargo_home)
            .env("ORDERMILL_TARGET", &self.target)
            .status()
            .map_err(Error::Run)?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Failed(status))
        }
    }

    /// The folder that the programs are in.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.target
            .join(self.architecture.target())
            .join(&self.profile)
    }

    /// For rustc, with the separators that let a folder have spaces. The checkout is not among the folders: cargo builds
    /// a crate anew whose flags are others, and a checkout elsewhere can use the dependencies that another one has built.
    fn rust_flags(&self) -> OsString {
        let mut flags = OsString::from("-C\u{1f}target-feature=+crt-static");
        for (folder, name) in [
            (&self.cargo_home, "/cargo"),
            (&self.target, "/ordermill/target"),
        ] {
            flags.push("\u{1f}--remap-path-prefix=");
            flags.push(folder);
            flags.push("=");
            flags.push(name);
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_built_without_the_name_of_the_checkout() {
        let compiler = Compiler {
            checkout: "/home/a b/ordermill".into(),
            cargo_home: "/home/a b/.cargo".into(),
            target: "/home/a b/target/static".into(),
            architecture: Architecture::Amd64,
            profile: "quick".to_owned(),
        };
        let flags = compiler.rust_flags().into_string().unwrap();
        assert_eq!(
            flags.split('\u{1f}').collect::<Vec<_>>(),
            [
                "-C",
                "target-feature=+crt-static",
                "--remap-path-prefix=/home/a b/.cargo=/cargo",
                "--remap-path-prefix=/home/a b/target/static=/ordermill/target",
            ]
        );
        assert_eq!(
            compiler.programs(),
            Path::new("/home/a b/target/static/x86_64-unknown-linux-gnu/quick")
        );
    }
}
