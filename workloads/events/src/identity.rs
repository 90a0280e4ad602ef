//! Who a producer instance is, and the ids that follow from it.

use rand::{Rng, RngExt};
use uuid::{Builder, Uuid};

use crate::random::{Root, Stream};

/// Bits of a random integer id that count ticks within one block.
const BLOCK_BITS: u32 = 24;
/// Number of blocks: 39 bits above [`BLOCK_BITS`] keep a random integer id a positive `i64`.
const BLOCKS: u64 = 1 << 39;
/// Bits of a seeded integer id below the ordinal.
const ORDINAL_SHIFT: u32 = 40;
/// Bits of the ordinal in a seeded integer id: with the shift they keep it a positive `i64`.
const ORDINAL_MASK: u64 = (1 << 23) - 1;
/// Tells a seeded refund's id from every seeded sale's.
const REFUND_BIT: u64 = 1 << 39;
/// Milliseconds in a version 7 UUID are 48 bits.
const UUID_TIME_MASK: u64 = (1 << 48) - 1;

/// The identity of one producer instance: its randomness, and the ids of its events.
///
/// | identity | made by | UUID's time field | integer ids |
/// |---|---|---|---|
/// | seeded | [`seeded`](Self::seeded) | the tick | ordinal and tick |
/// | random | [`random`](Self::random) | the event's creation time | blocks chosen at random |
/// | stored | [`stored`](Self::stored) | the stored start time + the tick | blocks chosen at random |
///
/// All of a seeded or stored identity's ids are functions of the tick, so a producer that goes on after a kill makes the
/// same ones; a random identity is made anew with each start of a producer.
///
/// **UUIDs** have version 7's shape; their 74 random bits follow from root and tick.
///
/// **Integer ids** are positive `i64`s. A seeded identity's are `ordinal << 40 | tick + 1`, with bit 39 set besides
/// in the ids of refunds: unique over the first 2³⁹ ticks of ordinals below 2²³. The others' are `block << 24 | low 24
/// bits of tick`: within a block no two are equal, and every 2²⁴ ticks a new block of 39 bits is derived from the root. Of n
/// blocks in use by all replicas, over all restarts, any two are the same with a chance below n² / 2⁴⁰: for 1,000 blocks
/// less than 1 in a million.
#[derive(Debug, Clone)]
pub struct Identity {
    root: Root,
    ids: Ids,
    first_index: Option<u64>,
    uuid_bits: Stream,
    blocks: Stream,
    refund_blocks: Stream,
}

/// Where ids come from.
#[derive(Debug, Clone, Copy)]
enum Ids {
    Seeded { ordinal: u32 },
    Random,
    Stored { start_unix_ms: u64 },
}

/// The series an integer id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    /// Orders and sales.
    Main,
    /// Refunds of sales.
    Refunds,
}

impl Identity {
    /// An identity that follows from the user's `seed` and the ordinal of the instance among the replicas.
    #[must_use]
    pub fn seeded(seed: u64, ordinal: u32) -> Self {
        Self::new(Root::seeded(seed, ordinal), Ids::Seeded { ordinal })
    }

    /// The identity of an unbounded producer without a seed. Give it a new [`Root::random`] at each start.
    #[must_use]
    pub fn random(root: Root) -> Self {
        Self::new(root, Ids::Random)
    }

    /// The identity of a bounded producer without a seed, which stores its random `root` and its `start_unix_ms` (Unix time
    /// of its first start, in milliseconds) with its progress, and so goes on identically after a kill.
    #[must_use]
    pub fn stored(root: Root, start_unix_ms: u64) -> Self {
        Self::new(root, Ids::Stored { start_unix_ms })
    }

    fn new(root: Root, ids: Ids) -> Self {
        Self {
            root,
            ids,
            first_index: None,
            uuid_bits: root.stream("uuid"),
            blocks: root.stream("integer block"),
            refund_blocks: root.stream("integer block of refunds"),
        }
    }

    /// Makes it the identity of a bounded producer whose share of the bounded work starts at the 0-based `first_index`.
    /// Food orders are then numbered from `first_index + 1` on without a gap.
    #[must_use]
    pub fn bounded(self, first_index: u64) -> Self {
        Self {
            first_index: Some(first_index),
            ..self
        }
    }

    /// The root, for draws of the producer's own purposes.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The 0-based index where a bounded producer's share starts; `None` for an unbounded one.
    #[must_use]
    pub fn first_index(&self) -> Option<u64> {
        self.first_index
    }

