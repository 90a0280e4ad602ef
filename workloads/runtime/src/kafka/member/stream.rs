//! One partition, as the workload sees it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::message::{Message as _, OwnedMessage};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

/// Messages that wait for one stream at most.
const WAITING_MESSAGES: usize = 512;
/// Bytes that wait for one stream at most, but for its last message.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// The same of all streams of a member together.
const WAITING_BYTES_OF_ALL: usize = 64 * 1024 * 1024;

/// Bytes that may wait for each of so many streams.
pub(super) fn share_of(streams: usize) -> usize {
    (WAITING_BYTES_OF_ALL / streams.max(1)).min(WAITING_BYTES)
}

/// How far a stream is; both sides know it.
#[derive(Debug)]
pub(super) struct Progress {
    /// Offset of the first message that is not done.
    done: AtomicI64,
    /// Offset behind the last message that was handed over.
    handed_over: AtomicI64,
    waiting_bytes: AtomicUsize,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Progress {
    pub(super) fn done(&self) -> i64 {
        self.done.load(Ordering::Acquire)
    }

    /// Whether everything that was handed over is done.
    pub(super) fn is_idle(&self) -> bool {
        self.handed_over.load(Ordering::Acquire) <= self.done()
    }

    /// Waits until the stream's task is over with it, but not after the deadline; whether it is.
    pub(super) fn wait_for_end(&self, deadline: Instant) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.end.wait_timeout_while(ended, left, |ended| !*ended);
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *ended
    }

    fn set_ended(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.notify_all();
    }
}

/// The messages of one partition in their order, until the partition is somebody else's.
#[derive(Debug)]
pub struct PartitionStream {
    topic: Arc<str>,
    partition: i32,
    messages: Receiver<OwnedMessage>,
    revoked: CancellationToken,
    progress: Arc<Progress>,
}

impl PartitionStream {
    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition's number.
    #[must_use]
    pub const fn partition(&self) -> i32 {
        self.partition
    }

    /// Cancelled when the partition is taken away: what can be left undone is to be left, and the stream to be dropped.
    #[must_use]
    pub const fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    /// The next message; `None` when the partition is taken away. Safe to drop at any time.
    pub async fn next(&mut self) -> Option<OwnedMessage> {
        let message = tokio::select! {
            biased;
            () = self.revoked.cancelled() => None,
            message = self.messages.recv() => message,
        }?;
        self.progress
            .waiting_bytes
            .fetch_sub(size(&message), Ordering::AcqRel);
        Some(message)
    }

    /// Says that all messages up to this offset are done: the group's next commit tells so.
    pub fn done(&self, offset: i64) {
        self.progress.done.store(offset + 1, Ordering::Release);
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        self.progress.set_ended();
    }
}

/// The other end of a stream.
#[derive(Debug)]
pub(super) struct StreamSender {
    messages: Sender<OwnedMessage>,
    pub(super) revoked: CancellationToken,
    pub(super) progress: Arc<Progress>,
}

