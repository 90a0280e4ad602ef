//! The thread that starts all child processes.
//!
//! On Linux a child can ask for a signal when its parent dies, but the parent is then the *thread* that started it. Tests
//! run on threads that end early, so one thread that lives as long as the process starts them all.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};

type Order = (Command, SyncSender<io::Result<Child>>);

/// A command that runs `program`, tied to the life of this process where `setpriv` of util-linux can do that. It becomes
/// the program, so ids and signals are the program's.
pub(super) fn command(program: &OsStr) -> Command {
    if !*TIED {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Whether a child that is never dropped ends with this process all the same.
pub(crate) fn children_die_with_us() -> bool {
    *TIED
}

static TIED: LazyLock<bool> = LazyLock::new(|| {
    let mut probe = Command::new("setpriv");
    probe
        .args(["--pdeathsig", "KILL", "--", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cfg!(target_os = "linux") && probe.status().is_ok_and(|status| status.success())
});

/// Starts `command` on the thread that outlives every test.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    static ORDERS: LazyLock<Option<Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = channel::<Order>();
        let thread = std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker waits for it, unless its own thread has died.
                    let _ = answer.send(command.spawn());
                }
            });
        thread.ok().map(|_| orders)
    });
    // Without the thread a child would die with the test that started it: too early for those that share it, no worse.
    let Some(orders) = &*ORDERS else {
        return command.spawn();
    };
    let (answer, child) = sync_channel(1);
    let gone = || io::Error::other("the thread that starts processes has ended");
    orders.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::time::Duration;

    use super::*;
    use crate::process::Launch;
    use crate::wait::eventually;

    /// The part of the test below that is killed: it starts a child from a thread that ends, tells its id, and waits.
    #[test]
    #[ignore = "runs in a process of its own, started by another test"]
    fn owner_of_a_child() {
        let start = || Launch::new("child", "sleep").arg("600").start().unwrap();
        let child = std::thread::spawn(start).join().unwrap();
        println!("child {}", child.id());
        std::thread::sleep(Duration::from_mins(1));
    }

    /// Whether a process runs: one that is dead but not yet collected does not.
    fn runs(id: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    #[tokio::test]
    async fn a_child_dies_with_its_owner_but_not_with_the_thread_that_started_it() {
        if !*TIED {
            return;
        }
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::spawner::tests::owner_of_a_child"])
            .args(["--ignored", "--nocapture"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let id = lines
            .find_map(|line| Some(line.split_once("child ")?.1.to_owned()))
            .unwrap();
        let soon = Duration::from_secs(30);
        // Before that it is still `setpriv`, which may not have tied itself to its owner yet.
        eventually(soon, "the child's program", async || {
            let program = std::fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
            (program.trim_end() == "sleep").then_some(())
        })
        .await;
        owner.kill().unwrap();
        owner.wait().unwrap();
        eventually(soon, "the child's end", async || (!runs(&id)).then_some(())).await;
    }
}
