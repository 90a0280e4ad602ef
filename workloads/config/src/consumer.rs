//! From the spec of a `StreamConsumer` to what its workload runs with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use ordermill_crds::values::{Duration, Fraction, TopicName};
use ordermill_crds::{
    ConsumerHandler, ConsumerParent, FailureAction, GroupProtocol, OnFailure, Replay, StartFrom,
    StartPosition, StreamConsumerSpec, Topic,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    BackendRole, ConsumerTuning, Documents, Needs, Placement, Tuning, WorkloadSettings,
    hexadecimal, unique,
};

/// Repetitions before a message is left out or dead-lettered, where a spec names none.
const MAX_RETRIES: u32 = 5;
/// Time before the first repetition, where a spec names none.
const FIRST_BACKOFF: StdDuration = StdDuration::from_millis(100);
/// Longest time between repetitions, where a spec names none.
const LAST_BACKOFF: StdDuration = StdDuration::from_secs(10);
/// Messages between two reports, where a spec names no number.
const REPORT_EVERY: u32 = 1000;
/// What follows the name of a source topic in that of its dead-letter topic.
const DEAD_LETTER: &str = ".dead-letter";
/// Where a topic says how large a batch may be, in bytes.
const LARGEST_MESSAGE: &str = "max.message.bytes";
/// Room for the headers of a dead letter, which tell the error in at most a thousand characters.
const HEADERS: i32 = 16_384;
/// Kafka's own limit of a topic's name.
const TOPIC_MAX_LENGTH: usize = 249;

/// What a consumer reads, and what it does with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerSettings {
    /// What it does with messages.
    pub handler: ConsumerHandler,
    /// The topics that it reads.
    pub topics: Vec<Topic>,
    /// Its consumer group, as given or as the handler's order system names it.
    pub group: String,
    /// The protocol that the group speaks.
    pub group_protocol: GroupProtocol,
    /// The topic that it writes, of handler Inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Topic>,
    /// What happens to a message that cannot be handled.
    pub on_failure: FailureSettings,
    /// Where the group begins that has no commits.
    pub start_from: StartFrom,
    /// Makes the group start over, once for each id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// The text report of the handlers that compute one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportSettings>,
    /// The URLs of the services that the handler calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<BackendRole, String>,
    /// How its spans refer to the producer's.
    pub consumer_parent: ConsumerParent,
    /// Whether the workload creates missing topics; not where somebody else manages them.
    pub create_topics: bool,
}

/// What happens to a message that cannot be handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FailureSettings {
    /// It is tried until it succeeds.
    Retry {
        /// Time between repetitions.
        backoff: BackoffSettings,
    },
    /// It is left out in the end.
    Skip {
        /// Repetitions before that.
        max_retries: u32,
        /// Time between repetitions.
        backoff: BackoffSettings,
    },
    /// It goes to a dead-letter topic in the end.
    DeadLetter {
        /// Repetitions before that.
        max_retries: u32,
        /// Time between repetitions.
        backoff: BackoffSettings,
        /// The dead-letter topic of each source topic.
        topics: BTreeMap<TopicName, Topic>,
    },
}

impl FailureSettings {
    /// The dead-letter topics, of every source.
    pub fn dead_letter_topics(&self) -> impl Iterator<Item = &Topic> {
        let topics = match self {
            Self::DeadLetter { topics, .. } => Some(topics.values()),
            Self::Retry { .. } | Self::Skip { .. } => None,
        };
        topics.into_iter().flatten()
    }
}

/// Time between repetitions, doubling from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackoffSettings {
    /// Time before the first repetition.
    pub initial: Duration,
    /// Longest time between repetitions.
    pub maximum: Duration,
}

/// The text report of what was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportSettings {
    /// The file; none is written where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Messages between two reports.
    pub every: u32,
}

