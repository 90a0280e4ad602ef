//! The partitions that a member has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ordermill_config::PartitionReport;
use rdkafka::message::{Message as _, OwnedMessage};
use tokio::sync::mpsc::UnboundedSender;

use super::stream::{PartitionStream, StreamSender, share_of};
use crate::telemetry::Membership;

/// A topic and the number of one of its partitions.
pub(super) type PartitionKey = (Arc<str>, i32);

/// A partition that this member has.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) sender: StreamSender,
    /// Came although the partition is paused, and is handed over first.
    pub(super) early: VecDeque<OwnedMessage>,
    pub(super) paused: bool,
    /// What the group has committed, as far as this member knows.
    pub(super) committed: Option<i64>,
    /// Offset behind the last message that a reader may see.
    pub(super) end: Option<i64>,
    /// What librdkafka fetches next, where it holds nothing back from us.
    pub(super) fetched: Option<i64>,
}

impl Assigned {
    /// What is still to be handled. Behind the last message may lie markers of transactions, which no reader sees: where all
    /// was fetched up to the end and is done, nothing is left.
    fn lag(&self) -> Option<i64> {
        let end = self.end?;
        let progress = &self.sender.progress;
        let all_fetched = self.fetched.is_some_and(|fetched| fetched >= end);
        if all_fetched && self.early.is_empty() && progress.is_idle() {
            return Some(0);
        }
        Some(end.saturating_sub(progress.done()).max(0))
    }
}

/// The partitions of a member, shared by its thread and its workload.
#[derive(Debug)]
pub(super) struct Partitions {
    assigned: Mutex<State>,
    given: UnboundedSender<PartitionStream>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) joined: bool,
    pub(super) partitions: BTreeMap<PartitionKey, Assigned>,
}

