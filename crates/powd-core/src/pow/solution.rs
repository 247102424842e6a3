//! A solution: a seed and the digest that proves it.

use super::{Difficulty, Digest, Seed, digest};

/// A seed with the digest of seed and message.
///
/// Only [`verify`] makes one: whoever holds a solution knows that the digest was computed by the
/// `sha2` crate, and that it met the difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Solution {
    seed: Seed,
    digest: Digest,
}

impl Solution {
    /// The seed, which stands before the message.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// `SHA-256(seed || message)`.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Hashes `seed || message`: the solution, or `None` when the digest does not meet `difficulty`.
///
/// It costs one hash, whatever the difficulty.
///
/// ```
/// use powd_core::{Difficulty, Seed, verify};
///
/// let seed: Seed = "Jn4tY".parse()?;
/// let solution = verify(seed, b"hello", Difficulty::of::<3>()).expect("three zeros");
/// assert!(solution.digest().to_string().starts_with("00069e35"));
/// assert!(verify(seed, b"hello", Difficulty::of::<4>()).is_none());
/// # Ok::<(), powd_core::SeedError>(())
/// ```
pub fn verify(seed: Seed, message: &[u8], difficulty: Difficulty) -> Option<Solution> {
    let digest = digest(&seed, message);
    difficulty
        .is_met_by(&digest)
        .then_some(Solution { seed, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::SeedLength;

    #[test]
    fn verify_accepts_exactly_what_the_digest_has() {
        let mut met = 0;
        for index in 0..3844 {
            let seed = Seed::from_index(SeedLength::of::<2>(), index);
            let text = hex::encode(digest(&seed, b"message"));
            let solution = verify(seed, b"message", Difficulty::of::<1>());
            assert_eq!(solution.is_some(), text.starts_with('0'));
            met += usize::from(solution.is_some());
        }
        assert!(met > 0, "one in sixteen of 3844 seeds");
    }
}
