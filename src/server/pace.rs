//! How much a worker does at a time.
//!
//! The unit is the compression of one block: what a hash costs is known in blocks, and the rate of the kernel
//! turns time into blocks once, at the start. So no clock is read to keep to a slice.

use std::num::NonZeroU64;

use powd_core::Difficulty;
use powd_core::unstable::whole_batches;

/// What is done at a time, in blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What a worker does between two looks at its sockets.
    pub(super) slice: u64,
    /// What a turn costs besides its hashes: about one read and one write.
    pub(super) turn: u64,
}

/// What a request costs besides its search, in blocks: cutting it, checking and writing its reply.
pub(super) const REQUEST_COST: u64 = 8;

impl Pace {
    /// The pace of a kernel that does `hash_rate` one-block hashes per second.
    pub(super) fn new(hash_rate: f64) -> Pace {
        let blocks = |microseconds: f64| ((hash_rate * microseconds * 1e-6) as u64).max(1);
        Pace {
            // However slow the machine, a turn gets further than its own cost.
            slice: blocks(250.0).max(64),
            turn: blocks(5.0),
        }
    }

    /// Whether a search is long enough to be worth waking a helper: two slices or more on average.
    pub(super) fn is_worth_sharing(&self, difficulty: Difficulty, blocks: u64) -> bool {
        difficulty.expected_hashes() * blocks as f64 >= 2.0 * self.slice as f64
    }

    /// Whether to find the reply to a message of one block takes longer, on average, than to write it.
    pub(super) fn outlasts_a_write(&self, difficulty: Difficulty) -> bool {
        difficulty.expected_hashes() >= self.turn as f64
    }

    /// Seeds per claim: a quarter of a slice. A worker finishes a chunk however little is left of its slice,
    /// so it must not be long; each claim takes a cache line from all others at the search, so it must not be
    /// short.
    pub(super) fn chunk(&self, blocks: u64) -> NonZeroU64 {
        seeds(self.slice / 4, blocks)
    }
}

/// The seeds of `blocks` each that `budget` allows, in whole batches: of long messages it allows few.
pub(super) fn seeds(budget: u64, blocks: u64) -> NonZeroU64 {
    whole_batches(budget / blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_full_however_long_the_message() {
        let pace = Pace::new(95e6);
        for blocks in [1, 2, 100, 1025] {
            let chunk = pace.chunk(blocks).get();
            assert!(chunk.is_multiple_of(16), "{chunk} of {blocks} blocks");
            assert!(chunk * blocks <= pace.slice, "{chunk} of {blocks} blocks");
        }
    }

    #[test]
    fn what_takes_a_search_is_decided_by_the_time_it_takes() {
        let difficulty = |nibbles| Difficulty::new(nibbles).expect("0 to 64");
        let (fast, slow) = (Pace::new(100e6), Pace::new(2e6));
        // A write takes 5 µs: 500 hashes of the one, 10 of the other.
        assert!(!fast.outlasts_a_write(difficulty(2)) && fast.outlasts_a_write(difficulty(3)));
        assert!(!slow.outlasts_a_write(difficulty(0)) && slow.outlasts_a_write(difficulty(1)));
    }
}
