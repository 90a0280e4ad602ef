//! What a workload needs around it: Kafka, and the services that it calls.

use std::collections::BTreeMap;
use std::fmt;

use ordermill_crds::values::BackendReference;
use ordermill_crds::{
    BackendApp, BackendSpec, Backends, ConsumerHandler, OrderProducerSpec, StreamConsumerSpec,
    WorkerSpec, WorkerTask,
};
use serde::{Deserialize, Serialize};

/// What a service is to the workload that calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackendRole {
    /// The order API.
    Order,
    /// The stock API.
    Stock,
    /// The customer service.
    Customer,
}

impl BackendRole {
    /// The name in documents and in `spec.backends`, which is also that of the Backend where a spec names none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Stock => "stock",
            Self::Customer => "customer",
        }
    }

    fn given(self, backends: Option<&Backends>) -> Option<BackendReference> {
        let backends = backends?;
        let given = match self {
            Self::Order => &backends.order,
            Self::Stock => &backends.stock,
            Self::Customer => &backends.customer,
        };
        given.clone()
    }

    /// The service as given, or the Backend of the role's name.
    fn reference(self, backends: Option<&Backends>) -> Option<(Self, BackendReference)> {
        // The roles' names are valid names of objects, so none is left out here; a test counts them.
        let reference = self
            .given(backends)
            .or_else(|| self.as_str().parse().ok())?;
        Some((self, reference))
    }
}

impl fmt::Display for BackendRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Whether a workload talks to Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaUse {
    /// It cannot work without.
    Required,
    /// A part of it does, and the rest works without.
    Optional,
    /// It does not.
    Unused,
}

/// A spec of a workload that may need something around it.
pub trait Needs {
    /// Whether it talks to Kafka.
    fn kafka(&self) -> KafkaUse;

    /// The services that it calls and cannot work without, by role: as given, or the Backend of the role's name.
    fn required_backends(&self) -> BTreeMap<BackendRole, BackendReference>;
}

/// The services that a workload calls and cannot work without, by role: as given, or the Backend of the role's name.
#[must_use]
pub fn required_backends(spec: &impl Needs) -> BTreeMap<BackendRole, BackendReference> {
    spec.required_backends()
}

/// The services that a backend calls where they are there: the customer service, of the Order backend, for orders that
/// name a customer. A resource cannot name another one yet.
#[must_use]
pub fn optional_backends(spec: &BackendSpec) -> BTreeMap<BackendRole, BackendReference> {
    let customer = (spec.app == BackendApp::Order).then_some(BackendRole::Customer);
    customer
        .into_iter()
        .filter_map(|role| role.reference(None))
        .collect()
}

fn references(
    roles: &[BackendRole],
    backends: Option<&Backends>,
) -> BTreeMap<BackendRole, BackendReference> {
    roles
        .iter()
        .filter_map(|role| role.reference(backends))
        .collect()
}

impl Needs for OrderProducerSpec {
    /// Drinks that are ordered through a backend are published by it.
    fn kafka(&self) -> KafkaUse {
        if self.required_backends().is_empty() {
            KafkaUse::Required
        } else {
            KafkaUse::Optional
        }
    }

    fn required_backends(&self) -> BTreeMap<BackendRole, BackendReference> {
        let options = self.drink_order.as_ref();
        let backend = options.and_then(|options| options.backend.clone());
        backend
            .into_iter()
            .map(|reference| (BackendRole::Order, reference))
            .collect()
    }
}

impl Needs for StreamConsumerSpec {
    fn kafka(&self) -> KafkaUse {
        KafkaUse::Required
    }

    fn required_backends(&self) -> BTreeMap<BackendRole, BackendReference> {
        let roles: &[_] = match self.handler {
            ConsumerHandler::OrderCheck => &[BackendRole::Order],
            ConsumerHandler::StockCheck => &[BackendRole::Stock],
            ConsumerHandler::Inventory
            | ConsumerHandler::OrderAnalytics
            | ConsumerHandler::RetailAnalytics
            | ConsumerHandler::CustomerStats => &[],
        };
        references(roles, self.backends.as_ref())
    }
}

