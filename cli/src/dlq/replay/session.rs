//! Letters and progress in one transaction: a replay that is killed at any moment goes on where it was.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use ordermill_config::TroubleReason;
use ordermill_runtime::kafka::{ConnectionError, reason_of};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::ReplayError;
use crate::dlq::kafka::{
    BrokerError, Committed, Ear, Kafka, Ledger, Settled, Span, replay_group, words,
};

/// Bound of one blocking call; the brokers abort a transaction that is open for as long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a call has not ended this long after its bound, it never may.
const GRACE: Duration = Duration::from_secs(5);
/// Bound of an abort: where nobody answers, the brokers abort by themselves.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the delivery report of a letter that failed may take after its transaction failed of it.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a transaction may stay open after its replay died, before brokers abort it and readers go on.
const TRANSACTION_TIMEOUT_MS: &str = "10000";
/// More than any topic takes: that a letter fits, the topic it comes from has shown.
const LARGEST_MESSAGE: &str = "1000000000";

/// How letters are put together on their way to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As many as there are.
    Batches,
    /// Each for itself, for topics that take no larger batches.
    Single,
}

#[derive(Default)]
struct Context {
    ear: Ear,
    /// The first letter of the open transaction that failed: where it was to go, and why.
    failure: Mutex<Option<(String, KafkaError)>>,
    failed: Condvar,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.ear.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.ear.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.ear.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result
            && !is_consequence(error)
        {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| (message.topic().to_owned(), error.clone()));
            self.failed.notify_one();
        }
    }
}

impl Context {
    /// The letter that failed, which may be told a little later than what follows of it.
    fn take_failure(&self) -> Option<(String, KafkaError)> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .failed
            .wait_timeout_while(failure, CAUSE_TIMEOUT, |failure| failure.is_none());
        let (mut failure, _) = waited.unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }
}

/// Whether an error only tells that the transaction had failed before.
fn is_consequence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::State | Code::PurgeQueue | Code::PurgeInflight | Code::Fatal)
    )
}

/// Whether a later producer of the same transactional id, or its own long silence, has ended this one.
fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
    )
}

/// Whether a letter has waited for a broker for too long.
fn is_late(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut)
}

/// A producer that no other replay of the topic has beside it.
pub(super) struct Session<'a> {
    kafka: &'a Kafka,
    topic: &'a str,
    producer: Arc<ThreadedProducer<Context>>,
    ledger: Ledger<'a>,
    begun: bool,
    /// The topics that letters of the open transaction go to.
    targets: BTreeSet<String>,
    /// What was committed last.
    next: Committed,
}

impl<'a> Session<'a> {
    /// Fences every earlier replay of the topic, waits for what it left behind, and reads the progress in these spans.
    pub(super) fn open(
        kafka: &'a Kafka,
        topic: &'a str,
        spans: &[Span],
        packing: Packing,
    ) -> Result<(Self, Committed), ReplayError> {
        let mut config = kafka.config().map_err(BrokerError::from)?;
        config
            .set("transactional.id", replay_group(topic))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", LARGEST_MESSAGE)
            .set("allow.auto.create.topics", "false");
        if packing == Packing::Single {
            config.set("batch.num.messages", "1");
        }
        let producer: ThreadedProducer<_> = config
            .create_with_context(Context::default())
            .map_err(|error| BrokerError::from(ConnectionError::Client(error)))?;
        let mut session = Self {
            kafka,
            topic,
            producer: Arc::new(producer),
            ledger: Ledger::new(kafka, topic, Settled::Finally)?,
            begun: false,
            targets: BTreeSet::new(),
            next: Committed::new(),
        };
        let opened = session.producer.init_transactions(TIMEOUT);
        opened.map_err(|error| session.error(&error))?;
        let committed = session.progress(spans)?;
        Ok((session, committed))
    }

    /// The progress, which is there for each partition afterwards: where it would not be kept, no letter is sent.
    fn progress(&mut self, spans: &[Span]) -> Result<Committed, ReplayError> {
        let partitions: Vec<_> = spans.iter().map(|span| span.partition).collect();
        let committed = self.ledger.committed(&partitions)?;
        let unknown = spans
            .iter()
            .filter(|span| !committed.contains_key(&span.partition));
        let begin: Committed = unknown.map(|span| (span.partition, span.start)).collect();
        if begin.is_empty() {
            return Ok(committed);
        }
        self.commit(&begin)?;
        let committed = self.ledger.committed(&partitions)?;
        if begin
            .keys()
            .all(|partition| committed.contains_key(partition))
        {
            return Ok(committed);
        }
        let why = "it forgets offsets that are committed in one".to_owned();
        Err(ReplayError::NoTransactions { why })
    }

    /// Hands a letter to the open transaction, beginning one where none is open.
    pub(super) fn send(&mut self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), ReplayError> {
        self.begin()?;
        if !self.targets.contains(record.topic) {
            self.targets.insert(record.topic.to_owned());
        }
        match self.producer.send(record) {
            Ok(()) => Ok(()),
            Err((error, record)) if is_consequence(&error) || is_fenced(&error) => {
                drop(record);
                Err(self.failed(error))
            }
            Err((error, record)) => {
                let refused = refused(record.topic.to_owned(), &error);
                self.abort();
                Err(refused)
            }
        }
    }

