//! Sending without end: idempotent, in order, with nothing lost while brokers are away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ordermill_config::{KafkaConnection, TroubleReason};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::BatchSize;
use super::client::client_config;
use super::context::{Context, DeliverySink, Returned};
use super::credentials::CredentialWatch;
use super::{ConnectionError, Health, Record, reason_of};
use ordermill_config::full_error;

/// How long an old client may take to get rid of its queue before the rest moves to the new one.
const HANDOVER: Duration = Duration::from_secs(30);
/// Time between attempts to send what came back, doubling between these.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// What a sender is made of.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// How Kafka is reached.
    pub connection: KafkaConnection,
    /// The client's name in the brokers' logs and quotas.
    pub client_id: String,
    /// Records that wait for a broker at most; then sending waits.
    pub queue_records: u32,
    /// Kilobytes that wait for a broker at most.
    pub queue_kilobytes: u32,
}

impl SenderSettings {
    /// The bounds that a pod of the default size can hold.
    #[must_use]
    pub fn new(connection: KafkaConnection, client_id: String) -> Self {
        Self {
            connection,
            client_id,
            queue_records: 100_000,
            queue_kilobytes: 65_536,
        }
    }

    fn client<S: DeliverySink>(
        &self,
        batch: &BatchSize,
        context: Context<S>,
    ) -> Result<ThreadedProducer<Context<S>>, ConnectionError> {
        let mut config = client_config(&self.connection, &self.client_id)?;
        batch.apply(&mut config);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A record waits for its broker as long as it takes; the queue's bounds hold the memory.
            .set("message.timeout.ms", "0")
            .set(
                "queue.buffering.max.messages",
                self.queue_records.to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                self.queue_kilobytes.to_string(),
            )
            .set("partitioner", "murmur2_random")
            .create_with_context(context)
            .map_err(ConnectionError::Client)
    }
}

type Client<S> = ThreadedProducer<Context<S>>;

/// Sends records in order. What a broker refuses for a passing reason is sent again before anything new, a client with a
/// fatal error or with old credentials is replaced, and the queue is bounded: where there is no room, the caller waits.
pub struct Sender<S: DeliverySink> {
    settings: SenderSettings,
    sink: Arc<S>,
    health: Arc<Health>,
    batch: BatchSize,
    client: Client<S>,
    credentials: CredentialWatch,
    /// The client before, getting rid of its queue; what it cannot send comes back.
    handover: Option<JoinHandle<Vec<Returned<S::Tag>>>>,
    again: VecDeque<Returned<S::Tag>>,
    again_at: Option<Instant>,
    backoff: Duration,
}

impl<S: DeliverySink> Sender<S> {
    /// A sender; it connects in the background.
    ///
    /// # Errors
    /// When a file cannot be read or librdkafka refuses the settings.
    pub fn new(
        settings: SenderSettings,
        sink: Arc<S>,
        health: Arc<Health>,
    ) -> Result<Self, ConnectionError> {
        let credentials = CredentialWatch::new(&settings.connection);
        let batch = BatchSize::of(&settings.connection);
        let context = Context::new(Arc::clone(&sink), Arc::clone(&health));
        let client = settings.client(&batch, context)?;
        Ok(Self {
            settings,
            sink,
            health,
            batch,
            client,
            credentials,
            handover: None,
            again: VecDeque::new(),
            again_at: None,
            backoff: FIRST_BACKOFF,
        })
    }

    /// Hands a record to the client. Without room now, record and tag come back: call [`Self::attend`] and try again.
    ///
    /// # Errors
    /// The record and its tag, where there is no room.
    pub fn try_send(
        &mut self,
        mut record: Record,
        tag: Box<S::Tag>,
    ) -> Result<(), (Record, Box<S::Tag>)> {
        let others_first = self.handover.is_some()
            || self.again_at.is_some()
            || !self.again.is_empty()
            || self.client.context().has_returned();
        if others_first {
            return Err((record, tag));
        }
        // Headers are moved, not copied: a copy would cost as much as the rest of the record.
        let headers = std::mem::take(&mut record.headers);
        let prepared = BaseRecord::with_opaque_to(&record.topic, tag)
            .key(&record.key)
            .payload(&record.payload)
            .headers(headers)
            .timestamp(record.timestamp);
        let Err((headers, tag)) = self.enqueue(prepared) else {
            return Ok(());
        };
        record.headers = headers.unwrap_or_default();
        Err((record, tag))
    }

