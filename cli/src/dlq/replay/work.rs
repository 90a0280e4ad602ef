//! The replay itself: batch after batch, until all is done or somebody wants it to end.

use std::collections::BTreeMap;

use rdkafka::message::{BorrowedMessage, Message as _};
use tokio_util::sync::CancellationToken;

use super::ReplayError;
use super::plan::{Plan, Targets};
use super::record::{replayed, size};
use super::session::{Packing, Session};
use crate::dlq::kafka::{Committed, Kafka, Next, Reading, Span, pending};
use crate::dlq::letter::dead_letter;
use crate::dlq::ticker::Ticker;

/// Letters of one transaction at most.
const BATCH_LETTERS: u64 = 500;
/// Bytes of one transaction, about: it ends with the letter that reaches them.
const BATCH_BYTES: usize = 4 << 20;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records.
    pub read: u64,
    /// Letters by the topics that they went to.
    pub replayed: BTreeMap<String, u64>,
    /// Records that are no dead letters.
    pub skipped: u64,
}

impl Counts {
    /// All letters that were replayed.
    pub(super) fn letters(&self) -> u64 {
        self.replayed.values().sum()
    }

    fn add(&mut self, more: Self) {
        self.read += more.read;
        self.skipped += more.skipped;
        for (target, count) in more.replayed {
            *self.replayed.entry(target).or_default() += count;
        }
    }
}

/// What is sent and not committed yet.
#[derive(Debug, Default)]
struct Batch {
    counts: Counts,
    bytes: usize,
    /// The next offsets to replay, of the partitions that were read.
    next: Committed,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.counts.letters() >= BATCH_LETTERS || self.bytes >= BATCH_BYTES
    }
}

/// A replay at work.
pub(super) struct Work<'a> {
    pub kafka: &'a Kafka,
    pub topic: &'a str,
    /// All that lies in the topic, replayed or not.
    pub spans: Vec<Span>,
    pub limit: Option<u64>,
    pub stop: &'a CancellationToken,
    pub plan: Plan,
    pub targets: Targets,
    /// What is committed.
    pub counts: Counts,
    /// Letters that are not replayed.
    pub left: u64,
}

impl Work<'_> {
    /// Replays what is planned.
    pub(super) fn run(&mut self) -> Result<(), ReplayError> {
        self.left = self.plan.letters;
        match self.attempt(Packing::Batches) {
            // A topic may take less at once than a producer puts together.
            Err(ReplayError::Letter {
                is_too_large: true, ..
            }) => self.attempt(Packing::Single),
            ended => ended,
        }
    }

    fn attempt(&mut self, packing: Packing) -> Result<(), ReplayError> {
        let (mut session, committed) = Session::open(self.kafka, self.topic, &self.spans, packing)?;
        let rest = pending(self.topic, &self.spans, &committed)?;
        if rest != self.plan.spans {
            // Another replay came to an end meanwhile, or this one's first attempt has committed something.
            self.plan = Plan::make(self.kafka, self.topic, rest, self.remaining())?;
            self.targets = self.plan.check(self.kafka, self.topic)?;
            self.left = self.plan.letters;
        }
        let ended = self.pass(&mut session);
        if ended.is_ok() || matches!(ended, Err(ReplayError::Interrupted { .. })) {
            session.settle();
        }
        ended
    }

    fn pass(&mut self, session: &mut Session<'_>) -> Result<(), ReplayError> {
        let mut batch = Batch::default();
        let mut ticker = Ticker::new();
        let total = self.counts.letters() + self.plan.chosen();
        for span in self.plan.spans.clone() {
            let mut reading = Reading::begin(self.kafka, self.topic, &[span])?;
            loop {
                if self.stop.is_cancelled() {
                    self.commit(session, &mut batch)?;
                    return self.interrupted();
                }
                if self.remaining() == Some(batch.counts.letters()) {
                    return self.commit(session, &mut batch);
                }
                match reading.next()? {
                    Next::Record(message) => self.take(session, &mut batch, &message)?,
                    // No transaction stays open while nothing comes.
                    Next::Nothing if batch.counts.letters() > 0 => {
                        self.commit(session, &mut batch)?;
                    }
                    Next::Nothing => {}
                    Next::End => break,
                }
                if batch.is_full() {
                    self.commit(session, &mut batch)?;
                }
                let done = self.counts.letters();
                ticker.tick(|| format!("{}: {done} of {total} letters replayed", self.topic));
            }
            batch.next.insert(span.partition, span.end);
        }
        self.commit(session, &mut batch)
    }

    /// How many letters the limit allows yet.
    fn remaining(&self) -> Option<u64> {
        self.limit
            .map(|limit| limit.saturating_sub(self.counts.letters()))
    }

    fn take(
        &self,
        session: &mut Session<'_>,
        batch: &mut Batch,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), ReplayError> {
        batch.counts.read += 1;
        if let Ok(letter) = dead_letter(message.headers()) {
            let partitions = self.targets.get(&letter.topic).copied().unwrap_or_default();
            session.send(replayed(message, &letter, partitions))?;
            batch.bytes += size(message);
            *batch.counts.replayed.entry(letter.topic).or_default() += 1;
        } else {
            batch.counts.skipped += 1;
        }
        batch.next.insert(message.partition(), message.offset() + 1);
        Ok(())
    }

    fn commit(&mut self, session: &mut Session<'_>, batch: &mut Batch) -> Result<(), ReplayError> {
        if batch.next.is_empty() {
            return Ok(());
        }
        session.commit(&batch.next)?;
        let done = std::mem::take(batch).counts;
        self.left = self.left.saturating_sub(done.letters());
        self.counts.add(done);
        Ok(())
    }

    fn interrupted(&self) -> Result<(), ReplayError> {
        match self.left {
            0 => Ok(()),
            left => Err(ReplayError::Interrupted { left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_by_number_and_by_size() {
        let batch = |letters, bytes| Batch {
            counts: Counts {
                replayed: [("a".to_owned(), letters)].into(),
                ..Counts::default()
            },
            bytes,
            ..Batch::default()
        };
        assert!(!batch(499, 4_000_000).is_full());
        assert!(batch(500, 0).is_full());
        assert!(batch(1, 5_000_000).is_full());
    }

    #[test]
    fn counts_add_up_by_topic() {
        let counts = |replayed: &[(&str, u64)]| Counts {
            read: 5,
            skipped: 1,
            replayed: replayed
                .iter()
                .map(|(topic, count)| ((*topic).to_owned(), *count))
                .collect(),
        };
        let mut all = counts(&[("a", 4)]);
        all.add(counts(&[("a", 3), ("b", 1)]));
        let expected = Counts {
            read: 10,
            skipped: 2,
            ..counts(&[("a", 7), ("b", 1)])
        };
        assert_eq!(all, expected);
        assert_eq!(all.letters(), 8);
    }
}
