//! Drawing members of a population, some more often than others, and fixed sets evenly.

use std::sync::Arc;

use rand::{Rng, RngExt};

/// Members numbered from 1 on, drawn with probabilities that fall with the number by Zipf's law: member k weighs k⁻ˢ.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    /// Chance that the drawn member's number is at most index + 1; the last is 1.
    cumulative: Arc<[f64]>,
}

impl Population {
    /// A population of `size` members (at least one) with Zipf exponent `exponent`; 0 (or what is no number) weighs all alike.
    pub(crate) fn new(size: u16, exponent: f64) -> Self {
        let exponent = if exponent.is_finite() { exponent } else { 0.0 };
        let size = size.max(1);
        let weight = |member: u16| f64::from(member).powf(-exponent);
        let total: f64 = (1..=size).map(weight).sum();
        let mut below = 0.0;
        let cumulative = (1..=size).map(|member| {
            below += weight(member);
            // Rounding must not leave a gap above the last member.
            if member == size { 1.0 } else { below / total }
        });
        Self {
            cumulative: cumulative.collect(),
        }
    }

    /// Draws a member's number. Takes one draw whatever the exponent, so that skewing keys changes nothing else.
    pub(crate) fn draw(&self, generator: &mut impl Rng) -> u16 {
        let draw: f64 = generator.random();
        let index = self.cumulative.partition_point(|chance| *chance <= draw);
        // The index is below the size, which is a u16.
        u16::try_from(index).unwrap_or(u16::MAX).saturating_add(1)
    }
}

/// Draws one of a fixed set, all alike.
pub(crate) fn one_of<T: Copy, const N: usize>(generator: &mut impl Rng, set: &[T; N]) -> T {
    set[generator.random_range(0..N)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Root;

    /// Asserts that each member's share lies within its binomial bound of 1 in 10⁹ for this test's fixed stream.
    fn shares_follow_zipf(size: u16, exponent: f64) {
        let population = Population::new(size, exponent);
        let mut generator = Root::seeded(11, 0).stream("shares").at(0);
        let draws = 100_000_u32;
        let mut counts = vec![0_u32; usize::from(size)];
        for _ in 0..draws {
            counts[usize::from(population.draw(&mut generator)) - 1] += 1;
        }
        let total: f64 = (1..=size).map(|k| f64::from(k).powf(-exponent)).sum();
        for (index, count) in counts.into_iter().enumerate() {
            let member = f64::from(u16::try_from(index + 1).unwrap());
            let share = member.powf(-exponent) / total;
            let mean = f64::from(draws) * share;
            // Bernstein's inequality: P(|X - mean| >= t) <= 2 exp(-t^2 / (2 var + 2t/3)); solved for 10^-9.
            let log = (2e9_f64).ln();
            let variance = mean * (1.0 - share);
            let bound = log / 3.0 + (log * log / 9.0 + 2.0 * variance * log).sqrt();
            assert!(
                (f64::from(count) - mean).abs() <= bound,
                "member {member} of {size}, exponent {exponent}: {count}, expected {mean} ± {bound}"
            );
        }
    }

    #[test]
    fn shares_follow_zipfs_law() {
        for size in [1, 3, 100, 1_000] {
            for exponent in [0.0, 0.5, 1.0, 2.0, 5.0] {
                shares_follow_zipf(size, exponent);
            }
        }
    }

    #[test]
    fn an_exponent_that_is_no_number_weighs_all_alike() {
        let (odd, even) = (Population::new(9, f64::NAN), Population::new(9, 0.0));
        assert_eq!(odd.cumulative, even.cumulative);
    }
}