    fn enqueue<K, P>(
        &mut self,
        record: BaseRecord<'_, K, P, Box<S::Tag>>,
    ) -> Result<(), (Option<OwnedHeaders>, Box<S::Tag>)>
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        let context = Arc::clone(self.client.context());
        // Set before the attempt, so that a delivery right after it gives notice.
        context.wants_room.store(true, Ordering::Release);
        match self.client.send(record) {
            Ok(()) => {
                context.wants_room.store(false, Ordering::Release);
                Ok(())
            }
            Err((error, record)) => {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    self.health.report(reason_of(&error), error.to_string());
                    context.fatal.fetch_or(is_fatal(&error), Ordering::AcqRel);
                    self.again_at = Some(Instant::now() + self.next_backoff());
                }
                Err((record.headers, record.delivery_opaque))
            }
        }
    }

    /// Records that are not acknowledged yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queued = usize::try_from(self.client.in_flight_count()).unwrap_or(0);
        queued + self.again.len()
    }

    /// Waits until something needs the sender and does it: records that came back, a client to replace, or just room in
    /// the queue. Safe to drop at any time.
    pub async fn attend(&mut self) {
        if let Some(handover) = &mut self.handover {
            if let Ok(returned) = handover.await {
                self.take_back(returned);
            }
            self.handover = None;
            return;
        }
        let now = Instant::now();
        let fatal = self.client.context().fatal.load(Ordering::Acquire);
        if fatal && self.again_at.is_none() {
            self.again_at = Some(now + self.next_backoff());
        }
        if let Some(at) = self.again_at {
            tokio::time::sleep_until(at).await;
            if fatal {
                tracing::warn!("the Kafka client met a fatal error and is replaced");
                self.replace();
            } else if let Some(refusal) = self.client.context().take_too_large() {
                self.send_less_at_once(refusal);
            } else {
                self.send_again();
            }
            return;
        }
        let context = Arc::clone(self.client.context());
        tokio::select! {
            () = context.attention() => {
                let returned = context.take_returned();
                self.take_back(returned);
            }
            () = self.credentials.changed() => {
                tracing::info!("the Kafka credentials have changed: the client is replaced");
                self.replace();
            }
        }
    }

    /// Sends everything that waits, until the deadline. Returns how many records are then still not acknowledged.
    pub async fn flush(&mut self, deadline: Instant) -> usize {
        loop {
            let waiting = self.waiting();
            if waiting == 0 && self.handover.is_none() && !self.client.context().has_returned() {
                return 0;
            }
            if Instant::now() >= deadline {
                return waiting;
            }
            let client = self.client.clone();
            let step = Duration::from_millis(100).min(deadline - Instant::now());
            let flushed = tokio::task::spawn_blocking(move || client.flush(step));
            tokio::select! {
                // A timeout of the step only means another round.
                _ = flushed => {}
                () = self.attend(), if self.handover.is_some() || self.again_at.is_some() => {}
            }
            let returned = self.client.context().take_returned();
            self.take_back(returned);
        }
    }

    fn take_back(&mut self, returned: Vec<Returned<S::Tag>>) {
        if returned.is_empty() {
            return;
        }
        self.again.extend(returned);
        self.again
            .make_contiguous()
            .sort_by_key(|returned| S::order(&returned.tag));
        self.again_at = Some(Instant::now() + self.next_backoff());
    }

    fn next_backoff(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = (self.backoff * 2).min(LAST_BACKOFF);
        backoff
    }

    /// A broker refused a batch for its size: smaller ones from now on, unless it was a record alone.
    fn send_less_at_once(&mut self, refusal: String) {
        if self.batch.shrink() {
            self.backoff = FIRST_BACKOFF;
            self.replace();
        } else {
            self.health.report(TroubleReason::RecordTooLarge, refusal);
            self.send_again();
        }
    }

    fn send_again(&mut self) {
        while let Some(Returned { message, tag }) = self.again.pop_front() {
            match self.enqueue(returned_record(&message, tag)) {
                Ok(()) => self.sink.sent_again(),
                Err((_, tag)) => {
                    self.again.push_front(Returned { message, tag });
                    self.again_at = Some(Instant::now() + self.next_backoff());
                    return;
                }
            }
        }
        self.again_at = None;
        if self.health.trouble().is_none() {
            self.backoff = FIRST_BACKOFF;
        }
    }

    /// Puts a new client in the place of this one, which gets rid of its queue in the background.
    fn replace(&mut self) {
        let context = Context::new(Arc::clone(&self.sink), Arc::clone(&self.health));
        match self.settings.client(&self.batch, context) {
            Ok(client) => {
                let old = std::mem::replace(&mut self.client, client);
                self.handover = Some(tokio::task::spawn_blocking(move || hand_over(&old)));
            }
            Err(error) => {
                let message = full_error(&error);
                self.health
                    .report(TroubleReason::ConfigurationInvalid, message);
                self.again_at = Some(Instant::now() + self.next_backoff());
            }
        }
    }
}

/// Lets an old client send what it can and takes the rest back.
fn hand_over<S: DeliverySink>(old: &Client<S>) -> Vec<Returned<S::Tag>> {
    let fatal = old.context().fatal.load(Ordering::Acquire);
    if !fatal && old.flush(HANDOVER).is_err() {
        tracing::warn!(
            records = old.in_flight_count(),
            "the old Kafka client could not send everything; the new one does, which can double what was under way"
        );
    }
    old.purge(PurgeConfig::default().queue().inflight());
    // Purged records come back through the delivery callback, which this waits for.
    _ = old.flush(Duration::from_secs(5));
    old.context().take_returned()
}

fn returned_record<T>(message: &OwnedMessage, tag: Box<T>) -> BaseRecord<'_, [u8], [u8], Box<T>>
where
    Box<T>: rdkafka::util::IntoOpaque,
{
    let mut record = BaseRecord::with_opaque_to(message.topic(), tag);
    record.key = message.key();
    record.payload = message.payload();
    record.headers = message.headers().cloned();
    record.timestamp = message.timestamp().to_millis();
    record
}

fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}
