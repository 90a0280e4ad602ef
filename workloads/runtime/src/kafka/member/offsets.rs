//! Where partitions begin and end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ordermill_crds::{StartFrom, StartPosition};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::partitions::PartitionKey;

/// How long a broker may take to say where something is.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What stands for the beginning in a request for offsets by time.
const BEGINNING: Offset = Offset::Beginning;

/// Where a partition begins for this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// The first message's offset, or a later one.
    pub(super) offset: i64,
    /// Whether the group has a commit of it.
    pub(super) committed: bool,
}

/// Where the group goes on in each of these partitions: at its commit, or where `start` says.
pub(super) fn starts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    keys: &[PartitionKey],
    start: &StartFrom,
) -> KafkaResult<BTreeMap<PartitionKey, Start>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let committed = consumer.committed_offsets(list(keys, Offset::Invalid)?, TIMEOUT)?;
    let mut starts = BTreeMap::new();
    let mut new = Vec::new();
    for (key, offset) in offsets(&committed)? {
        match offset {
            Offset::Offset(offset) => {
                let committed = true;
                starts.insert(key, Start { offset, committed });
            }
            _ => new.push(key),
        }
    }
    for (key, offset) in first_offsets(consumer, &new, start)? {
        let committed = false;
        starts.insert(key, Start { offset, committed });
    }
    Ok(starts)
}

fn first_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    keys: &[PartitionKey],
    start: &StartFrom,
) -> KafkaResult<Vec<(PartitionKey, i64)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let at = match (start.position, &start.timestamp) {
        (StartPosition::Earliest, _) | (StartPosition::Timestamp, None) => BEGINNING,
        (StartPosition::Latest, _) => Offset::End,
        (StartPosition::Timestamp, Some(time)) => Offset::Offset(time.0.as_millisecond().max(0)),
    };
    let found = consumer.offsets_for_times(list(keys, at)?, TIMEOUT)?;
    let mut first = Vec::new();
    let mut behind = Vec::new();
    for (key, offset) in offsets(&found)? {
        match offset {
            Offset::Offset(offset) => first.push((key, offset)),
            // No message is as late as that.
            _ => behind.push(key),
        }
    }
    first.extend(ends(consumer, &behind)?);
    Ok(first)
}

/// The offset behind the last message of each partition that a reader may see.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    keys: &[PartitionKey],
) -> KafkaResult<Vec<(PartitionKey, i64)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found = consumer.offsets_for_times(list(keys, Offset::End)?, TIMEOUT)?;
    let known = offsets(&found)?.into_iter();
    let known = known.filter_map(|(key, offset)| match offset {
        Offset::Offset(offset) => Some((key, offset)),
        _ => None,
    });
    Ok(known.collect())
}

/// A list of partitions, each with the same offset.
fn list(keys: &[PartitionKey], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let all: Vec<_> = keys.iter().map(|key| (key.clone(), offset)).collect();
    list_at(&all)
}

/// A list of partitions, each with its own offset.
pub(super) fn list_at(offsets: &[(PartitionKey, Offset)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for ((topic, partition), offset) in offsets {
        match offset {
            Offset::Invalid => _ = list.add_partition(topic, *partition),
            offset => list.add_partition_offset(topic, *partition, *offset)?,
        }
    }
    Ok(list)
}

/// The partitions of a list with their offsets.
fn offsets(list: &TopicPartitionList) -> KafkaResult<Vec<(PartitionKey, Offset)>> {
    let all = list.elements().into_iter().map(|element| {
        element.error()?;
        let key = (Arc::from(element.topic()), element.partition());
        Ok((key, element.offset()))
    });
    all.collect()
}

/// The partitions of a list.
pub(super) fn keys(list: &TopicPartitionList) -> Vec<PartitionKey> {
    let elements = list.elements();
    let keys = elements
        .iter()
        .map(|element| (Arc::from(element.topic()), element.partition()));
    keys.collect()
}
