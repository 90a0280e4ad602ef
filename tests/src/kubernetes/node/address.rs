//! An address for each pod.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// A random address of the loopback network on which `port` is free. Sixteen million make two of the same unlikely, and
/// the port of the other one would be taken.
pub(super) fn free_address(port: u16) -> io::Result<Ipv4Addr> {
    const TRIES: usize = 100;
    let mut last = io::Error::other("no address was tried");
    for _ in 0..TRIES {
        let [a, b, c, ..] = *uuid::Uuid::new_v4().as_bytes();
        // Neither the first network, whose addresses others use, nor an address of a network itself.
        let address = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        match TcpListener::bind((address, port)) {
            Ok(_) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_loopback_network() {
        let (one, other) = (free_address(8080).unwrap(), free_address(8080).unwrap());
        assert!(one.is_loopback() && one != Ipv4Addr::LOCALHOST);
        assert_ne!(one, other);
    }
}
