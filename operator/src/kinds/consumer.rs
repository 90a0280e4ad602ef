//! `StreamConsumer`.

use ordermill_config::{
    Documents, Needs as _, Placement, consumer_documents, consumer_topics, required_backends,
};
use ordermill_crds::{CommonSpec, StreamConsumer};

use super::{Kind, Needs};

impl Kind for StreamConsumer {
    const COMPONENT: &'static str = "consumer";

    fn common(&self) -> &CommonSpec {
        &self.spec.common
    }

    fn needs(&self) -> Needs {
        Needs {
            topics: consumer_topics(&self.spec).into_iter().collect(),
            backends: required_backends(&self.spec),
            database: self.spec.database.clone(),
            cache: self.spec.cache.clone(),
            ..Needs::kafka(self.spec.kafka())
        }
    }

    fn documents(&self, placement: Placement) -> Documents {
        consumer_documents(&self.spec, placement)
    }

    fn check(&self) -> Result<(), String> {
        if self.spec.autoscaling.is_some() {
            return Err(
                "spec.autoscaling: this version does not scale by lag: leave it out and set spec.replicas"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
