//! A solution: a seed and the digest that proves it.

use super::{Difficulty, Digest, Seed, digest};

/// A seed that was checked, with its digest. Only [`verify`] makes one, so holding it is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solution {
    seed: Seed,
    digest: Digest,
}

impl Solution {
    /// The seed, which stands before the message.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// `SHA-256(seed || message)`.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Hashes `seed || message` and says whether that is a solution at `difficulty`.
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
        let difficulty = Difficulty::new(1).expect("0 to 64");
        let mut met = 0;
        for index in 0..3844 {
            let seed = Seed::from_index(SeedLength::of::<2>(), index);
            let text = hex::encode(digest(&seed, b"message"));
            let solution = verify(seed, b"message", difficulty);
            assert_eq!(solution.is_some(), text.starts_with('0'));
            met += usize::from(solution.is_some());
        }
        assert!(met > 0, "one in sixteen of 3844 seeds");
    }
}
