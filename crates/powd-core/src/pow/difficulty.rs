//! Difficulty: how many hex digits of a digest must be zero.

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// The number of leading zero nibbles (hex digits) that a digest must have, 0 to 64.
///
/// A search at difficulty N takes 16^N hashes on average: each step makes 16 times the work of the
/// one before.
///
/// ```
/// use powd_core::Difficulty;
///
/// // Known when the program is written: a wrong one does not compile.
/// const FOUR_ZEROS: Difficulty = Difficulty::of::<4>();
/// // From outside: a wrong one is an error.
/// assert_eq!(Difficulty::new(4), Ok(FOUR_ZEROS));
/// assert_eq!("4".parse(), Ok(FOUR_ZEROS));
/// assert!("65".parse::<Difficulty>().is_err());
///
/// assert_eq!(FOUR_ZEROS.expected_hashes(), 65_536.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Difficulty(u8);

/// Why a number is not a [`Difficulty`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a difficulty is a whole number from 0 to 64, the zeros that a hash must start with")]
pub struct DifficultyError(());

impl Difficulty {
    /// No zeros: every digest meets it.
    pub const NONE: Difficulty = Difficulty(0);
    /// 64 zeros: only one digest of all 2^256 meets it.
    pub const MAX: Difficulty = Difficulty(64);

    /// A difficulty of `nibbles` leading zeros.
    ///
    /// # Errors
    ///
    /// When `nibbles` is above 64, the number of hex digits of a SHA-256 digest.
    pub const fn new(nibbles: u8) -> Result<Difficulty, DifficultyError> {
        if nibbles <= 64 {
            Ok(Difficulty(nibbles))
        } else {
            Err(DifficultyError(()))
        }
    }

    /// A difficulty that is known when the program is written. A wrong one does not compile:
    ///
    /// ```compile_fail
    /// powd_core::Difficulty::of::<65>();
    /// ```
    pub const fn of<const NIBBLES: u8>() -> Difficulty {
        const {
            match Difficulty::new(NIBBLES) {
                Ok(difficulty) => difficulty,
                Err(_) => panic!("a difficulty is a whole number from 0 to 64"),
            }
        }
    }

    /// The leading zero nibbles asked for, 0 to 64.
    pub const fn nibbles(self) -> u8 {
        self.0
    }

    /// Whether `digest` starts with that many zeros.
    pub fn is_met_by(self, digest: &Digest) -> bool {
        let digest = digest.as_bytes();
        let whole = usize::from(self.0 / 2);
        let half = self.0 % 2 == 1;
        digest[..whole].iter().all(|&byte| byte == 0) && (!half || digest[whole] >> 4 == 0)
    }

    /// The largest first word (big-endian, as in FIPS 180-4) of a digest that meets this
    /// difficulty: 2^(32 - 4N) - 1. From difficulty 8 on it is 0, and later words decide too.
    pub(crate) const fn first_word_bound(self) -> u32 {
        match u32::MAX.checked_shr(4 * self.0 as u32) {
            Some(bound) => bound,
            None => 0,
        }
    }

    /// The hashes that a search needs on average: 16^N.
    pub fn expected_hashes(self) -> f64 {
        // 2^4N, made of its exponent alone (IEEE 754 binary64): `powi` would show in a short
        // request.
        f64::from_bits((1023 + 4 * u64::from(self.0)) << 52)
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Difficulty {
    type Err = DifficultyError;

    fn from_str(text: &str) -> Result<Difficulty, DifficultyError> {
        let nibbles = text.parse().map_err(|_| DifficultyError(()))?;
        Difficulty::new(nibbles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition itself: the hex text starts with N zeros.
    fn by_text(nibbles: u8, digest: &Digest) -> bool {
        hex::encode(digest).starts_with(&"0".repeat(usize::from(nibbles)))
    }

    /// A digest of exactly `zeros` leading zero nibbles, all others one.
    fn with_leading_zeros(zeros: u8) -> Digest {
        let mut digest = [0xff; 32];
        for nibble in 0..usize::from(zeros) {
            digest[nibble / 2] &= if nibble % 2 == 0 { 0x0f } else { 0xf0 };
        }
        Digest::from(digest)
    }

    #[test]
    fn every_difficulty_against_every_count_of_zeros() {
        for nibbles in 0..=64 {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            for zeros in 0..=64 {
                let digest = with_leading_zeros(zeros);
                assert_eq!(difficulty.is_met_by(&digest), zeros >= nibbles);
                assert_eq!(difficulty.is_met_by(&digest), by_text(nibbles, &digest));
            }
        }
    }

    #[test]
    fn the_first_word_bound_is_tight() {
        for nibbles in 0..=8 {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            let bound = difficulty.first_word_bound();
            let mut digest = [0u8; 32];
            digest[..4].copy_from_slice(&bound.to_be_bytes());
            assert!(
                difficulty.is_met_by(&digest.into()),
                "{nibbles}: the bound itself"
            );
            if let Some(above) = bound.checked_add(1) {
                digest[..4].copy_from_slice(&above.to_be_bytes());
                assert!(
                    !difficulty.is_met_by(&digest.into()),
                    "{nibbles}: one above"
                );
            }
        }
        for nibbles in [8, 9, 63, 64] {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            assert_eq!(difficulty.first_word_bound(), 0);
        }
    }

    #[test]
    fn each_nibble_costs_sixteen_times_as_much() {
        for nibbles in 0..=64 {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            assert_eq!(difficulty.expected_hashes(), 16f64.powi(i32::from(nibbles)));
        }
    }

    #[test]
    fn text_outside_the_range_is_refused() {
        for text in ["65", "-1", "", "3.5", "abc", "256"] {
            assert_eq!(
                text.parse::<Difficulty>(),
                Err(DifficultyError(())),
                "{text:?}"
            );
        }
        assert_eq!("64".parse(), Ok(Difficulty::MAX));
        assert_eq!("0".parse(), Ok(Difficulty::NONE));
    }
}
