//! A solution: a seed and the digest that proves it.

use sha2::{Digest as _, Sha256};

use super::{Difficulty, Seed};

/// A SHA-256 digest, 32 bytes, most significant first.
pub type Digest = [u8; 32];

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

/// `SHA-256(seed || message)` by the `sha2` crate.
pub fn digest(seed: &[u8], message: &[u8]) -> Digest {
    Sha256::new()
        .chain_update(seed)
        .chain_update(message)
        .finalize()
        .into()
}

/// Hashes `seed || message` and says whether that is a solution at `difficulty`.
pub fn verify(seed: Seed, message: &[u8], difficulty: Difficulty) -> Option<Solution> {
    let digest = digest(seed.as_bytes(), message);
    difficulty
        .is_met_by(&digest)
        .then_some(Solution { seed, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example "abc": the first character as seed, the rest as message.
    #[test]
    fn the_seed_stands_before_the_message() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(digest(b"a", b"bc")), known);
    }

    #[test]
    fn verify_accepts_exactly_what_the_digest_has() {
        let difficulty = Difficulty::new(1).expect("0 to 64");
        let mut met = 0;
        for index in 0..3844 {
            let seed = Seed::from_index(2, index);
            let text = hex::encode(digest(seed.as_bytes(), b"message"));
            let solution = verify(seed, b"message", difficulty);
            assert_eq!(solution.is_some(), text.starts_with('0'));
            met += usize::from(solution.is_some());
        }
        assert!(met > 0, "one in sixteen of 3844 seeds");
    }
}