    /// Commits what was sent together with the next offsets to replay.
    pub(super) fn commit(&mut self, next: &Committed) -> Result<(), ReplayError> {
        self.begin()?;
        self.begun = false;
        let sent = self.send_offsets(next);
        sent.map_err(|error| self.failed(error))?;
        self.end().map_err(|error| match &error {
            KafkaError::Transaction(source) if source.is_retriable() => {
                let heard = self.producer.context().ear.trouble();
                ReplayError::Uncertain {
                    topic: self.topic.to_owned(),
                    why: heard.map_or_else(|| words(&error), |trouble| trouble.message),
                }
            }
            _ => self.failed(error),
        })?;
        self.targets.clear();
        self.next.clone_from(next);
        Ok(())
    }

    /// Waits until readers see what was committed: a transaction begins only when the marks of the one before are written.
    pub(super) fn settle(&mut self) {
        let next = std::mem::take(&mut self.next);
        if !next.is_empty() {
            // The letters are committed, whether this is or not.
            _ = self.commit(&next);
        }
    }

    fn begin(&mut self) -> Result<(), ReplayError> {
        if self.begun {
            return Ok(());
        }
        let begun = self.producer.begin_transaction();
        begun.map_err(|error| self.failed(error))?;
        self.begun = true;
        Ok(())
    }

    fn send_offsets(&self, next: &Committed) -> Result<(), KafkaError> {
        let group = self.ledger.group()?;
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            offsets.add_partition_offset(self.topic, *partition, Offset::Offset(*offset))?;
        }
        let producer = Arc::clone(&self.producer);
        let call = move || producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT);
        // librdkafka counts its bound only when a broker answers: without one the call goes on for ever.
        within(TIMEOUT + GRACE, call)
    }

    fn end(&self) -> Result<(), KafkaError> {
        match self.producer.commit_transaction(TIMEOUT) {
            // It goes on in the background; the same call again waits for it.
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                self.producer.commit_transaction(TIMEOUT)
            }
            ended => ended,
        }
    }

    /// Gives the open transaction up, so that readers go on at once; gives the error of a producer that has come to its end.
    fn abort(&self) -> Option<KafkaError> {
        match self.producer.abort_transaction(ABORT_TIMEOUT) {
            Err(KafkaError::Transaction(error)) if error.is_fatal() => {
                Some(KafkaError::Transaction(error))
            }
            _ => None,
        }
    }

    /// What made the open transaction fail, where a call was told no more than that it had failed.
    fn cause(&self, error: KafkaError) -> KafkaError {
        if !is_consequence(&error) {
            return error;
        }
        // It is refused while a transaction is open or has failed, and only in the second case with what that failed of.
        match self.producer.begin_transaction() {
            Err(cause) if !is_consequence(&cause) => cause,
            _ => error,
        }
    }

    /// Why the open transaction failed: what an error comes from says more than the error.
    fn failed(&self, error: KafkaError) -> ReplayError {
        let error = self.cause(error);
        let error = self.abort().unwrap_or(error);
        if is_fenced(&error) {
            return self.error(&error);
        }
        match self.producer.context().take_failure() {
            Some((_, error)) if is_fenced(&error) => self.error(&error),
            // The letter is not to blame for a broker that is away.
            Some((_, error)) if is_late(&error) => {
                let silence = RDKafkaErrorCode::OperationTimedOut;
                self.error(&KafkaError::MessageProduction(silence))
            }
            Some((target, error)) => refused(target, &error),
            None => self.error(&error),
        }
    }

    fn error(&self, error: &KafkaError) -> ReplayError {
        let topic = self.topic.to_owned();
        if is_fenced(error) {
            let why = words(error);
            return ReplayError::Fenced { topic, why };
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnsupportedFeature) {
            let why = words(error);
            return ReplayError::NoTransactions { why };
        }
        let to = if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
            let targets: Vec<_> = self.targets.iter().map(String::as_str).collect();
            format!("write to topic {}", targets.join(" or "))
        } else {
            let id = replay_group(&topic);
            format!("replay topic {topic} (transactional id and group {id})")
        };
        let heard = &self.producer.context().ear;
        self.kafka.error(to, error, heard).into()
    }
}

/// Waits so long for a call, and leaves it to its thread then, which ends with the process.
fn within<T: Send + 'static>(
    time: Duration,
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    let (done, ended) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().spawn(move || {
        // Nobody may wait for it any more.
        _ = done.send(call());
    });
    spawned.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    let silence = KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut);
    ended.recv_timeout(time).unwrap_or(Err(silence))
}

fn refused(target: String, error: &KafkaError) -> ReplayError {
    ReplayError::Letter {
        target,
        why: words(error),
        is_too_large: reason_of(error) == TroubleReason::RecordTooLarge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_end_is_left() {
        let (end, ended) = mpsc::channel::<()>();
        let forever = move || {
            _ = ended.recv();
            Ok(())
        };
        let error = within(Duration::from_millis(1), forever).unwrap_err();
        let code = error.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::OperationTimedOut));
        drop(end);
        assert_eq!(within(TIMEOUT, || Ok(1)).unwrap(), 1);
    }
}
