//! Backend.

use ordermill_config::{Documents, Needs as _, Placement, backend_documents, backend_port};
use ordermill_crds::{Backend, BackendApp, CommonSpec};

use super::{Disk, Kind, Needs, Port};

impl Kind for Backend {
    const COMPONENT: &'static str = "backend";

    fn common(&self) -> &CommonSpec {
        &self.spec.common
    }

    fn needs(&self) -> Needs {
        let disk = match (&self.spec.storage, &self.spec.database) {
            (Some(storage), _) => Disk::Volume(storage.clone()),
            (None, Some(_)) => Disk::None,
            (None, None) => Disk::Ephemeral,
        };
        Needs {
            database: self.spec.database.clone(),
            cache: self.spec.cache.clone(),
            port: Some(port(self)),
            disk,
            ..Needs::kafka(self.spec.kafka())
        }
    }

    fn documents(&self, placement: Placement) -> Documents {
        backend_documents(&self.spec, placement)
    }

    fn check(&self) -> Result<(), String> {
        let admin = ordermill_config::ADMIN_PORT;
        if backend_port(&self.spec) == admin {
            return Err(format!(
                "spec.port: {admin} is where every workload's health is asked for: use another port"
            ));
        }
        Ok(())
    }
}

/// Where a backend serves.
#[must_use]
pub(crate) fn port(backend: &Backend) -> Port {
    let name = match backend.spec.app {
        BackendApp::Order | BackendApp::Stock => "http",
        BackendApp::Customer => "grpc",
    };
    Port {
        name,
        number: backend_port(&backend.spec),
    }
}
