//! Chance that can be had again.

use std::time::Duration;

/// Set to what a failed test printed, this makes its draws again.
const VARIABLE: &str = "ORDERMILL_TEST_SEED";

/// A stream of draws whose seed is printed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Draws of a seed of the environment's choice, or else of a new one.
    pub fn new(test: &str) -> Self {
        let chosen = std::env::var(VARIABLE).ok();
        let seed = chosen
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("{test}: {VARIABLE}={seed}");
        Self(seed)
    }

    /// Draws that do not depend on how many the others take.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A whole number of milliseconds between two bounds, the upper one excluded.
    pub fn milliseconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.number(from, to))
    }

    /// A whole number between two bounds, the upper one excluded.
    pub fn number(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// `SplitMix64` (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
