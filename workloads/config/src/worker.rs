//! From the spec of a `Worker` to what its workload runs with.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use ordermill_crds::values::{Duration, Fraction, Interval, Period};
use ordermill_crds::{WorkerSpec, WorkerTask};
use serde::{Deserialize, Serialize};

use crate::{BackendRole, Documents, Needs, Placement, Tuning, WorkerTuning, WorkloadSettings};

/// Orders or rows taken at a time, where a spec names no number.
const BATCH_SIZE: u32 = 100;
/// How long a claimed order stays with one worker, where a spec does not say.
const LEASE: StdDuration = StdDuration::from_secs(30);
/// A year of 365 days: when points expire and history is archived, where a spec does not say.
const YEAR: StdDuration = StdDuration::from_hours(8760);

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerSettings {
    /// The task with its options.
    pub task: TaskSettings,
    /// Number of orders or rows taken at a time.
    pub batch_size: u32,
    /// Repetitions of a failed order or job.
    pub max_retries: u32,
    /// The URLs of the services that the task calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<BackendRole, String>,
}

/// A task and its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TaskSettings {
    /// Moves registered wood orders on, decreasing stock.
    OrderManagement {
        /// How long a claimed order stays with one worker.
        lease: Duration,
    },
    /// Rolls up customers' statistics.
    StatsAggregation,
    /// Notifies customers of rewards.
    RewardNotification,
    /// Expires the points of inactive customers.
    LoyaltyExpiry {
        /// Time without activity after which points expire.
        inactivity: Duration,
    },
    /// Archives old order history.
    DataCleanup {
        /// Age from which order history is archived.
        retention: Duration,
    },
}

/// Derives both documents of a worker.
#[must_use]
pub fn worker_documents(spec: &WorkerSpec, placement: Placement) -> Documents {
    let mut tuning = Tuning::common(&spec.common, default_error_rate(spec.task));
    let interval = spec.interval.map(Interval::get);
    tuning.worker = Some(WorkerTuning {
        interval: Duration::from_std(interval.unwrap_or(default_interval(spec.task))),
        faults: spec.faults.clone().unwrap_or_default(),
    });
    let number = |given: Option<i32>| given.and_then(|number| u32::try_from(number).ok());
    let settings = WorkerSettings {
        task: task(spec),
        batch_size: number(spec.batch_size).unwrap_or(BATCH_SIZE),
        max_retries: number(spec.max_retries).unwrap_or(0),
        backends: placement.urls(spec.required_backends().keys()),
    };
    placement.documents(spec.kafka(), WorkloadSettings::Worker(settings), tuning)
}

/// The error rate where a spec names none.
fn default_error_rate(task: WorkerTask) -> Fraction {
    let rate = match task {
        WorkerTask::OrderManagement => 0.1,
        WorkerTask::StatsAggregation
        | WorkerTask::RewardNotification
        | WorkerTask::LoyaltyExpiry
        | WorkerTask::DataCleanup => 0.0,
    };
    Fraction::try_from(rate).unwrap_or_default()
}

/// The time between runs where a spec names none.
const fn default_interval(task: WorkerTask) -> StdDuration {
    match task {
        WorkerTask::OrderManagement => StdDuration::from_secs(5),
        WorkerTask::StatsAggregation
        | WorkerTask::RewardNotification
        | WorkerTask::LoyaltyExpiry
        | WorkerTask::DataCleanup => StdDuration::from_mins(1),
    }
}

fn task(spec: &WorkerSpec) -> TaskSettings {
    let period =
        |given: Option<Period>, default| Duration::from_std(given.map_or(default, Period::get));
    match spec.task {
        WorkerTask::OrderManagement => TaskSettings::OrderManagement {
            lease: period(
                spec.order_management.as_ref().and_then(|it| it.lease),
                LEASE,
            ),
        },
        WorkerTask::StatsAggregation => TaskSettings::StatsAggregation,
        WorkerTask::RewardNotification => TaskSettings::RewardNotification,
        WorkerTask::LoyaltyExpiry => TaskSettings::LoyaltyExpiry {
            inactivity: period(
                spec.loyalty_expiry.as_ref().and_then(|it| it.inactivity),
                YEAR,
            ),
        },
        WorkerTask::DataCleanup => TaskSettings::DataCleanup {
            retention: period(spec.data_cleanup.as_ref().and_then(|it| it.retention), YEAR),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{changed, placement};

    fn documents(spec: &str) -> Documents {
        worker_documents(&serde_yaml::from_str(spec).unwrap(), placement("Worker"))
    }

    #[test]
    fn a_worker_has_no_kafka_and_only_the_backends_that_it_calls() {
        let orders = documents("{task: OrderManagement}");
        assert_eq!(orders.workload.kafka, None);
        let WorkloadSettings::Worker(settings) = orders.workload.workload else {
            panic!("not a worker");
        };
        let roles: Vec<_> = settings.backends.into_keys().collect();
        assert_eq!(roles, [BackendRole::Order, BackendRole::Stock]);
    }

    #[test]
    fn an_edit_changes_the_document_that_it_belongs_to() {
        let base = documents("{task: LoyaltyExpiry}");
        for (spec, workload, tuning) in [
            ("{task: LoyaltyExpiry, interval: 1s}", false, true),
            ("{task: LoyaltyExpiry, errorRate: 0.5}", false, true),
            ("{task: LoyaltyExpiry, paused: true}", false, true),
            (
                "{task: LoyaltyExpiry, faults: {hang: {rate: 1}}}",
                false,
                true,
            ),
            ("{task: LoyaltyExpiry, batchSize: 5}", true, false),
            ("{task: LoyaltyExpiry, maxRetries: 5}", true, false),
            (
                "{task: LoyaltyExpiry, loyaltyExpiry: {inactivity: 1h}}",
                true,
                false,
            ),
            (
                "{task: LoyaltyExpiry, database: {url: 'postgres://secret@db/x'}}",
                false,
                false,
            ),
        ] {
            assert_eq!(
                changed(&base, &documents(spec)),
                (workload, tuning),
                "{spec}"
            );
        }
    }
}
