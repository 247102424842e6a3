//! The seeds of one length as a ring with a starting point.

use std::ops::Range;

use crate::pow::{Seed, SeedLength};
use crate::sha256::Template;

/// The heads of seeds that are longer than a head.
const ALL_HEADS: u64 = Template::MAX_HEAD_LENGTH.space() as u64;

/// All seeds of one length, in a circle that is entered at a drawn place.
///
/// A step is a distance from that place: steps 0 to [`Ring::steps`]` - 1` visit each seed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    length: SeedLength,
    start: u128,
}

impl Ring {
    /// The ring of seeds of `length` characters, entered where `draw` says.
    pub fn new(length: SeedLength, draw: u64) -> Ring {
        // Lemire's multiply-shift, `draw * space / 2^64`: even to one part in 2^64 / space, without
        // a division. From 11 characters on `space` has bits above 64, which are multiplied apart.
        let (draw, space) = (u128::from(draw), length.space());
        let (high, low) = (space >> 64, u128::from(space as u64));
        let start = high * draw + ((low * draw) >> 64);
        Ring { length, start }
    }

    /// The length of its seeds.
    pub fn length(&self) -> SeedLength {
        self.length
    }

    /// How many seeds are on it: 62^length.
    pub fn steps(&self) -> u128 {
        self.length.space()
    }

    /// The seed at `step`, which is below [`Ring::steps`].
    // Inlined into the reply's path, as `Probe::scan` is.
    #[inline(always)]
    pub fn seed(&self, step: u128) -> Seed {
        Seed::from_index(self.length, self.index(step))
    }

    fn index(&self, step: u128) -> u128 {
        let index = self.start + step;
        if index < self.steps() {
            index
        } else {
            index - self.steps()
        }
    }

    /// The heads that a kernel can scan in one call: those of the seeds from `step` on, as long as
    /// their tail stays the same, and at most `limit`, which is not 0.
    pub(super) fn heads(&self, step: u128, limit: u128) -> Range<u32> {
        let index = self.index(step);
        // 128-bit division is a library call; nearly every index fits in 64 bits.
        let head = match u64::try_from(index) {
            Ok(index) => index % ALL_HEADS,
            Err(_) => (index % u128::from(ALL_HEADS)) as u64,
        };
        let all = self.steps().min(u128::from(ALL_HEADS));
        let end = (u128::from(head) + limit).min(all);
        head as u32..end as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const DRAWS: [u64; 4] = [0, 1, u64::MAX / 3, u64::MAX];

    #[test]
    fn every_seed_is_visited_once_wherever_the_ring_is_entered() {
        for length in [SeedLength::of::<1>(), SeedLength::of::<2>()] {
            for draw in DRAWS {
                let ring = Ring::new(length, draw);
                let seeds: HashSet<Seed> = (0..ring.steps()).map(|step| ring.seed(step)).collect();
                assert_eq!(seeds.len() as u128, ring.steps());
            }
        }
    }

    #[test]
    fn the_places_drawn_are_all_around_the_ring() {
        for length in std::iter::successors(Some(SeedLength::MIN), |length| length.longer()) {
            let start = |draw| Ring::new(length, draw).start;
            let space = length.space();
            assert_eq!(start(0), 0);
            assert_eq!(start(1 << 63), space / 2);
            assert_eq!(start(u64::MAX), space - space.div_ceil(1 << 64));
        }
    }

    proptest! {
        /// Ranges of heads glued together are the ring: no seed left out, none twice, one tail in
        /// each, at every length.
        #[test]
        fn heads_follow_the_ring(length in 1u8..=16, draw: u64, from: u64, limit in 1u128..5000) {
            let length = SeedLength::new(length).expect("1 to 16");
            let ring = Ring::new(length, draw);
            let first = u128::from(from) % ring.steps();
            let last = (first + limit).min(ring.steps());
            let mut step = first;
            while step < last {
                let heads = ring.heads(step, last - step);
                prop_assert!(!heads.is_empty());
                let head_length = length.min(Template::MAX_HEAD_LENGTH);
                let at_start = ring.seed(step);
                let tail = &at_start.as_bytes()[head_length.bytes()..];
                for (offset, head) in heads.clone().enumerate() {
                    let head = Seed::from_index(head_length, u128::from(head));
                    let seed = ring.seed(step + offset as u128);
                    prop_assert_eq!(seed.as_bytes(), [head.as_bytes(), tail].concat());
                }
                step += heads.len() as u128;
            }
            prop_assert_eq!(step, last);
        }
    }
}
