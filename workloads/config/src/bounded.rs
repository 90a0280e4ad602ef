//! A bounded run: so many events, shared among numbered instances.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hexadecimal;

/// The bounded part of a producer's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounded {
    /// Events of all instances together.
    pub max_events: u64,
    /// Number of instances that share them.
    pub instances: u32,
    /// Names the work: 12 hexadecimal digits that change with what is sent and where, never with image or resources.
    pub work: String,
}

impl Bounded {
    /// The work named by the hash of what describes it.
    #[must_use]
    pub fn new(max_events: u64, instances: u32, description: &impl Serialize) -> Self {
        // A description that does not serialize would only make the name less specific.
        let text = serde_json::to_vec(&(max_events, instances, description)).unwrap_or_default();
        let work = hexadecimal(&Sha256::digest(&text)[..6]);
        Self {
            max_events,
            instances: instances.max(1),
            work,
        }
    }

    /// The share of an instance: the index of its first event, and how many it sends.
    ///
    /// Shares differ by one at most and cover `0..max_events` without gap or overlap.
    #[must_use]
    pub fn share(&self, ordinal: u32) -> (u64, u64) {
        let instances = u64::from(self.instances);
        let ordinal = u64::from(ordinal).min(instances);
        let (each, rest) = (self.max_events / instances, self.max_events % instances);
        let first = ordinal * each + ordinal.min(rest);
        let count = if ordinal == instances {
            0
        } else {
            each + u64::from(ordinal < rest)
        };
        (first, count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_cover_everything_once(max_events in 1_u64..1_000_000_000_000, instances in 1_u32..1000) {
            let bounded = Bounded::new(max_events, instances, &"work");
            let mut next = 0;
            for ordinal in 0..instances {
                let (first, count) = bounded.share(ordinal);
                prop_assert_eq!(first, next);
                next = first + count;
            }
            prop_assert_eq!(next, max_events);
            prop_assert_eq!(bounded.share(instances).1, 0);
        }
    }

    #[test]
    fn the_name_follows_the_work() {
        let name = |events, description: &str| Bounded::new(events, 2, &description).work;
        assert_eq!(name(10, "a"), name(10, "a"));
        assert_ne!(name(10, "a"), name(11, "a"));
        assert_ne!(name(10, "a"), name(10, "b"));
        assert_eq!(name(10, "a").len(), 12);
    }
}
