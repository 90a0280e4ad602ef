//! Random access randomness: every draw is a function of a root, a purpose and an index.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The 32 bytes that everything random of one producer instance follows from.
///
/// Its text form is 43 characters of unpadded URL-safe base64, in [`Display`](fmt::Display), [`FromStr`] and serde.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Root([u8; 32]);

/// A text that is not the text form of a [`Root`].
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The text is not base64.
    #[error("a root is 43 characters of unpadded URL-safe base64")]
    Base64(#[source] base64::DecodeError),
    /// The text is base64 of another length.
    #[error("a root is 32 bytes, not {0}")]
    Length(usize),
}

impl Root {
    /// The root that follows from a user's seed and the ordinal of the producer instance.
    #[must_use]
    pub fn seeded(seed: u64, ordinal: u32) -> Self {
        Self(Sha256::digest(format!("ordermill root: seed {seed}, ordinal {ordinal}")).into())
    }

    /// A new root from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The stream of draws for one purpose, independent of every other purpose's.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> Stream {
        let key = Sha256::new()
            .chain_update("ordermill stream: ")
            .chain_update(self.0)
            .chain_update(purpose)
            .finalize();
        Stream { key: key.into() }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Root({self})")
    }
}

impl FromStr for Root {
    type Err = RootError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(RootError::Base64)?;
        let length = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| RootError::Length(length))
    }
}

impl TryFrom<String> for Root {
    type Error = RootError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Root> for String {
    fn from(root: Root) -> Self {
        root.to_string()
    }
}

/// The draws of one purpose, each at an index of its own: a `ChaCha8` key, with the index as its nonce.
#[derive(Clone)]
pub struct Stream {
    key: [u8; 32],
}

impl Stream {
    /// The generator of index `index`, at its beginning. What is drawn from it says nothing about other indices.
    #[must_use]
    pub fn at(&self, index: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::from_seed(self.key);
        generator.set_stream(index);
        generator
    }

    /// The first draw of index `index` as a uniform number in [0, 1), of 53 bits.
    #[must_use]
    pub fn uniform(&self, index: u64) -> f64 {
        self.at(index).random()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_root_purpose_and_index_only() {
        let stream = Root::seeded(7, 0).stream("fault/drop");
        let forwards: Vec<f64> = (0..100).map(|index| stream.uniform(index)).collect();
        let mut backwards: Vec<f64> = (0..100)
            .rev()
            .map(|index| Root::seeded(7, 0).stream("fault/drop").uniform(index))
            .collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        for other in [
            Root::seeded(8, 0).stream("fault/drop"),
            Root::seeded(7, 1).stream("fault/drop"),
            Root::seeded(7, 0).stream("fault/late"),
        ] {
            assert!(
                (0..100)
                    .all(|index| other.uniform(index).to_bits() != stream.uniform(index).to_bits())
            );
        }
    }

    #[test]
    fn a_share_of_draws_is_within_its_binomial_bound() {
        let stream = Root::seeded(1, 0).stream("errorRate");
        let draws = 100_000_u32;
        let hits = (0..u64::from(draws))
            .filter(|index| stream.uniform(*index) < 0.1)
            .count();
        // 6.2 standard deviations of a binomial share: chance 1 in 10^9.
        let deviation = 6.2 * (f64::from(draws) * 0.1 * 0.9).sqrt();
        let hits = f64::from(u32::try_from(hits).unwrap());
        assert!((hits - 10_000.0).abs() <= deviation, "{hits} of {draws}");
    }

    #[test]
    fn the_text_form_comes_back() {
        let root = Root::random();
        assert_eq!(root.to_string().len(), 43);
        assert_eq!(root.to_string().parse::<Root>().unwrap(), root);
        let json = serde_json::to_string(&root).unwrap();
        assert_eq!(serde_json::from_str::<Root>(&json).unwrap(), root);
    }

    #[test]
    fn a_text_of_another_form_is_refused() {
        assert!(matches!("*".parse::<Root>(), Err(RootError::Base64(_))));
        assert!(matches!("AAAA".parse::<Root>(), Err(RootError::Length(3))));
    }
}