impl StreamSender {
    /// A stream of a partition that begins at an offset.
    pub(super) fn new(topic: Arc<str>, partition: i32, offset: i64) -> (Self, PartitionStream) {
        let (messages, received) = tokio::sync::mpsc::channel(WAITING_MESSAGES);
        let revoked = CancellationToken::new();
        let progress = Arc::new(Progress {
            done: AtomicI64::new(offset),
            handed_over: AtomicI64::new(offset),
            waiting_bytes: AtomicUsize::new(0),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let stream = PartitionStream {
            topic,
            partition,
            messages: received,
            revoked: revoked.clone(),
            progress: Arc::clone(&progress),
        };
        let sender = Self {
            messages,
            revoked,
            progress,
        };
        (sender, stream)
    }

    /// Hands a message over; it comes back where there is no room. One that was handed over before is left out.
    pub(super) fn hand_over(&self, message: OwnedMessage) -> Result<(), OwnedMessage> {
        use tokio::sync::mpsc::error::TrySendError;
        let offset = message.offset();
        if offset < self.progress.handed_over.load(Ordering::Acquire) {
            return Ok(());
        }
        let bytes = size(&message);
        self.progress
            .waiting_bytes
            .fetch_add(bytes, Ordering::AcqRel);
        match self.messages.try_send(message) {
            Ok(()) => {
                self.progress
                    .handed_over
                    .store(offset + 1, Ordering::Release);
                Ok(())
            }
            Err(TrySendError::Full(message)) => {
                self.progress
                    .waiting_bytes
                    .fetch_sub(bytes, Ordering::AcqRel);
                Err(message)
            }
            // Its task is over: the message stays undone.
            Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Whether another message has room where so many bytes may wait.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.messages.capacity() > 0 && self.progress.waiting_bytes.load(Ordering::Acquire) < bytes
    }

    /// Whether half of the room is free: a partition that was paused is worth resuming.
    pub(super) fn is_half_empty(&self, bytes: usize) -> bool {
        self.messages.capacity() >= WAITING_MESSAGES / 2
            && self.progress.waiting_bytes.load(Ordering::Acquire) <= bytes / 2
    }
}

fn size(message: &OwnedMessage) -> usize {
    let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
    length(message.payload()) + length(message.key())
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    fn message(offset: i64, bytes: usize) -> OwnedMessage {
        let payload = Some(vec![0; bytes]);
        let timestamp = Timestamp::NotAvailable;
        OwnedMessage::new(
            payload,
            None,
            "orders".to_owned(),
            timestamp,
            0,
            offset,
            None,
        )
    }

    #[tokio::test]
    async fn what_waits_is_bounded_by_number_and_by_bytes() {
        let (sender, mut stream) = StreamSender::new("orders".into(), 0, 10);
        for offset in 0..512 {
            assert!(sender.has_room(share_of(1)));
            sender.hand_over(message(10 + offset, 1)).unwrap();
        }
        assert!(!sender.has_room(share_of(1)));
        let refused = sender.hand_over(message(522, 1)).unwrap_err();
        assert_eq!(refused.offset(), 522);
        for offset in 0..256 {
            assert!(!sender.is_half_empty(share_of(1)));
            assert_eq!(stream.next().await.unwrap().offset(), 10 + offset);
        }
        assert!(sender.is_half_empty(share_of(1)));
        sender.hand_over(message(522, 5_000_000)).unwrap();
        assert!(!sender.has_room(share_of(1)));
    }

    #[test]
    fn many_streams_share_what_may_wait_in_all() {
        assert_eq!(share_of(0), WAITING_BYTES);
        assert_eq!(share_of(16), WAITING_BYTES);
        assert_eq!(share_of(64), 1024 * 1024);
    }

    #[tokio::test]
    async fn a_message_that_comes_again_is_handed_over_once() {
        let (sender, mut stream) = StreamSender::new("orders".into(), 0, 3);
        for offset in [3, 4, 3, 4, 7] {
            sender.hand_over(message(offset, 1)).unwrap();
        }
        assert!(!sender.progress.is_idle());
        for offset in [3, 4, 7] {
            assert_eq!(stream.next().await.unwrap().offset(), offset);
            stream.done(offset);
        }
        assert!(sender.progress.is_idle());
        assert_eq!(sender.progress.done(), 8);
    }

    #[tokio::test]
    async fn a_partition_that_is_taken_away_ends_its_stream() {
        let (sender, mut stream) = StreamSender::new("orders".into(), 0, 0);
        sender.hand_over(message(0, 1)).unwrap();
        sender.revoked.cancel();
        assert!(stream.next().await.is_none());
        assert!(!sender.progress.wait_for_end(Instant::now()));
        drop(stream);
        assert!(sender.progress.wait_for_end(Instant::now()));
    }
}