impl Partitions {
    pub(super) fn new(given: UnboundedSender<PartitionStream>) -> Self {
        Self {
            assigned: Mutex::default(),
            given,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a partition over, from an offset on.
    pub(super) fn assign(&self, key: PartitionKey, offset: i64, committed: Option<i64>) {
        let (sender, stream) = StreamSender::new(Arc::clone(&key.0), key.1, offset);
        let assigned = Assigned {
            sender,
            early: VecDeque::new(),
            paused: false,
            committed,
            end: None,
            fetched: None,
        };
        self.lock().partitions.insert(key, assigned);
        // A workload that is ending takes no more.
        _ = self.given.send(stream);
    }

    /// Takes partitions out and tells their streams.
    pub(super) fn take<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a PartitionKey>,
    ) -> Vec<(PartitionKey, Assigned)> {
        let mut state = self.lock();
        let taken = keys
            .into_iter()
            .filter_map(|key| state.partitions.remove_entry(key));
        let taken: Vec<_> = taken.collect();
        for (_, assigned) in &taken {
            assigned.sender.revoked.cancel();
        }
        taken
    }

    /// The keys of all partitions.
    pub(super) fn keys(&self) -> Vec<PartitionKey> {
        self.lock().partitions.keys().cloned().collect()
    }

    /// Hands a message to its stream; the partition, where it is to be paused.
    pub(super) fn hand_over(&self, message: OwnedMessage) -> Option<PartitionKey> {
        let mut state = self.lock();
        let bytes = share_of(state.partitions.len());
        let key = (Arc::from(message.topic()), message.partition());
        // What comes of a partition that was taken away is its next member's.
        let assigned = state.partitions.get_mut(&key)?;
        if !assigned.early.is_empty() {
            assigned.early.push_back(message);
        } else if let Err(message) = assigned.sender.hand_over(message) {
            assigned.early.push_back(message);
        }
        let full = !assigned.early.is_empty() || !assigned.sender.has_room(bytes);
        let pause = full && !assigned.paused;
        assigned.paused |= pause;
        pause.then_some(key)
    }

    /// The paused partitions whose streams have room again; and whether any stays paused.
    pub(super) fn to_resume(&self) -> (Vec<PartitionKey>, bool) {
        let mut state = self.lock();
        let bytes = share_of(state.partitions.len());
        let mut resumed = Vec::new();
        let mut still = false;
        for (key, assigned) in &mut state.partitions {
            if !assigned.paused {
                continue;
            }
            while let Some(message) = assigned.early.pop_front() {
                if let Err(message) = assigned.sender.hand_over(message) {
                    assigned.early.push_front(message);
                    break;
                }
            }
            if assigned.early.is_empty() && assigned.sender.is_half_empty(bytes) {
                assigned.paused = false;
                resumed.push(key.clone());
            } else {
                still = true;
            }
        }
        (resumed, still)
    }

    /// What is done and not committed: the offset to commit of each partition.
    pub(super) fn to_commit(&self) -> Vec<(PartitionKey, i64)> {
        let state = self.lock();
        let behind = state.partitions.iter().filter_map(|(key, assigned)| {
            let done = assigned.sender.progress.done();
            (assigned.committed != Some(done)).then(|| (key.clone(), done))
        });
        behind.collect()
    }

    /// What the group has committed.
    pub(super) fn set_committed(&self, committed: &[(PartitionKey, i64)]) {
        let mut state = self.lock();
        for (key, offset) in committed {
            if let Some(assigned) = state.partitions.get_mut(key) {
                assigned.committed = Some(*offset);
            }
        }
    }

    pub(super) fn membership(&self, group: &str) -> Membership {
        let state = self.lock();
        let partitions = state
            .partitions
            .iter()
            .map(|((topic, partition), it)| PartitionReport {
                topic: topic.to_string(),
                partition: *partition,
                position: Some(it.sender.progress.done()),
                end: it.end,
                lag: it.lag(),
            });
        Membership {
            group: group.to_owned(),
            joined: state.joined,
            partitions: partitions.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    fn message(offset: i64) -> OwnedMessage {
        let timestamp = Timestamp::NotAvailable;
        OwnedMessage::new(
            Some(vec![1]),
            None,
            "orders".to_owned(),
            timestamp,
            2,
            offset,
            None,
        )
    }

    fn key() -> PartitionKey {
        (Arc::from("orders"), 2)
    }

    fn lag(partitions: &Partitions) -> Option<i64> {
        partitions.membership("group").partitions[0].lag
    }

    #[tokio::test]
    async fn lag_counts_what_is_not_done_and_no_markers_behind_it() {
        let (given, mut streams) = tokio::sync::mpsc::unbounded_channel();
        let partitions = Partitions::new(given);
        partitions.lock().joined = true;
        assert_eq!(partitions.membership("group").lag(), Some(0));
        partitions.assign(key(), 5, None);
        let mut stream = streams.recv().await.unwrap();
        assert_eq!(lag(&partitions), None);
        // Messages 5 and 6, and a marker at 7.
        partitions.lock().partitions.get_mut(&key()).unwrap().end = Some(8);
        assert_eq!(lag(&partitions), Some(3));
        for offset in [5, 6] {
            assert_eq!(partitions.hand_over(message(offset)), None);
            assert_eq!(stream.next().await.unwrap().offset(), offset);
        }
        partitions
            .lock()
            .partitions
            .get_mut(&key())
            .unwrap()
            .fetched = Some(8);
        stream.done(5);
        assert_eq!(lag(&partitions), Some(2));
        stream.done(6);
        assert_eq!(lag(&partitions), Some(0));
        assert_eq!(partitions.to_commit(), [(key(), 7)]);
        partitions.set_committed(&[(key(), 7)]);
        assert_eq!(partitions.to_commit(), []);
    }

    #[tokio::test]
    async fn a_stream_that_is_behind_pauses_its_partition_and_loses_nothing() {
        let (given, mut streams) = tokio::sync::mpsc::unbounded_channel();
        let partitions = Partitions::new(given);
        partitions.assign(key(), 0, None);
        let mut stream = streams.recv().await.unwrap();
        let mut paused = Vec::new();
        // More than a paused partition still gives.
        for offset in 0..520 {
            paused.extend(partitions.hand_over(message(offset)).map(|_| offset));
        }
        assert_eq!(paused, [511]);
        assert_eq!(partitions.to_resume(), (vec![], true));
        let mut resumed = 0;
        for offset in 0..520 {
            assert_eq!(stream.next().await.unwrap().offset(), offset);
            resumed += partitions.to_resume().0.len();
        }
        assert_eq!(resumed, 1);
    }

    #[test]
    fn what_comes_of_a_partition_that_was_taken_away_is_left() {
        let (given, _streams) = tokio::sync::mpsc::unbounded_channel();
        let partitions = Partitions::new(given);
        partitions.assign(key(), 0, None);
        let taken = partitions.take(&partitions.keys());
        assert!(taken[0].1.sender.revoked.is_cancelled());
        assert_eq!(partitions.hand_over(message(0)), None);
        assert!(partitions.membership("group").partitions.is_empty());
    }
}
