//! Where the backends listen on this machine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use super::manifests::ResourceKey;

/// The port of each backend: for as long as it wants the same one.
#[derive(Debug, Default)]
pub(super) struct Ports(BTreeMap<ResourceKey, Found>);

#[derive(Debug)]
struct Found {
    wanted: u16,
    port: u16,
}

impl Ports {
    /// Finds a port for a backend that has none, or wants another: the one that it wants, or any other where somebody has
    /// that.
    pub(super) fn find(&mut self, key: &ResourceKey, wanted: u16) {
        let same = |found: &Found| found.wanted == wanted || found.port == wanted;
        if self.0.get(key).is_some_and(same) {
            return;
        }
        let taken = self.0.values().any(|found| found.port == wanted);
        let free = (!taken).then(|| free(wanted)).flatten();
        let Some(port) = free.or_else(|| self::free(0)) else {
            tracing::error!(name = key.name, "this machine has no free port");
            return;
        };
        if port != wanted {
            tracing::warn!(
                name = key.name,
                "port {wanted} is taken: the API listens on port {port}"
            );
        }
        self.0.insert(key.clone(), Found { wanted, port });
    }

    /// The port of a backend.
    pub(super) fn of(&self, key: &ResourceKey) -> Option<u16> {
        self.0.get(key).map(|found| found.port)
    }
}

/// The port, where nobody listens on it; 0 stands for any.
fn free(port: u16) -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(listener.local_addr().ok()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ResourceKey {
        ResourceKey {
            kind: "Backend".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_backend_gets_the_port_that_it_wants_unless_somebody_has_it() {
        let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = somebody.local_addr().unwrap().port();
        let mut ports = Ports::default();
        ports.find(&key("order"), taken);
        let order = ports.of(&key("order")).unwrap();
        assert_ne!(order, taken);
        // Another one that wants the same port, and the first asked again.
        ports.find(&key("stock"), order);
        ports.find(&key("order"), taken);
        assert_ne!(ports.of(&key("stock")).unwrap(), order);
        assert_eq!(ports.of(&key("order")), Some(order));
        assert_eq!(ports.of(&key("customer")), None);
        // Another port is wanted.
        drop(somebody);
        ports.find(&key("order"), free(0).unwrap());
        assert_ne!(ports.of(&key("order")), Some(order));
    }
}
