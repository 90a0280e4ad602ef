//! Amounts of money in integer cents.

use std::iter::Sum;
use std::ops::{Add, Mul};

use serde::{Serialize, Serializer};

/// An amount of money in cents; in JSON a number of whole units with at most two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cents(pub u32);

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The double nearest to a count of cents below 2^53 prints as its shortest text, which is that count.
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

impl Mul<u8> for Cents {
    type Output = Self;

    fn mul(self, quantity: u8) -> Self {
        Self(self.0 * u32::from(quantity))
    }
}

impl Add for Cents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_at_most_two_decimals_and_the_exact_amount() {
        for cents in 0..=200_000_u32 {
            let text = serde_json::to_string(&Cents(cents)).unwrap();
            let (units, decimals) = text.split_once('.').unwrap();
            assert!(decimals.len() <= 2, "{text}");
            let hundredths: u32 = format!("{decimals:0<2}").parse().unwrap();
            assert_eq!(units.parse::<u32>().unwrap() * 100 + hundredths, cents);
        }
    }
}
