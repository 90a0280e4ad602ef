//! What a broker is ready with after a third of the work: Kafka's classes as a JVM has them in memory, and a formatted log.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::builder::FORMAT;
use super::distribution::{JVM_OPTIONS, VERSION, class_path};
use super::properties::{DATA, Listener, Properties};
use crate::cache::{self, Cache, Recipe};
use crate::ports;
use crate::tools::{self, CommandError, Jdk, copy_folder};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The archive is written when the broker ends, which takes longer than all before.
const DEADLINE: Duration = Duration::from_mins(3);
const STARTED: &str = "Kafka Server started";

/// What is kept for a JDK and these jars.
#[derive(Debug, Clone)]
pub(super) struct QuickStart(PathBuf);

impl QuickStart {
    /// Takes what the cache has, or starts a broker and ends it. Blocks for as long as that takes: about ten seconds.
    pub(super) fn prepare(jdk: &Jdk, jars: &Path) -> Result<Self, cache::Error> {
        // The classes are right for this very JVM and this very path of the jars.
        let java = format!("{} {}", jdk.home().display(), jdk.release());
        let path = jars.to_string_lossy();
        let recipe = Recipe {
            name: "kafka-start",
            version: VERSION,
            work: "keeping what brokers start quickly with, about ten seconds",
            files: &[("java", &java), ("jars", &path)],
        };
        let entry = Cache::of_user()?.entry(&recipe, |workshop| {
            let settings = workshop.leftovers.join("server.properties");
            let [broker, controller] = ports::pick()?;
            let properties = Properties {
                listeners: &[
                    (Listener::Plaintext, broker.number()),
                    (Listener::Controller, controller.number()),
                ],
                users: &[],
                authorizer: false,
                folder: &workshop.leftovers,
                extra: &[],
            };
            fs::write(&settings, properties.render())?;
            let mut format = java_of(jdk, jars);
            tools::run(format.args(FORMAT).arg(&settings))?;
            let kept = Self(workshop.product.clone());
            copy_folder(&workshop.leftovers.join(DATA), &kept.log())?;
            let mut broker = java_of(jdk, jars);
            let archive = kept.classes();
            broker.arg(format!("-XX:ArchiveClassesAtExit={}", archive.display()));
            start_and_end(broker.arg("kafka.Kafka").arg(&settings))
        })?;
        Ok(Self(entry.path))
    }

    /// The archive of classes. A JVM that it does not fit does without.
    pub(super) fn classes(&self) -> PathBuf {
        self.0.join("classes.jsa")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Gives a broker without users its first records.
    pub(super) fn format(&self, folder: &Path) -> Result<(), CommandError> {
        copy_folder(&self.log(), &folder.join(DATA))
    }
}

fn java_of(jdk: &Jdk, jars: &Path) -> Command {
    let mut java = Command::new(jdk.java());
    java.args(JVM_OPTIONS).arg("-cp").arg(class_path(jars));
    java
}

/// Asks a broker to end once it has started, and waits until it has.
fn start_and_end(broker: &mut Command) -> Outcome {
    let quiet = broker.stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = quiet.stderr(Stdio::piped()).spawn()?;
    let id = Pid::from_child(&process);
    let (ended, end) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if end.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            _ = kill_process(id, Signal::KILL);
        }
    });
    let outcome = follow(&mut process, id);
    drop(ended);
    _ = watch.join();
    outcome
}

fn follow(process: &mut Child, id: Pid) -> Outcome {
    let (mut log, mut started) = (String::new(), false);
    for line in BufReader::new(process.stderr.take().ok_or("no log")?).lines() {
        let line = line?;
        if line.contains(STARTED) {
            started = true;
            kill_process(id, Signal::TERM)?;
        }
        log.push_str(&line);
        log.push('\n');
    }
    let status = process.wait()?;
    // A JVM that ends in good order after SIGTERM says so by 143.
    if started && status.code() == Some(143) {
        return Ok(());
    }
    let log = tools::tail(&log, 20);
    Err(format!("the broker ended with {status}:\n{log}").into())
}
