//! `OrderProducer`.

use ordermill_config::{
    Documents, Needs as _, Placement, producer_documents, producer_topics, required_backends,
};
use ordermill_crds::{CommonSpec, OrderProducer};

use super::{Kind, Needs};

impl Kind for OrderProducer {
    const COMPONENT: &'static str = "producer";

    fn common(&self) -> &CommonSpec {
        &self.spec.common
    }

    fn needs(&self) -> Needs {
        Needs {
            topics: producer_topics(&self.spec).into_iter().collect(),
            backends: required_backends(&self.spec),
            ..Needs::kafka(self.spec.kafka())
        }
    }

    fn documents(&self, placement: Placement) -> Documents {
        producer_documents(&self.spec, placement)
    }

    fn check(&self) -> Result<(), String> {
        let options = self.spec.drink_order.as_ref();
        if options.is_some_and(|options| options.backend.is_some()) {
            return Err(
                "spec.drinkOrder.backend: this version sends the events itself and cannot order through a backend: leave it out"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
