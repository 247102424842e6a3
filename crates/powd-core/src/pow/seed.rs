//! Seeds: short strings over a fixed alphabet, numbered so that a search can walk through all of
//! them.

use std::fmt;
use std::str::FromStr;

use super::SeedLength;

/// The characters of a seed, in the order of their digits.
pub const ALPHABET: [u8; 62] = *b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The seeds of four characters: their numbers fit in 32 bits.
const FOUR_DIGITS: u64 = 62u64.pow(4);

/// A seed: 1 to 16 characters, each of `[a-zA-Z0-9]`.
///
/// The seeds of one length are numbered in base 62. The **first** character is the lowest digit:
/// neighbours differ in the first bytes that are hashed, which is where a kernel varies them.
///
/// ```
/// use powd_core::{Seed, SeedLength};
///
/// let seed: Seed = "Jn4tY".parse()?;
/// assert_eq!(seed, Seed::from_bytes(b"Jn4tY")?);
/// assert_eq!(seed.length(), SeedLength::of::<5>());
/// assert_eq!(seed.as_str(), "Jn4tY");
///
/// let seeds = [0, 1, 62].map(|index| Seed::from_index(SeedLength::of::<3>(), index).to_string());
/// assert_eq!(seeds, ["aaa", "baa", "aba"]);
///
/// // Their order is that of their text, not of their numbers.
/// assert!("aba".parse::<Seed>()? < "baa".parse::<Seed>()?);
/// # Ok::<(), powd_core::SeedError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed {
    /// The characters, then zeros.
    characters: [u8; SeedLength::MAX.bytes()],
    length: SeedLength,
}

/// Why some bytes are not a [`Seed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// No character, or more than 16.
    #[error("a seed has 1 to 16 characters, this one {0}")]
    Length(usize),
    /// A character that is neither letter nor digit.
    #[error("a seed has only letters a-z, A-Z and digits 0-9")]
    Alphabet,
}

impl Seed {
    /// The seed of `length` characters with number `index`.
    ///
    /// # Panics
    ///
    /// When there is no such seed: `index` is [`length.space()`](SeedLength::space) or more.
    #[inline]
    pub fn from_index(length: SeedLength, index: u128) -> Seed {
        assert!(
            index < length.space(),
            "seed index {index} at length {length}"
        );
        // Gathered in a register: characters stored one by one would hold up the next read of all
        // of them.
        let mut characters = 0u128;
        let mut rest = index;
        for place in (0..length.bytes()).step_by(4) {
            // 128-bit division is a library call; nearly every number fits in 64 bits.
            let low = match u64::try_from(rest) {
                Ok(number) => {
                    rest = u128::from(number / FOUR_DIGITS);
                    number % FOUR_DIGITS
                }
                Err(_) => {
                    let low = rest % u128::from(FOUR_DIGITS);
                    rest /= u128::from(FOUR_DIGITS);
                    low as u64
                }
            };
            // All four, whether or not the seed has so many: independent of each other and without
            // a loop, that takes a third of the instructions.
            let digit = |power: u32| ALPHABET[(low as u32 / power % 62) as usize];
            let four =
                u32::from_le_bytes([digit(1), digit(62), digit(62 * 62), digit(62 * 62 * 62)]);
            characters |= u128::from(four) << (8 * place);
        }
        let unused = 8 * (SeedLength::MAX.bytes() - length.bytes());
        Seed {
            characters: (characters << unused >> unused).to_le_bytes(),
            length,
        }
    }

    /// The seed with these characters.
    ///
    /// # Errors
    ///
    /// When there is no character, or more than 16, or one that is neither letter nor digit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Seed, SeedError> {
        let length = u8::try_from(bytes.len())
            .ok()
            .and_then(|characters| SeedLength::new(characters).ok())
            .ok_or(SeedError::Length(bytes.len()))?;
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(SeedError::Alphabet);
        }
        let mut characters = [0; SeedLength::MAX.bytes()];
        characters[..bytes.len()].copy_from_slice(bytes);
        Ok(Seed { characters, length })
    }

    /// The characters, first to last.
    pub fn as_bytes(&self) -> &[u8] {
        &self.characters[..self.length.bytes()]
    }

    /// The characters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("letters and digits")
    }

    /// How many characters there are.
    pub fn length(&self) -> SeedLength {
        self.length
    }

    /// The characters, then zeros up to the longest length.
    pub(super) fn padded(&self) -> &[u8; SeedLength::MAX.bytes()] {
        &self.characters
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        Seed::from_bytes(text.as_bytes())
    }
}

impl AsRef<[u8]> for Seed {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    impl Seed {
        /// The number of this seed among those of its length.
        pub(crate) fn index(&self) -> u128 {
            self.as_bytes().iter().rev().fold(0, |index, &character| {
                let digit = ALPHABET.iter().position(|&c| c == character);
                index * 62 + digit.unwrap_or_default() as u128
            })
        }
    }

    #[test]
    fn short_lengths_are_numbered_without_gap_or_repeat() {
        for length in [SeedLength::of::<1>(), SeedLength::of::<2>()] {
            let seeds: HashSet<Seed> = (0..length.space())
                .map(|index| Seed::from_index(length, index))
                .collect();
            assert_eq!(seeds.len() as u128, length.space());
        }
    }

    #[test]
    fn index_and_seed_are_inverse_at_every_length() {
        for length in (1..=16).map(|characters| SeedLength::new(characters).expect("1 to 16")) {
            let last = length.space() - 1;
            for index in [0, 1, 61, last / 3, last / 2, last - 1, last].map(|i| i.min(last)) {
                let seed = Seed::from_index(length, index);
                assert_eq!(seed.length(), length);
                assert_eq!(seed.as_bytes().len(), length.bytes());
                assert_eq!(seed.index(), index);
                assert_eq!(Seed::from_bytes(seed.as_bytes()), Ok(seed));
            }
        }
    }

    #[test]
    fn the_first_character_is_the_lowest_digit() {
        let seed = |index| Seed::from_index(SeedLength::of::<5>(), index).to_string();
        assert_eq!(seed(0), "aaaaa");
        assert_eq!(seed(1), "baaaa");
        assert_eq!(seed(62), "abaaa");
        assert_eq!(seed(62u128.pow(5) - 1), "99999");
    }

    #[test]
    fn their_order_is_that_of_their_text() {
        let mut texts = ["b", "ab", "a", "aa", "Z", "0", "a0", "zzzzz", "zzzz"];
        let mut seeds = texts.map(|text| text.parse::<Seed>().expect("a seed"));
        texts.sort();
        seeds.sort();
        assert_eq!(seeds.map(|seed| seed.to_string()), texts);
    }

    #[test]
    fn foreign_bytes_are_no_seed() {
        assert_eq!(Seed::from_bytes(b""), Err(SeedError::Length(0)));
        assert_eq!(Seed::from_bytes(&[b'a'; 17]), Err(SeedError::Length(17)));
        assert_eq!(Seed::from_bytes(&[b'a'; 257]), Err(SeedError::Length(257)));
        assert_eq!(Seed::from_bytes(b"abc,e"), Err(SeedError::Alphabet));
        assert_eq!(Seed::from_bytes("ä".as_bytes()), Err(SeedError::Alphabet));
    }
}
