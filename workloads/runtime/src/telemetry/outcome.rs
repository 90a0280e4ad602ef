//! How a unit of work ended, as every signal tells it.

use opentelemetry::KeyValue;

use super::names;

/// How a unit of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As intended.
    Ok,
    /// With a fault that we injected, by its name (`drop`, `late`, …); it may have been sent nevertheless.
    Injected(&'static str),
    /// It failed for real, by the type of the error: a closed set of short names, never an error's text.
    Failed(&'static str),
}

impl Outcome {
    /// Whether telemetry about it is kept also where its trace is not sampled.
    #[must_use]
    pub const fn always_kept(self) -> bool {
        !matches!(self, Self::Ok)
    }

    /// What a span of it carries besides its own attributes.
    pub(super) fn span_attributes(self) -> impl Iterator<Item = KeyValue> {
        let (first, second) = match self {
            Self::Ok => (None, None),
            Self::Injected(fault) => (
                Some(KeyValue::new(names::INJECTED, true)),
                Some(KeyValue::new(names::INJECTED_FAULT, fault)),
            ),
            Self::Failed(error_type) => (Some(KeyValue::new(names::ERROR_TYPE, error_type)), None),
        };
        first.into_iter().chain(second)
    }

    /// The attributes of its series in `ordermill.events`.
    pub(super) fn metric_attributes(self) -> Vec<KeyValue> {
        match self {
            Self::Ok => vec![KeyValue::new(names::OUTCOME, names::OUTCOME_OK)],
            Self::Injected(fault) => vec![
                KeyValue::new(names::OUTCOME, names::OUTCOME_INJECTED),
                KeyValue::new(names::FAULT, fault),
            ],
            Self::Failed(error_type) => vec![
                KeyValue::new(names::OUTCOME, names::OUTCOME_FAILED),
                KeyValue::new(names::ERROR_TYPE, error_type),
            ],
        }
    }
}