    /// The `slot`-th UUID of a tick; there are four at most. Only a random identity looks at `created_unix_ms`.
    pub(crate) fn uuid(&self, tick: u64, slot: UuidSlot, created_unix_ms: u64) -> Uuid {
        let time = match self.ids {
            Ids::Seeded { .. } => tick,
            Ids::Random => created_unix_ms,
            Ids::Stored { start_unix_ms } => start_unix_ms.wrapping_add(tick),
        };
        let mut bits = self.uuid_bits.at(tick);
        // Four words each: ten bytes of a UUID fit, and all slots lie in the stream's first block.
        bits.set_word_pos(4 * slot as u128);
        let mut random = [0; 10];
        bits.fill_bytes(&mut random);
        Builder::from_unix_timestamp_millis(time & UUID_TIME_MASK, &random).into_uuid()
    }

    /// The integer id of a tick in a series.
    pub(crate) fn integer(&self, tick: u64, series: Series) -> u64 {
        if let Ids::Seeded { ordinal } = self.ids {
            let ordinal = u64::from(ordinal) & ORDINAL_MASK;
            let refund = if series == Series::Refunds {
                REFUND_BIT
            } else {
                0
            };
            return ordinal << ORDINAL_SHIFT | refund | tick.wrapping_add(1);
        }
        let blocks = match series {
            Series::Main => &self.blocks,
            Series::Refunds => &self.refund_blocks,
        };
        // Block 0 is left out, so that no id is 0.
        let block = blocks.at(tick >> BLOCK_BITS).random_range(1..BLOCKS);
        block << BLOCK_BITS | (tick & ((1 << BLOCK_BITS) - 1))
    }
}

/// Which of a tick's UUIDs.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum UuidSlot {
    /// The order's or delivery's own id.
    Subject = 0,
    /// `event_id` of the event that begins a life cycle.
    FirstEvent = 1,
    /// `event_id` of the first event that follows.
    SecondEvent = 2,
    /// `event_id` of the second event that follows.
    ThirdEvent = 3,
}

/// The time field of a version 7 UUID: Unix milliseconds for a random or stored identity.
pub(crate) fn uuid_time(id: Uuid) -> u64 {
    id.as_u64_pair().0 >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn uuids_have_the_shape_of_version_7() {
        for identity in [
            Identity::seeded(1, 2),
            Identity::random(Root::random()),
            Identity::stored(Root::random(), 5),
        ] {
            let id = identity.uuid(9, UuidSlot::Subject, 1_700_000_000_000);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn the_time_of_a_uuid_is_the_clocks_only_without_a_seed() {
        let time = |identity: &Identity, now| uuid_time(identity.uuid(9, UuidSlot::Subject, now));
        assert_eq!(time(&Identity::seeded(1, 0), 1_000), 9);
        assert_eq!(time(&Identity::random(Root::random()), 1_000), 1_000);
        assert_eq!(time(&Identity::stored(Root::random(), 500), 1_000), 509);
    }

    #[test]
    fn seeded_integers_are_ordinal_and_tick() {
        let identity = Identity::seeded(3, 2);
        assert_eq!(identity.integer(0, Series::Main), (2 << 40) + 1);
        assert_eq!(identity.integer(41, Series::Main), (2 << 40) + 42);
        assert_eq!(
            identity.integer(41, Series::Refunds),
            (2 << 40) + (1 << 39) + 42
        );
    }

    #[test]
    fn a_used_up_block_is_followed_by_another() {
        let identity = Identity::random(Root::seeded(1, 1));
        let last = identity.integer((1 << 24) - 1, Series::Main);
        let next = identity.integer(1 << 24, Series::Main);
        assert_ne!(last >> 24, next >> 24);
        assert_eq!(next & 0xFF_FFFF, 0);
    }

    #[test]
    fn ids_of_several_instances_without_a_seed_do_not_collide() {
        // Fixed roots stand for random ones: a chance collision would show in every run or in none.
        let mut integers = HashSet::new();
        let mut uuids = HashSet::new();
        let ticks = || (0..200).chain((1 << 24) - 100..(1 << 24) + 100);
        for instance in 0..50 {
            let identity = Identity::random(Root::seeded(99, instance));
            for tick in ticks() {
                for series in [Series::Main, Series::Refunds] {
                    let id = identity.integer(tick, series);
                    assert!(i64::try_from(id).is_ok_and(|id| id > 0));
                    assert!(integers.insert(id), "{id} twice");
                }
                for slot in [
                    UuidSlot::Subject,
                    UuidSlot::FirstEvent,
                    UuidSlot::SecondEvent,
                    UuidSlot::ThirdEvent,
                ] {
                    // All at the same instant, so that the random bits alone tell them apart.
                    assert!(uuids.insert(identity.uuid(tick, slot, 1_000)));
                }
            }
        }
    }

    #[test]
    fn two_random_roots_give_other_ids() {
        let (one, other) = (
            Identity::random(Root::random()),
            Identity::random(Root::random()),
        );
        assert_ne!(
            one.uuid(0, UuidSlot::Subject, 5),
            other.uuid(0, UuidSlot::Subject, 5)
        );
    }
}
