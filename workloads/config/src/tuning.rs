//! The part of a spec that a running workload takes over live.

use std::time::Duration;

use ordermill_crds::values::{self, Fraction};
use ordermill_crds::{
    Arrival, BackendFaults, CommonSpec, ConsumerFaults, LogLevel, ProducerFaults, Stage,
};
use serde::{Deserialize, Serialize};

/// What every kind of workload can be tuned by, and what its own kind adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuning {
    /// No work while this holds.
    pub paused: bool,
    /// Share of the units of work that fail in the kind's own way.
    pub error_rate: Fraction,
    /// The least severity that is logged.
    pub log_level: LogLevel,
    /// Share of the traces that are kept.
    pub trace_sampling: Fraction,
    /// What a producer can be tuned by besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<ProducerTuning>,
    /// What a consumer can be tuned by besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerTuning>,
    /// What a worker can be tuned by besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerTuning>,
    /// What a backend can be tuned by besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendTuning>,
}

impl Tuning {
    /// The part that all kinds share, with the kind's own default of the error rate.
    #[must_use]
    pub fn common(spec: &CommonSpec, default_error_rate: Fraction) -> Self {
        let telemetry = spec.telemetry.as_ref();
        Self {
            paused: spec.paused.unwrap_or(false),
            error_rate: spec.error_rate.unwrap_or(default_error_rate),
            log_level: telemetry.and_then(|it| it.log_level).unwrap_or_default(),
            trace_sampling: telemetry
                .and_then(|it| it.trace_sampling)
                .unwrap_or(Fraction::MAXIMUM),
            producer: None,
            consumer: None,
            worker: None,
            backend: None,
        }
    }
}

/// What a producer can be tuned by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerTuning {
    /// How fast.
    pub pacing: Pacing,
    /// How events follow each other at that pace.
    pub arrival: Arrival,
    /// Failures made on purpose, besides the error rate.
    pub faults: ProducerFaults,
}

/// What a consumer can be tuned by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerTuning {
    /// Artificial delay of each message.
    pub processing_delay: values::Duration,
    /// Failures made on purpose, besides the error rate.
    pub faults: ConsumerFaults,
}

/// What a worker can be tuned by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerTuning {
    /// Time from one run to the next.
    pub interval: values::Duration,
    /// Failures made on purpose, besides the error rate.
    pub faults: BackendFaults,
}

/// What a backend can be tuned by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTuning {
    /// Failures made on purpose, besides the error rate.
    pub faults: BackendFaults,
}

/// How fast one replica sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pacing {
    /// One event each so many nanoseconds.
    IntervalNanoseconds(u64),
    /// Events per second; 0 is silent.
    Rate(f64),
    /// Linear ramps, each from the rate before; the last rate stays.
    Stages(Vec<Stage>),
}

impl Pacing {
    /// One event each `interval`.
    #[must_use]
    pub fn interval(interval: Duration) -> Self {
        Self::IntervalNanoseconds(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX))
    }
}
