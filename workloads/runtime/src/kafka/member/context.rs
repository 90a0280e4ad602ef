//! What librdkafka tells a member: partitions given and taken, commits, statistics, errors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ordermill_crds::{StartFrom, StartPosition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::super::context::{note_error, note_log, note_statistics};
use super::super::{Health, reason_of};
use super::offsets::{Start, keys, list_at, starts};
use super::partitions::{PartitionKey, Partitions};

/// How long what is in flight of a partition that is taken away may take: longer than a call to an API does.
const GIVE_BACK: Duration = Duration::from_secs(12);

/// How long the second half of a rebalance may take, before which nobody may commit.
const REBALANCE: Duration = Duration::from_secs(2);

/// Time between two attempts at what passes.
const AGAIN: Duration = Duration::from_millis(100);

/// How long the brokers may take to say where partitions begin.
const START: Duration = Duration::from_secs(20);

/// The context of a member's client.
pub(super) struct MemberContext {
    pub(super) partitions: Arc<Partitions>,
    pub(super) health: Arc<Health>,
    pub(super) span: tracing::Span,
    pub(super) start: StartFrom,
    /// Set before the client leaves its group: what it is still given it begins no more.
    pub(super) leaving: AtomicBool,
}

impl MemberContext {
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        if self.leaving.load(Ordering::Acquire) {
            // A rebalance that began before the end: the group waits for its answer.
            return take_over(consumer, list);
        }
        let keys = keys(list);
        let starts = self.starts(consumer, &keys).unwrap_or_else(|error| {
            // librdkafka finds the commit by itself, or begins with the oldest message.
            tracing::warn!(%error, "Kafka does not say where the group goes on");
            BTreeMap::new()
        });
        let offset = |key| {
            starts
                .get(key)
                .map_or(Offset::Invalid, |it| Offset::Offset(it.offset))
        };
        let at: Vec<_> = keys.iter().map(|key| (key.clone(), offset(key))).collect();
        take_over(consumer, &list_at(&at)?)?;
        for key in keys {
            let start = starts.get(&key).copied();
            let Start { offset, committed } = start.unwrap_or(Start {
                offset: 0,
                committed: true,
            });
            tracing::info!(
                topic = &*key.0,
                partition = key.1,
                offset,
                "took a partition over"
            );
            // Where the group begins is committed as well, so that the next member begins at the same place.
            self.partitions
                .assign(key, offset, committed.then_some(offset));
        }
        self.partitions.lock().joined = true;
        self.health.kafka_works();
        Ok(())
    }

    /// Where the group goes on. Without an answer librdkafka begins with the oldest message, so that it is asked for again
    /// where another start is wanted.
    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        keys: &[PartitionKey],
    ) -> KafkaResult<BTreeMap<PartitionKey, Start>> {
        let elsewhere = self.start.position != StartPosition::Earliest;
        repeated(START, |_| elsewhere, || starts(consumer, keys, &self.start))
    }

    /// Ends the streams of these partitions, waits for what is in flight, and commits what is done.
    pub(super) fn give_back(&self, consumer: &BaseConsumer<Self>, keys: &[PartitionKey]) {
        let taken = self.partitions.take(keys);
        let deadline = Instant::now() + GIVE_BACK;
        let mut done = Vec::new();
        for ((topic, partition), assigned) in taken {
            if !assigned.sender.progress.wait_for_end(deadline) {
                tracing::warn!(
                    topic = &*topic,
                    partition,
                    "a message is still in flight: the partition's next member handles it again"
                );
            }
            let offset = assigned.sender.progress.done();
            tracing::info!(topic = &*topic, partition, offset, "gave a partition back");
            if assigned.committed != Some(offset) {
                done.push(((topic, partition), Offset::Offset(offset)));
            }
        }
        // Of partitions that were lost, somebody else's progress counts.
        if done.is_empty() || consumer.assignment_lost() {
            return;
        }
        if let Err(error) = list_at(&done).and_then(|list| commit(consumer, &list)) {
            tracing::warn!(%error, "the last commit failed: what it covers is handled again");
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        self.give_back(consumer, &keys(list));
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        }
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.span.in_scope(|| note_log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        self.span
            .in_scope(|| note_statistics(&self.health, &statistics));
        let mut state = self.partitions.lock();
        for ((topic, partition), assigned) in &mut state.partitions {
            let found = statistics.topics.get(&**topic);
            let found = found.and_then(|topic| topic.partitions.get(partition));
            // What is queued is not ours yet; the queue is shared, so it is empty or not for all.
            assigned.fetched = found
                .filter(|it| it.fetchq_cnt == 0 && it.next_offset >= 0)
                .map(|it| it.next_offset);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.span
            .in_scope(|| note_error(&self.health, &error, reason));
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let result = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        };
        if let Err(error) = result {
            self.health
                .report(reason_of(&error), format!("a rebalance failed: {error}"));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => {
                let elements = offsets.elements();
                let committed = elements.iter().filter_map(|element| {
                    let key = (Arc::from(element.topic()), element.partition());
                    Some((key, element.offset().to_raw()?))
                });
                self.partitions
                    .set_committed(&committed.collect::<Vec<_>>());
                self.health.kafka_works();
            }
            Err(error) if passes(&error) => {
                tracing::debug!(%error, "a commit came too late or too early; it is repeated");
            }
            Err(error) => {
                let told = format!("commits fail: {error}");
                self.health.report(reason_of(&error), told);
            }
        }
    }
}

/// Tells librdkafka that these partitions are begun where the list says.
fn take_over(consumer: &BaseConsumer<MemberContext>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
    }
}

/// Commits and waits for it; between the two halves of a rebalance, until that is over, and where the broker has counted the
/// group on (KIP-848), until this member has heard of it.
fn commit(consumer: &BaseConsumer<MemberContext>, list: &TopicPartitionList) -> KafkaResult<()> {
    use RDKafkaErrorCode::{RebalanceInProgress, StaleMemberEpoch};
    let between = |error: &KafkaError| {
        let code = error.rdkafka_error_code();
        code == Some(RebalanceInProgress) || code == Some(StaleMemberEpoch)
    };
    repeated(REBALANCE, between, || {
        consumer.commit(list, CommitMode::Sync)
    })
}

/// Asks again for as long as an error `passes`, and for so long at most; librdkafka tells nobody when to.
fn repeated<T>(
    at_most: Duration,
    passes: impl Fn(&KafkaError) -> bool,
    ask: impl Fn() -> KafkaResult<T>,
) -> KafkaResult<T> {
    let deadline = Instant::now() + at_most;
    loop {
        match ask() {
            Err(error) if passes(&error) && Instant::now() < deadline => {
                std::thread::sleep(AGAIN);
            }
            result => return result,
        }
    }
}

/// Errors of commits in the middle of a rebalance, and of those without anything in them.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::StaleMemberEpoch
                | RDKafkaErrorCode::NoOffset
        )
    )
}
