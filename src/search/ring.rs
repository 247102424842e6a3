//! The seeds of one length as a ring with a starting point.

use std::ops::Range;

use crate::pow::{Seed, space};

/// The characters that share the first word of the hashed block, and that a kernel varies.
const HEAD_LENGTH: usize = 4;

/// All seeds of one length, in a circle, entered at a drawn place.
///
/// A step is the distance walked from there: steps 0 to [`Ring::steps`]` - 1` visit each seed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    length: u8,
    start: u128,
}

/// A stretch of the ring that a kernel can scan in one call: the head characters vary, the tail stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Numbers of the heads: the first four characters, or all of a shorter seed.
    pub(super) heads: Range<u32>,
    /// The number of the tail: the characters after the fourth, 0 for a shorter seed.
    pub(super) tail: u128,
}

impl Ring {
    /// The ring of seeds of `length` characters (1 to 16), entered where `draw` says.
    pub fn new(length: usize, draw: u64) -> Ring {
        let space = space(length);
        let start = match u64::try_from(space) {
            // Lemire's multiply-shift: uniform to one part in 2^64 / space, without a division.
            Ok(space) => (u128::from(draw) * u128::from(space)) >> 64,
            // From 11 characters on: one of 2^64 places, evenly spaced.
            Err(_) => (space >> 64) * u128::from(draw),
        };
        Ring {
            length: length as u8,
            start,
        }
    }

    /// The characters of its seeds.
    pub fn length(&self) -> usize {
        usize::from(self.length)
    }

    /// The seeds on it, 62^length.
    pub fn steps(&self) -> u128 {
        space(self.length())
    }

    /// The seed at `step`, which is below [`Ring::steps`].
    pub fn seed(&self, step: u128) -> Seed {
        Seed::from_index(self.length(), self.index(step))
    }

    fn index(&self, step: u128) -> u128 {
        let index = self.start + step;
        if index < self.steps() {
            index
        } else {
            index - self.steps()
        }
    }

    fn heads(&self) -> u128 {
        space(self.length().min(HEAD_LENGTH))
    }

    /// The longest stretch that begins at `step` and takes at most `limit` steps (at least one).
    pub(super) fn stretch(&self, step: u128, limit: u128) -> Stretch {
        let (index, heads) = (self.index(step), self.heads());
        // 128-bit division is a library call; nearly every index fits in 64 bits.
        let (tail, head) = match (u64::try_from(index), heads as u64) {
            (Ok(index), heads) => (u128::from(index / heads), index % heads),
            (Err(_), heads) => (
                index / u128::from(heads),
                (index % u128::from(heads)) as u64,
            ),
        };
        let end = (u128::from(head) + limit).min(heads);
        Stretch {
            heads: head as u32..end as u32,
            tail,
        }
    }

    /// The characters of a tail, in a buffer; the slice is empty for seeds of up to four characters.
    pub(super) fn tail_characters(&self, stretch: &Stretch) -> Seed {
        Seed::from_index(self.length(), stretch.tail * self.heads())
    }
}

/// The characters after the head.
pub(super) fn tail_of(seed: &Seed) -> &[u8] {
    seed.as_bytes().get(HEAD_LENGTH..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const DRAWS: [u64; 4] = [0, 1, u64::MAX / 3, u64::MAX];

    #[test]
    fn every_seed_is_visited_once_wherever_the_ring_is_entered() {
        for length in 1..=2 {
            for draw in DRAWS {
                let ring = Ring::new(length, draw);
                let seeds: HashSet<Seed> = (0..ring.steps()).map(|step| ring.seed(step)).collect();
                assert_eq!(seeds.len() as u128, ring.steps());
            }
        }
    }

    proptest! {
        /// Stretches glued together are the ring: no seed left out, none twice, at every length.
        #[test]
        fn stretches_follow_the_ring(length in 1usize..=16, draw: u64, from: u64, limit in 1u128..5000) {
            let ring = Ring::new(length, draw);
            let first = u128::from(from) % ring.steps();
            let last = (first + limit).min(ring.steps());
            let mut step = first;
            while step < last {
                let stretch = ring.stretch(step, last - step);
                prop_assert!(!stretch.heads.is_empty());
                let tail = ring.tail_characters(&stretch);
                for (offset, head) in stretch.heads.clone().enumerate() {
                    let seed = ring.seed(step + offset as u128);
                    prop_assert_eq!(seed.index() % ring.heads(), u128::from(head));
                    prop_assert_eq!(tail_of(&seed), tail_of(&tail));
                }
                step += stretch.heads.len() as u128;
            }
            prop_assert_eq!(step, last);
        }
    }
}
