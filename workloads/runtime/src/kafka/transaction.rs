//! Sending a bounded run: events and progress in one transaction, so that each event is there exactly once for readers
//! of committed records, however often the process or a broker dies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ordermill_config::{KafkaConnection, TroubleReason};
use ordermill_crds::values::TopicName;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::batch::BatchSize;
use super::client::client_config;
use super::context::{QuietContext, note_error, note_log, note_statistics};
use super::{ConnectionError, Health, Record, reason_of};

/// Bound of one blocking call; each is repeated or ends the session.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often a commit that has not ended is waited for again before the session is given up.
const COMMIT_REPETITIONS: u32 = 3;
/// Time between two questions to a group whose coordinator moves.
const MOVING_BACKOFF: Duration = Duration::from_millis(100);
/// How long the delivery report of a record that failed may take after its transaction failed of it.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a transaction may stay open after its producer died, before brokers abort it and readers go on.
const TRANSACTION_TIMEOUT_MS: &str = "10000";

/// Who sends, and where its progress is kept.
#[derive(Debug, Clone)]
pub struct TransactionSettings {
    /// How Kafka is reached.
    pub connection: KafkaConnection,
    /// The client's name in the brokers' logs and quotas.
    pub client_id: String,
    /// The same for every life of this instance of this work: a later one fences an earlier one.
    pub transactional_id: String,
    /// The consumer group whose committed offset is the progress; nobody else uses it.
    pub progress_group: String,
    /// How much goes to a broker at once; shrink it when [`TroubleReason::RecordTooLarge`] ends a session.
    pub batch: BatchSize,
    /// A topic that the work sends to: the progress is an offset of its partition 0.
    pub progress_topic: TopicName,
}

/// How far a bounded run has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Events sent; the committed offset.
    pub sent: u64,
    /// What else is needed to go on: the offset's metadata, at most 4,096 bytes.
    pub state: String,
}

/// Why a transaction did not come about. The way on is always the same: open again and go on from the committed progress.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// No client can be made.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Kafka refuses or does not answer.
    #[error("cannot {step}")]
    Kafka {
        /// What was tried.
        step: &'static str,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// A record of the transaction failed, so the transaction must not be committed.
    #[error("a record of the transaction failed: {message}")]
    Record {
        /// The reason to show.
        reason: TroubleReason,
        /// What the client said.
        message: String,
    },
    /// The blocking task was stopped.
    #[error("the task that talks to Kafka was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

impl TransactionError {
    /// The reason to show.
    #[must_use]
    pub fn reason(&self) -> TroubleReason {
        match self {
            Self::Connection(_) => TroubleReason::ConfigurationInvalid,
            Self::Kafka { source, .. } => reason_of(source),
            Self::Record { reason, .. } => *reason,
            Self::Stopped(_) => TroubleReason::KafkaError,
        }
    }

    fn kafka(step: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { step, source }
    }
}

struct Context {
    quiet: QuietContext,
    /// The first failure of a record in the open transaction.
    failure: Mutex<Option<(TroubleReason, String)>>,
    failed: tokio::sync::Notify,
    full: AtomicBool,
    room: tokio::sync::Notify,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.quiet
            .span
            .in_scope(|| note_log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        let note = || note_statistics(&self.quiet.health, &statistics);
        self.quiet.span.in_scope(note);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let note = || note_error(&self.quiet.health, &error, reason);
        self.quiet.span.in_scope(note);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result
            && !is_consequence(error)
        {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| (reason_of(error), error.to_string()));
            self.failed.notify_one();
        }
        if self.full.swap(false, Ordering::AcqRel) {
            self.room.notify_one();
        }
    }
}

/// Whether an error only tells that the transaction had failed before.
fn is_consequence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::State | Code::PurgeQueue | Code::PurgeInflight)
    )
}

/// Whether the progress group's coordinator is only being found or loaded: the next question is answered.
fn is_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotCoordinator | Code::CoordinatorNotAvailable | Code::CoordinatorLoadInProgress
        )
    )
}

/// An open session of a bounded run.
pub struct TransactionalSender {
    producer: Arc<ThreadedProducer<Context>>,
    /// Never subscribes: it reads the progress and stands for its group in transactions.
    progress: Arc<BaseConsumer<QuietContext>>,
    settings: TransactionSettings,
    begun: bool,
}