impl Needs for WorkerSpec {
    fn kafka(&self) -> KafkaUse {
        KafkaUse::Unused
    }

    fn required_backends(&self) -> BTreeMap<BackendRole, BackendReference> {
        let roles: &[_] = match self.task {
            WorkerTask::OrderManagement => &[BackendRole::Order, BackendRole::Stock],
            WorkerTask::StatsAggregation
            | WorkerTask::RewardNotification
            | WorkerTask::LoyaltyExpiry
            | WorkerTask::DataCleanup => &[],
        };
        references(roles, self.backends.as_ref())
    }
}

impl Needs for BackendSpec {
    /// The Order backend publishes the drinks that it is asked for; wood orders need no Kafka there.
    fn kafka(&self) -> KafkaUse {
        match self.app {
            BackendApp::Order => KafkaUse::Optional,
            BackendApp::Stock | BackendApp::Customer => KafkaUse::Unused,
        }
    }

    fn required_backends(&self) -> BTreeMap<BackendRole, BackendReference> {
        BTreeMap::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required<T: Needs + serde::de::DeserializeOwned>(spec: &str) -> Vec<(BackendRole, String)> {
        let spec: T = serde_yaml::from_str(spec).unwrap();
        let backends = required_backends(&spec);
        backends
            .into_iter()
            .map(|(role, reference)| (role, reference.to_string()))
            .collect()
    }

    #[test]
    fn only_the_roles_that_are_used_are_required_with_names_as_defaults() {
        use BackendRole::{Order, Stock};
        let name = |role: BackendRole| (role, role.to_string());
        assert_eq!(
            required::<WorkerSpec>("{task: OrderManagement}"),
            [name(Order), name(Stock)]
        );
        assert_eq!(required::<WorkerSpec>("{task: DataCleanup}"), []);
        assert_eq!(
            required::<StreamConsumerSpec>("{handler: OrderCheck}"),
            [name(Order)]
        );
        assert_eq!(
            required::<StreamConsumerSpec>(
                "{handler: StockCheck, backends: {order: other, stock: 'http://stock:5001'}}"
            ),
            [(Stock, "http://stock:5001".to_owned())]
        );
        assert_eq!(
            required::<StreamConsumerSpec>("{handler: CustomerStats}"),
            []
        );
        assert_eq!(
            required::<OrderProducerSpec>("{model: DrinkOrder, drinkOrder: {backend: bar}}"),
            [(Order, "bar".to_owned())]
        );
        assert_eq!(required::<OrderProducerSpec>("{model: DrinkOrder}"), []);
        let backend = |spec: &str| optional_backends(&serde_yaml::from_str(spec).unwrap());
        assert_eq!(
            backend("{app: Order}").into_keys().collect::<Vec<_>>(),
            [BackendRole::Customer]
        );
        assert!(backend("{app: Stock}").is_empty());
    }

    #[test]
    fn kafka_is_needed_by_who_sends_and_reads() {
        fn kafka<T: Needs + serde::de::DeserializeOwned>(spec: &str) -> KafkaUse {
            serde_yaml::from_str::<T>(spec).unwrap().kafka()
        }
        for (found, expected) in [
            (
                kafka::<OrderProducerSpec>("{model: DrinkOrder}"),
                KafkaUse::Required,
            ),
            (
                kafka::<OrderProducerSpec>("{model: DrinkOrder, drinkOrder: {backend: bar}}"),
                KafkaUse::Optional,
            ),
            (
                kafka::<StreamConsumerSpec>("{handler: CustomerStats}"),
                KafkaUse::Required,
            ),
            (
                kafka::<WorkerSpec>("{task: StatsAggregation}"),
                KafkaUse::Unused,
            ),
            (kafka::<BackendSpec>("{app: Order}"), KafkaUse::Optional),
            (kafka::<BackendSpec>("{app: Customer}"), KafkaUse::Unused),
        ] {
            assert_eq!(found, expected);
        }
    }
}
