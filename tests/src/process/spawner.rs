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
