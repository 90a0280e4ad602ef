//! Worker.

use ordermill_config::{Documents, Needs as _, Placement, required_backends, worker_documents};
use ordermill_crds::{CommonSpec, Worker};

use super::{Kind, Needs};

impl Kind for Worker {
    const COMPONENT: &'static str = "worker";

    fn common(&self) -> &CommonSpec {
        &self.spec.common
    }

    fn needs(&self) -> Needs {
        Needs {
            backends: required_backends(&self.spec),
            database: self.spec.database.clone(),
            cache: self.spec.cache.clone(),
            ..Needs::kafka(self.spec.kafka())
        }
    }

    fn documents(&self, placement: Placement) -> Documents {
        worker_documents(&self.spec, placement)
    }
}
