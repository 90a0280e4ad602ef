//! Kafka's classes as a JVM has them in memory, kept: with them a broker is ready after half the work.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::builder::CLUSTER_ID;
use super::distribution::{HEAP, VERSION, class_path};
use super::properties::{Listener, Properties};
use crate::cache::{self, Cache, Recipe};
use crate::ports;
use crate::tools::{self, Jdk};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const NAME: &str = "classes.jsa";
/// The archive is written when the broker ends, which takes longer than all before.
const DEADLINE: Duration = Duration::from_mins(3);
const STARTED: &str = "Kafka Server started";

/// The archive of a JDK for these jars, made by starting a broker and ending it unless the cache has one. A JVM that it does
/// not fit does without. Blocks for as long as that takes: about ten seconds.
pub(super) fn archive(jdk: &Jdk, jars: &Path) -> Result<PathBuf, cache::Error> {
    let mut ask = Command::new(jdk.java());
    let java = tools::run(ask.arg("-version")).map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    // What it holds is right for this very JVM and this very path of the jars.
    let path = jars.to_string_lossy();
    let recipe = Recipe {
        name: "kafka-classes",
        version: VERSION,
        work: "keeping its classes as a JVM has them in memory, about ten seconds",
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
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        tools::run(format.arg(&settings))?;
        let written = workshop.product.join(NAME);
        let mut broker = java_of(jdk, jars);
        broker.arg(format!("-XX:ArchiveClassesAtExit={}", written.display()));
        start_and_end(broker.arg("kafka.Kafka").arg(&settings))
    })?;
    Ok(entry.path.join(NAME))
}

fn java_of(jdk: &Jdk, jars: &Path) -> Command {
    let mut java = Command::new(jdk.java());
    java.args(HEAP).arg("-cp").arg(class_path(jars));
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
