//! Failures made on purpose: which, how often, how long and when.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Delay, Fraction, Period};

/// A failure made on purpose, live tunable. It is marked as injected with its name in span, log, metric and headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Share of the units of work (events, jobs, requests) that it hits, 0 to 1.
    pub rate: Fraction,
    /// Begins this long after the workload took the edit, such as 30s. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Delay>,
    /// Lasts this long once begun, such as 5m, 1s to 87600h. Default: until it is edited.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Period>,
}

/// A failure made on purpose that has a duration, live tunable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimedFault {
    /// Share of the units of work (events, jobs, requests) that it hits, 0 to 1.
    pub rate: Fraction,
    /// How much later or longer the unit of work gets, such as 500ms, 0s to 24h.
    pub duration: Delay,
    /// Begins this long after the workload took the edit, such as 30s. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Delay>,
    /// Lasts this long once begun, such as 5m, 1s to 87600h. Default: until it is edited.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Period>,
}

/// Declares the faults of one kind of workload: a struct with an optional field for each.
macro_rules! faults {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )*
        }
    };
}

faults! {
    /// Faults of a producer, besides errorRate. Each has a rate of its own and draws independently of the others.
    ProducerFaults {
        /// The event is not sent (what errorRate does, except for FoodOrder).
        drop: Fault,
        /// The event is sent twice; the second copy carries the mark.
        duplicate: Fault,
        /// The event is sent after its successor.
        out_of_order: Fault,
        /// The event carries an event time that lies `duration` in the past.
        late: TimedFault,
        /// The event's payload does not parse.
        malformed: Fault,
        /// The event's payload is larger than the broker allows; the broker refuses it.
        oversized: Fault,
    }
}

faults! {
    /// Faults of a consumer, besides errorRate. Each has a rate of its own and draws independently of the others.
    ConsumerFaults {
        /// Handling the message fails (what errorRate does).
        processing_error: Fault,
        /// Handling the message takes `duration` longer.
        slow: TimedFault,
        /// The commit after the message is skipped.
        commit_failure: Fault,
        /// The member leaves its group and joins it again.
        rebalance: Fault,
        /// The process aborts.
        crash: Fault,
    }
}

faults! {
    /// Faults of a worker or a backend, besides errorRate. Each has a rate of its own and draws independently of the others.
    BackendFaults {
        /// The request is answered with a 500 (what errorRate does), or the job's call fails as if it had been.
        http_error: Fault,
        /// The answer, or the job's call, takes `duration` longer.
        latency: TimedFault,
        /// No answer until the caller's deadline has passed.
        hang: Fault,
        /// Connections are refused for `duration`, or until an edit takes this fault away.
        unavailable: TimedFault,
    }
}