/// Derives both documents of a consumer.
#[must_use]
pub fn consumer_documents(spec: &StreamConsumerSpec, placement: Placement) -> Documents {
    let mut tuning = Tuning::common(&spec.common, default_error_rate(spec.handler));
    let delay = spec
        .processing_delay
        .map(ordermill_crds::values::Delay::get);
    tuning.consumer = Some(ConsumerTuning {
        processing_delay: Duration::from_std(delay.unwrap_or_default()),
        faults: spec.faults.clone().unwrap_or_default(),
    });
    let backends = placement.urls(spec.required_backends().keys());
    let settings = settings(spec, placement.create_topics, backends);
    let settings = WorkloadSettings::Consumer(settings);
    placement.documents(spec.kafka(), settings, tuning)
}

/// Every topic that a consumer uses and that should exist: what it reads, writes, and dead-letters to. Each name is there
/// once.
#[must_use]
pub fn consumer_topics(spec: &StreamConsumerSpec) -> Vec<Topic> {
    let sources = sources(spec);
    let on_failure = failure(spec.on_failure.as_ref(), &sources);
    let dead_letters = on_failure.dead_letter_topics().cloned();
    let output = output(spec);
    unique(sources.iter().cloned().chain(output).chain(dead_letters))
}

fn settings(
    spec: &StreamConsumerSpec,
    create_topics: bool,
    backends: BTreeMap<BackendRole, String>,
) -> ConsumerSettings {
    let topics = sources(spec);
    let telemetry = spec.common.telemetry.as_ref();
    ConsumerSettings {
        handler: spec.handler,
        group: group(spec),
        group_protocol: spec.group_protocol.unwrap_or_default(),
        output: output(spec),
        on_failure: failure(spec.on_failure.as_ref(), &topics),
        start_from: spec.start_from.clone().unwrap_or(StartFrom {
            position: StartPosition::Earliest,
            timestamp: None,
        }),
        replay: spec.replay.clone(),
        report: report(spec),
        backends,
        consumer_parent: telemetry
            .and_then(|telemetry| telemetry.consumer_parent)
            .unwrap_or_default(),
        create_topics,
        topics,
    }
}

/// The error rate where a spec names none.
fn default_error_rate(handler: ConsumerHandler) -> Fraction {
    let rate = match handler {
        ConsumerHandler::OrderCheck | ConsumerHandler::StockCheck => 0.1,
        ConsumerHandler::Inventory
        | ConsumerHandler::OrderAnalytics
        | ConsumerHandler::RetailAnalytics
        | ConsumerHandler::CustomerStats => 0.0,
    };
    Fraction::try_from(rate).unwrap_or_default()
}

/// The group where a spec names none.
const fn default_group(handler: ConsumerHandler) -> &'static str {
    match handler {
        ConsumerHandler::OrderCheck => "order-check-group",
        ConsumerHandler::StockCheck => "stock-check-group",
        ConsumerHandler::Inventory => "inventory-consumer-group",
        ConsumerHandler::OrderAnalytics => "analytics-consumer-group",
        ConsumerHandler::RetailAnalytics => "retail-analytics-group",
        ConsumerHandler::CustomerStats => "customer-stats-group",
    }
}

fn group(spec: &StreamConsumerSpec) -> String {
    let given = spec.group.as_ref().map(ToString::to_string);
    given.unwrap_or_else(|| default_group(spec.handler).to_owned())
}

/// The topics that a consumer reads: as given, or those of the handler's order system.
fn sources(spec: &StreamConsumerSpec) -> Vec<Topic> {
    if let Some(topics) = &spec.topics {
        return topics.clone();
    }
    let names: &[&str] = match spec.handler {
        ConsumerHandler::OrderCheck => &["orders"],
        ConsumerHandler::StockCheck => &["stocks"],
        ConsumerHandler::Inventory | ConsumerHandler::OrderAnalytics => &["order-events"],
        ConsumerHandler::RetailAnalytics => &["transactions", "refunds"],
        ConsumerHandler::CustomerStats => &[
            "order.placed",
            "order.completed",
            "order.cancelled",
            "payment.processed",
        ],
    };
    // The defaults are valid names, so a topic is never left out here; a test counts them.
    names.iter().filter_map(|name| topic(name)).collect()
}

