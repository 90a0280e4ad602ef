//! Ports that nobody uses, and that no other test takes while their server is down.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher as _;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Once};

use crate::scratch;

/// Below lie the ports of services that a machine may well start while tests run.
const LOWEST: u16 = 10_240;

/// One sweep per process is enough.
static SWEEP: Once = Once::new();

/// A port of the loopback interface that was free when it was picked. Until it is dropped no test process is given it again,
/// so that a server may be killed and return to it. Others may still take it: be ready to pick anew.
#[derive(Debug)]
pub struct Port {
    number: u16,
    marker: PathBuf,
    // Its lock is what other processes see; the kernel gives it back when this one is killed.
    _lock: File,
}

impl Port {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.marker);
    }
}

/// As many distinct ports as asked for.
///
/// On Linux they lie below the range from which the kernel takes the local ports of outgoing connections. A server that
/// is killed and returns would else find its port taken now and then: by any connection of the machine, or by its own
/// client, which can connect to itself while it knocks on a port of that range.
///
/// # Errors
/// When the loopback interface refuses even a port of its own choice, or the markers cannot be written.
pub fn pick<const COUNT: usize>() -> io::Result<[Port; COUNT]> {
    let markers = scratch::base().join("ports");
    fs::create_dir_all(&markers)?;
    SWEEP.call_once(|| sweep(&markers));
    let mut ports = Vec::with_capacity(COUNT);
    while ports.len() < COUNT {
        ports.push(pick_one(&markers)?);
    }
    ports
        .try_into()
        .map_err(|_| io::Error::other("the count of ports is off"))
}

fn pick_one(markers: &Path) -> io::Result<Port> {
    let quiet = quiet_range();
    for _ in quiet.clone() {
        let number = next_of(&quiet);
        if let Some(port) = mark(markers, number)?
            && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
        {
            return Ok(port);
        }
    }
    // The system has no such range, or all of it is taken.
    loop {
        let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        if let Some(port) = mark(markers, number)? {
            return Ok(port);
        }
    }
}

/// Removes the markers that killed processes have left.
fn sweep(markers: &Path) {
    for marker in fs::read_dir(markers).into_iter().flatten().flatten() {
        let number = marker
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // Taking one and giving it back removes it.
        let _ = number.map(|number| mark(markers, number));
    }
}

/// Takes the marker of `number`, unless another has it.
fn mark(markers: &Path, number: u16) -> io::Result<Option<Port>> {
    let marker = markers.join(number.to_string());
    let lock = File::create(&marker)?;
    let taken = lock.try_lock().is_err();
    // Its owner may have removed it between our opening and locking it: then the lock is on a file that nobody sees.
    let gone = fs::metadata(&marker).map_or(true, |seen| {
        lock.metadata()
            .map_or(true, |held| seen.ino() != held.ino())
    });
    Ok((!taken && !gone).then(|| Port {
        number,
        marker,
        _lock: lock,
    }))
}

/// The ports between the well-known ones and those of outgoing connections; empty where the system does not tell.
fn quiet_range() -> Range<u16> {
    let lowest_outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(LOWEST);
    LOWEST..lowest_outgoing.max(LOWEST)
}

/// The next port of `range`, going round from a random start, so that test processes seldom meet and a port that was given
/// back rests for long.
fn next_of(range: &Range<u16>) -> u16 {
    static TURN: LazyLock<AtomicU32> = LazyLock::new(|| {
        let [a, b, ..] = RandomState::new()
            .hash_one(std::process::id())
            .to_le_bytes();
        AtomicU32::new(u32::from(u16::from_le_bytes([a, b])))
    });
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let offset = turn % u32::from(range.end - range.start).max(1);
    // A remainder is below its divisor, which is a u16 here: the fallback is never taken.
    range.start + u16::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn ports_are_distinct_and_free() {
        let ports = pick::<8>().unwrap();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 8);
        for number in numbers {
            // A child that another test starts holds our listener too, from its fork to its exec.
            let begin = Instant::now();
            while let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                assert!(
                    begin.elapsed() < Duration::from_secs(10),
                    "port {number}: {error}"
                );
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn a_port_is_given_again_only_after_it_was_given_back() {
        let markers = tempfile::tempdir().unwrap();
        let first = mark(markers.path(), 10_240).unwrap().unwrap();
        assert!(mark(markers.path(), 10_240).unwrap().is_none());
        drop(first);
        assert!(mark(markers.path(), 10_240).unwrap().is_some());
    }

    #[test]
    fn only_markers_without_an_owner_are_swept() {
        let markers = tempfile::tempdir().unwrap();
        let _taken = mark(markers.path(), 10_240).unwrap().unwrap();
        fs::write(markers.path().join("10241"), "").unwrap();
        sweep(markers.path());
        let left: Vec<_> = fs::read_dir(markers.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "10240");
    }

    #[test]
    fn the_range_is_gone_round() {
        let range = 10_240..10_243;
        let seen: BTreeSet<u16> = (0..64).map(|_| next_of(&range)).collect();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|port| range.contains(port)), "{seen:?}");
    }
}
