//! Seed length: how many characters a seed has.

use std::fmt;
use std::str::FromStr;

/// The number of characters of a seed, 1 to 16.
///
/// There are 62^L seeds of length L: the longer they are, the more of them there are, and the
/// harder the job that surely has a solution among them.
///
/// ```
/// use powd_core::SeedLength;
///
/// // Known when the program is written: a wrong one does not compile.
/// const LENGTH: SeedLength = SeedLength::of::<6>();
/// // From outside: a wrong one is an error.
/// assert_eq!(SeedLength::new(6), Ok(LENGTH));
/// assert_eq!("6".parse(), Ok(LENGTH));
/// assert!(SeedLength::new(17).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeedLength(u8);

/// Why a number is not a [`SeedLength`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seed length is a whole number from 1 to 16")]
pub struct SeedLengthError(());

impl SeedLength {
    /// A single character: 62 seeds.
    pub const MIN: SeedLength = SeedLength(1);
    /// Five characters: 916,132,832 seeds. Up to difficulty 6 nearly every message has a solution
    /// among them.
    pub const DEFAULT: SeedLength = SeedLength(5);
    /// Sixteen characters: more seeds (62^16) than any hardware can try.
    pub const MAX: SeedLength = SeedLength(16);

    /// A length of `characters`.
    ///
    /// # Errors
    ///
    /// When `characters` is not in 1 to 16.
    pub const fn new(characters: u8) -> Result<SeedLength, SeedLengthError> {
        if characters >= Self::MIN.0 && characters <= Self::MAX.0 {
            Ok(SeedLength(characters))
        } else {
            Err(SeedLengthError(()))
        }
    }

    /// A length that is known when the program is written. A wrong one does not compile:
    ///
    /// ```compile_fail
    /// powd_core::SeedLength::of::<17>();
    /// ```
    pub const fn of<const CHARACTERS: u8>() -> SeedLength {
        const {
            match SeedLength::new(CHARACTERS) {
                Ok(length) => length,
                Err(_) => panic!("a seed length is a whole number from 1 to 16"),
            }
        }
    }

    /// The number of characters.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The bytes that a seed takes: each character is one.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// One character more; `None` behind [`SeedLength::MAX`].
    pub const fn longer(self) -> Option<SeedLength> {
        if self.0 < Self::MAX.0 {
            Some(SeedLength(self.0 + 1))
        } else {
            None
        }
    }

    /// The number of seeds of this length, 62^L.
    pub const fn space(self) -> u128 {
        SPACES[self.bytes()]
    }
}

impl Default for SeedLength {
    fn default() -> SeedLength {
        SeedLength::DEFAULT
    }
}

/// Powers of 62. A table, because computing a power of 128 bits takes longer than a hash.
const SPACES: [u128; SeedLength::MAX.bytes() + 1] = {
    let mut spaces = [1; SeedLength::MAX.bytes() + 1];
    let mut length = 1;
    while length < spaces.len() {
        spaces[length] = spaces[length - 1] * 62;
        length += 1;
    }
    spaces
};

impl fmt::Display for SeedLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SeedLength {
    type Err = SeedLengthError;

    fn from_str(text: &str) -> Result<SeedLength, SeedLengthError> {
        let characters = text.parse().map_err(|_| SeedLengthError(()))?;
        SeedLength::new(characters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_1_to_16() {
        let lengths: Vec<u8> = (0..=255)
            .filter_map(|characters| SeedLength::new(characters).ok())
            .map(SeedLength::get)
            .collect();
        assert!(lengths.into_iter().eq(1..=16));
    }

    #[test]
    fn each_length_has_a_longer_one_but_the_last() {
        let lengths = std::iter::successors(Some(SeedLength::MIN), |length| length.longer());
        assert!(lengths.map(SeedLength::get).eq(1..=16));
    }

    #[test]
    fn one_character_more_makes_62_times_as_many_seeds() {
        for length in std::iter::successors(Some(SeedLength::MIN), |length| length.longer()) {
            assert_eq!(length.space(), 62u128.pow(length.get().into()));
        }
        assert_eq!(SeedLength::DEFAULT.space(), 916_132_832);
    }

    #[test]
    fn text_is_a_number_within_the_range() {
        for length in std::iter::successors(Some(SeedLength::MIN), |length| length.longer()) {
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        for text in ["0", "17", "-1", "", "5.0", "five", "256"] {
            assert_eq!(
                text.parse::<SeedLength>(),
                Err(SeedLengthError(())),
                "{text:?}"
            );
        }
    }
}
