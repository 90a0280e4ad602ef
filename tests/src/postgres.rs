//! A real PostgreSQL: one server of its own for each test that asks for one.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::{JoinError, spawn_blocking};

use crate::Scratch;
use crate::cache::{self, Cache, Recipe};
use crate::once::once;
use crate::ports::{self, Port};
use crate::process::{self, Exit, Launch, Process};
use crate::tools::{self, Jdk, Maven};
use crate::wait::until;

/// The release of PostgreSQL.
pub const VERSION: &str = "16.9.0";

const POM: &str = include_str!("../platform/postgres/pom.xml");
/// Who runs it where this process is root, which it refuses to be run by.
const NOBODY: &str = "65534";
/// A second on an idle machine.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] tools::MissingTool),
    /// The programs cannot be had.
    #[error("PostgreSQL's programs cannot be had")]
    Fetch(#[from] cache::Error),
    /// The task that looked for them was cancelled.
    #[error("PostgreSQL's programs were not looked for")]
    Cancelled(#[source] JoinError),
    /// A file cannot be made.
    #[error("a file of PostgreSQL cannot be made")]
    Files(#[source] io::Error),
    /// No port is free.
    #[error("no port is free for PostgreSQL")]
    Ports(#[source] io::Error),
    /// A program cannot be run.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] tools::CommandError),
    /// The cluster cannot be made.
    #[error("initdb failed: {0:?}")]
    Init(Exit),
    /// The server does not answer.
    #[error("PostgreSQL does not answer: {0}")]
    Start(String),
}

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub struct Distribution {
    folder: PathBuf,
    fetched: bool,
}

impl Distribution {
    /// Fetches the programs unless the cache has them. Blocks for as long as that takes: some seconds the first time.
    ///
    /// # Errors
    /// [`Error::Tool`] and [`Error::Fetch`].
    pub fn prepare() -> Result<Self, Error> {
        let recipe = Recipe {
            name: "postgres",
            version: VERSION,
            work: "fetching it (15 MB) by Maven, some seconds",
            files: &[("pom.xml", POM)],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let (jdk, pom) = (Jdk::find()?, workshop.recipe.join("pom.xml"));
            let jars = workshop.leftovers.join("jars");
            Maven::find()?.copy_dependencies(&jdk, &pom, &jars)?;
            let packed = workshop.leftovers.join("packed");
            fs::create_dir_all(&packed)?;
            for jar in fs::read_dir(&jars)? {
                let mut unpack = Command::new(jdk.home().join("bin/jar"));
                unpack.arg("--extract").arg("--file").arg(jar?.path());
                tools::run(unpack.current_dir(&packed))?;
            }
            let mut unpack = Command::new("tar");
            unpack
                .args(["--extract", "--xz", "--file"])
                .arg(packed.join("postgres-linux-x86_64.txz"))
                .arg("--directory")
                .arg(&workshop.product);
            tools::run(&mut unpack)?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        Ok(Self {
            folder: entry.path,
            fetched: entry.made,
        })
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Distribution> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether they were fetched by this very call.
    #[must_use]
    pub const fn was_fetched(&self) -> bool {
        self.fetched
    }
}

/// A server with one empty database. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    launch: Launch,
    port: Port,
    _folder: Scratch,
}

impl Postgres {
    /// Makes a cluster of databases, starts a server, and waits until it answers.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start() -> Result<Self, Error> {
        let distribution = Distribution::get().await?;
        let folder = Scratch::new("postgres").map_err(Error::Files)?;
        let (programs, data) = (folder.path().join("programs"), folder.path().join("data"));
        let root = folder.path().to_owned();
        let (source, target) = (distribution.folder.clone(), programs.clone());
        spawn_blocking(move || own(&source, &target, &root))
            .await
            .map_err(Error::Cancelled)??;
        let bin = programs.join("bin");
        let exit = as_nobody("initdb", &bin.join("initdb"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data)
            .start()?
            .wait(START_DEADLINE)
            .await?;
        if exit.code() != Some(0) {
            return Err(Error::Init(exit));
        }
        let [port] = ports::pick().map_err(Error::Ports)?;
        let launch = as_nobody("postgres", &bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            // What a killed server leaves in shared memory would outlive the test.
            .args([
                "-c",
                "dynamic_shared_memory_type=mmap",
                "-c",
                "max_connections=200",
                // A server that is killed loses nothing that it has written, only a machine would.
                "-c",
                "fsync=off",
            ])
            .args(["-c", &format!("port={}", port.number())]);
        let mut server = Self {
            process: launch.clone().start()?,
            launch,
            port,
            _folder: folder,
        };
        server.answers().await?;
        Ok(server)
    }

    /// The URL of its database, for somebody who may do anything there.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres",
            self.port.number()
        )
    }

    /// Kills it as a crash would. What was committed stays.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn kill(&mut self) -> Result<(), Error> {
        Ok(self.process.kill()?)
    }

    /// Starts it again on its data, and waits until it answers.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.process.kill()?;
        self.process = self.launch.clone().start()?;
        self.answers().await
    }

    /// Waits until it takes connections. While helpers of a server that was killed are still there the next one ends at
    /// once: it is started again.
    async fn answers(&mut self) -> Result<(), Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()));
        let connected = until(START_DEADLINE, async || {
            if let Ok(Some(_)) = self.process.status() {
                self.process = self.launch.clone().start().map_err(io::Error::other)?;
            }
            TcpStream::connect(address).await
        });
        let connected = connected.await;
        connected.map(drop).map_err(|timed_out| {
            Error::Start(format!("{timed_out}\n{}", self.process.last_lines()))
        })
    }
}

/// A program of PostgreSQL, as somebody who is not root.
fn as_nobody(name: &str, program: &Path) -> Launch {
    if !rustix::process::geteuid().is_root() {
        return Launch::new(name, program);
    }
    // A change of user ends the tie to this process, so that it is made anew.
    Launch::new(name, "setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
}

/// Copies the programs to where the server may read them, and gives it the folder.
fn own(source: &Path, target: &Path, folder: &Path) -> Result<(), Error> {
    tools::copy_folder(source, target)?;
    if rustix::process::geteuid().is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        tools::run(
            Command::new("chown")
                .arg("--recursive")
                .arg(owner)
                .arg(folder),
        )?;
    }
    Ok(())
}
