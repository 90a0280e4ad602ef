//! What librdkafka tells its clients: deliveries, errors, statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ordermill_config::TroubleReason;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::ProducerContext;
use rdkafka::statistics::Statistics;
use tokio::sync::Notify;

use super::{Health, reason_of, reason_of_text};

/// Where a record ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Learns how each record fared. It is called on librdkafka's thread and must not block.
pub trait DeliverySink: Send + Sync + 'static {
    /// What the sender remembers of a record.
    type Tag: Send + Sync + 'static;

    /// Runs inside the workload's own logging scope.
    fn in_scope(&self, body: impl FnOnce());

    /// The record is acknowledged by all in-sync replicas.
    fn delivered(&self, tag: Self::Tag, at: Delivered);

    /// A record that came back was sent again.
    fn sent_again(&self);

    /// A record that was made to be refused was refused, or taken nevertheless (`None`).
    fn refused(&self, tag: Self::Tag, refusal: Option<String>);

    /// Where a record belongs among those that are sent again: they go out in this order.
    fn order(tag: &Self::Tag) -> u64;
}

/// A record that came back and is sent again.
pub(super) struct Returned<T> {
    pub message: OwnedMessage,
    pub tag: Box<T>,
}

/// The context of every producer of a workload.
pub(super) struct Context<S: DeliverySink> {
    pub sink: Arc<S>,
    pub health: Arc<Health>,
    pub returned: Mutex<Vec<Returned<S::Tag>>>,
    pub fatal: AtomicBool,
    /// How a broker refused a batch because of its size.
    too_large: Mutex<Option<String>>,
    /// The sender waits for room in the queue, so a delivery is worth a notice.
    pub wants_room: AtomicBool,
    /// There is room in the queue, a returned record or a fatal error.
    pub changed: Notify,
}

impl<S: DeliverySink> Context<S> {
    pub(super) fn new(sink: Arc<S>, health: Arc<Health>) -> Self {
        Self {
            sink,
            health,
            returned: Mutex::default(),
            fatal: AtomicBool::new(false),
            too_large: Mutex::default(),
            wants_room: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn take_returned(&self) -> Vec<Returned<S::Tag>> {
        std::mem::take(&mut *lock(&self.returned))
    }

    pub(super) fn has_returned(&self) -> bool {
        !lock(&self.returned).is_empty()
    }

    /// How a broker refused a batch because of its size since this was asked last.
    pub(super) fn take_too_large(&self) -> Option<String> {
        lock(&self.too_large).take()
    }

    /// Waits until the sender has something to do. Only one task waits at a time.
    pub(super) async fn attention(&self) {
        self.changed.notified().await;
    }

    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, tag: Box<S::Tag>) {
        let purged = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
        );
        let told = || format!("{}: {error}", message.topic());
        match reason_of(error) {
            // A smaller batch may do: the sender knows.
            TroubleReason::RecordTooLarge => *lock(&self.too_large) = Some(told()),
            reason if !purged => self.health.report(reason, told()),
            _ => {}
        }
        let message = message.detach();
        lock(&self.returned).push(Returned { message, tag });
    }
}

/// What another thread left behind by a panic is whole: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Health of any client by its errors and statistics.
pub(super) fn note_error(health: &Health, error: &KafkaError, reason: &str) {
    health.report(reason_of_text(error, reason), format!("{error}: {reason}"));
}

/// A broker that is up ends a trouble of the connection.
pub(super) fn note_statistics(health: &Health, statistics: &Statistics) {
    let up = |state: &str| state == "UP";
    if statistics.brokers.values().any(|broker| up(&broker.state)) {
        health.connected();
    }
}

/// librdkafka's own lines go to the log as what they are to a person: details.
pub(super) fn note_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
}

impl<S: DeliverySink> ClientContext for Context<S> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.sink.in_scope(|| note_log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        self.sink
            .in_scope(|| note_statistics(&self.health, &statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.sink
            .in_scope(|| note_error(&self.health, &error, reason));
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fatal.store(true, Ordering::Release);
            self.changed.notify_one();
        }
    }
}

impl<S: DeliverySink> ProducerContext for Context<S> {
    type DeliveryOpaque = Box<S::Tag>;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: Self::DeliveryOpaque) {
        self.sink.in_scope(|| match result {
            Ok(message) => {
                self.health.working();
                let at = Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                };
                self.sink.delivered(*tag, at);
            }
            Err((error, message)) => {
                self.failed(error, message, tag);
                self.changed.notify_one();
            }
        });
        if self.wants_room.swap(false, Ordering::AcqRel) {
            self.changed.notify_one();
        }
    }
}

/// The context of clients that only ask: health by their errors, lines to the log.
pub(super) struct QuietContext {
    pub health: Arc<Health>,
    pub span: tracing::Span,
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.span.in_scope(|| note_log(level, facility, message));
    }

    fn stats(&self, statistics: Statistics) {
        self.span
            .in_scope(|| note_statistics(&self.health, &statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.span
            .in_scope(|| note_error(&self.health, &error, reason));
    }
}

impl ProducerContext for QuietContext {
    type DeliveryOpaque = ();

    /// A client that only asks delivers nothing.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl rdkafka::consumer::ConsumerContext for QuietContext {}