impl TransactionalSender {
    /// Fences every earlier life of this work, waits for what it left behind, and reads the progress.
    ///
    /// # Errors
    /// When Kafka cannot be reached or refuses; try again.
    pub async fn open(
        settings: TransactionSettings,
        health: &Arc<Health>,
    ) -> Result<(Self, Option<Progress>), TransactionError> {
        let mut config = client_config(&settings.connection, &settings.client_id)?;
        settings.batch.apply(&mut config);
        let quiet = || QuietContext {
            health: Arc::clone(health),
            span: tracing::Span::current(),
        };
        let producer: ThreadedProducer<Context> = config
            .clone()
            .set("transactional.id", &settings.transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .create_with_context(Context {
                quiet: quiet(),
                failure: Mutex::default(),
                failed: tokio::sync::Notify::new(),
                full: AtomicBool::new(false),
                room: tokio::sync::Notify::new(),
            })
            .map_err(ConnectionError::Client)?;
        let progress: BaseConsumer<QuietContext> = config
            .clone()
            .set("group.id", &settings.progress_group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .create_with_context(quiet())
            .map_err(ConnectionError::Client)?;
        let session = Self {
            producer: Arc::new(producer),
            progress: Arc::new(progress),
            settings,
            begun: false,
        };
        let producer = Arc::clone(&session.producer);
        blocking(move || producer.init_transactions(TIMEOUT))
            .await?
            .map_err(TransactionError::kafka(
                "fence earlier producers of this work",
            ))?;
        let progress = session.read_progress().await?;
        Ok((session, progress))
    }

    async fn read_progress(&self) -> Result<Option<Progress>, TransactionError> {
        let deadline = Instant::now() + TIMEOUT;
        let committed = loop {
            let mut wanted = TopicPartitionList::new();
            wanted.add_partition(self.settings.progress_topic.as_str(), 0);
            let consumer = Arc::clone(&self.progress);
            match blocking(move || consumer.committed_offsets(wanted, TIMEOUT)).await? {
                Err(error) if is_moving(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(MOVING_BACKOFF).await;
                }
                committed => break committed,
            }
        };
        let committed =
            committed.map_err(TransactionError::kafka("read the progress of this work"))?;
        let progress = committed.elements().first().and_then(|element| {
            let Offset::Offset(offset) = element.offset() else {
                return None;
            };
            let sent = u64::try_from(offset).ok()?;
            Some(Progress {
                sent,
                state: element.metadata().to_owned(),
            })
        });
        Ok(progress)
    }

    /// Hands a record to the open transaction, beginning one where none is open. Its headers are taken, unless there is no
    /// room now (`false`): wait with [`Self::room`] and try again.
    ///
    /// # Errors
    /// When no transaction can be begun or the client refuses the record.
    pub fn try_send(&mut self, record: &mut Record) -> Result<bool, TransactionError> {
        if !self.begun {
            self.producer
                .begin_transaction()
                .map_err(TransactionError::kafka("begin a transaction"))?;
            self.begun = true;
        }
        let prepared = BaseRecord::to(&record.topic)
            .key(&record.key)
            .payload(&record.payload)
            .headers(std::mem::take(&mut record.headers))
            .timestamp(record.timestamp);
        self.producer.context().full.store(true, Ordering::Release);
        match self.producer.send(prepared) {
            Ok(()) => {
                self.producer.context().full.store(false, Ordering::Release);
                Ok(true)
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                let headers = refused.headers.unwrap_or_default();
                record.headers = headers;
                Ok(false)
            }
            Err((source, _)) => Err(TransactionError::kafka("send a record")(source)),
        }
    }

    /// Waits until there may be room for a record.
    pub async fn room(&self) {
        self.producer.context().room.notified().await;
    }

    /// Commits what was sent together with the progress. After an error, whether it was committed is known only to
    /// Kafka: open again. Why it failed, [`Self::cause`] knows.
    ///
    /// # Errors
    /// When a record failed or Kafka does not commit.
    pub async fn commit(&mut self, progress: &Progress) -> Result<(), TransactionError> {
        if !self.begun {
            self.producer
                .begin_transaction()
                .map_err(TransactionError::kafka("begin a transaction"))?;
        }
        self.begun = false;
        let producer = Arc::clone(&self.producer);
        let consumer = Arc::clone(&self.progress);
        let topic = self.settings.progress_topic.to_string();
        let Progress { sent, state } = progress.clone();
        blocking(move || commit(&producer, &consumer, &topic, sent, &state)).await?
    }

    /// What an error of this session comes from: a record that failed is why the rest of its transaction fails.
    pub async fn cause(&self, error: TransactionError) -> TransactionError {
        let context = self.producer.context();
        if matches!(&error, TransactionError::Kafka { source, .. } if is_consequence(source)) {
            // librdkafka fails the transaction first and tells of the record after that.
            _ = tokio::time::timeout(CAUSE_TIMEOUT, context.failed.notified()).await;
        }
        let failure = context
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match failure {
            Some((reason, message)) => TransactionError::Record { reason, message },
            None => error,
        }
    }
}

fn commit(
    producer: &ThreadedProducer<Context>,
    consumer: &BaseConsumer<QuietContext>,
    topic: &str,
    sent: u64,
    state: &str,
) -> Result<(), TransactionError> {
    let group = consumer
        .group_metadata()
        .ok_or(KafkaError::ClientCreation(
            "the progress group has no metadata".to_owned(),
        ))
        .map_err(TransactionError::kafka("name the progress group"))?;
    let offset = Offset::Offset(i64::try_from(sent).unwrap_or(i64::MAX));
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, 0, offset)
        .map_err(TransactionError::kafka("name the progress"))?;
    if let Some(mut element) = offsets.find_partition(topic, 0) {
        element.set_metadata(state);
    }
    producer
        .send_offsets_to_transaction(&offsets, &group, TIMEOUT)
        .map_err(TransactionError::kafka(
            "put the progress into the transaction",
        ))?;
    let mut result = producer.commit_transaction(TIMEOUT);
    for _ in 0..COMMIT_REPETITIONS {
        // The commit goes on in the background; the same call again waits for it.
        match &result {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                result = producer.commit_transaction(TIMEOUT);
            }
            _ => break,
        }
    }
    result.map_err(TransactionError::kafka("commit"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TransactionError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(TransactionError::Stopped)
}