fn topic(name: &str) -> Option<Topic> {
    name.parse().ok().map(Topic::named)
}

fn output(spec: &StreamConsumerSpec) -> Option<Topic> {
    let default = || match spec.handler {
        ConsumerHandler::Inventory => topic("inventory-events"),
        ConsumerHandler::OrderCheck
        | ConsumerHandler::StockCheck
        | ConsumerHandler::OrderAnalytics
        | ConsumerHandler::RetailAnalytics
        | ConsumerHandler::CustomerStats => None,
    };
    spec.output.clone().or_else(default)
}

fn report(spec: &StreamConsumerSpec) -> Option<ReportSettings> {
    let computes = match spec.handler {
        ConsumerHandler::OrderAnalytics | ConsumerHandler::RetailAnalytics => true,
        ConsumerHandler::OrderCheck
        | ConsumerHandler::StockCheck
        | ConsumerHandler::Inventory
        | ConsumerHandler::CustomerStats => false,
    };
    let given = spec.report.as_ref();
    let every = given.and_then(|report| u32::try_from(report.every?).ok());
    computes.then(|| ReportSettings {
        path: given.and_then(|report| report.path.as_ref().map(PathBuf::from)),
        every: every.unwrap_or(REPORT_EVERY),
    })
}

fn failure(given: Option<&OnFailure>, sources: &[Topic]) -> FailureSettings {
    let retries = given.and_then(|it| u32::try_from(it.max_retries?).ok());
    let max_retries = retries.unwrap_or(MAX_RETRIES);
    let backoff = given.and_then(|it| it.backoff);
    let (initial, maximum) = backoff.map_or((FIRST_BACKOFF, LAST_BACKOFF), |backoff| {
        (backoff.initial.get(), backoff.maximum.get())
    });
    let backoff = BackoffSettings {
        initial: Duration::from_std(initial),
        maximum: Duration::from_std(maximum),
    };
    match given.map_or(FailureAction::DeadLetter, |it| it.action) {
        FailureAction::Retry => FailureSettings::Retry { backoff },
        FailureAction::Skip => FailureSettings::Skip {
            max_retries,
            backoff,
        },
        FailureAction::DeadLetter => FailureSettings::DeadLetter {
            max_retries,
            backoff,
            topics: dead_letter_topics(given.and_then(|it| it.dead_letter_topic.as_ref()), sources),
        },
    }
}

/// The dead-letter topic of each source: the one that is given, or one named after the source.
fn dead_letter_topics(given: Option<&Topic>, sources: &[Topic]) -> BTreeMap<TopicName, Topic> {
    let entry = |source: &Topic| {
        // A shortened name is a valid one as well, so a source is never left out here.
        let topic = given.cloned().or_else(|| {
            let mut topic = topic(&dead_letter_name(source.name.as_str()))?;
            // A letter is its message and some headers.
            let largest = source.config.get(LARGEST_MESSAGE);
            let largest = largest.and_then(|it| it.parse::<i32>().ok()?.checked_add(HEADERS));
            let largest = largest.map(|it| (LARGEST_MESSAGE.to_owned(), it.to_string()));
            topic.config.extend(largest);
            Some(topic)
        })?;
        Some((source.name.clone(), topic))
    };
    sources.iter().filter_map(entry).collect()
}

/// The source's name with `.dead-letter` behind it; where that is too long, the name is cut and told apart by a hash.
fn dead_letter_name(source: &str) -> String {
    if source.len() + DEAD_LETTER.len() <= TOPIC_MAX_LENGTH {
        return format!("{source}{DEAD_LETTER}");
    }
    let hash = hexadecimal(&Sha256::digest(source)[..4]);
    let rest = TOPIC_MAX_LENGTH - DEAD_LETTER.len() - hash.len() - 1;
    let start = source.get(..rest).unwrap_or_default();
    format!("{start}-{hash}{DEAD_LETTER}")
}

#[cfg(test)]
mod tests;
