//! What a search is for, and what it costs.

use crate::pow::Difficulty;

/// What is searched for: a seed that makes the digest of this message meet this difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job<'m> {
    /// The message, which stands behind the seed.
    pub message: &'m [u8],
    /// The zeros that the digest must start with.
    pub difficulty: Difficulty,
}

/// What searches have cost so far.
///
/// ```
/// use std::num::NonZeroU64;
///
/// use powd_core::{Difficulty, Job, Kernel, Search, Searcher, SeedLength, Tally};
///
/// let job = Job { message: b"hello", difficulty: Difficulty::MAX };
/// let mut searcher = Searcher::new(Kernel::PORTABLE, 0);
/// let mut search = Search::new(SeedLength::DEFAULT, 0);
/// let mut tally = Tally::default();
/// search.advance(&mut searcher, job, NonZeroU64::new(1000).unwrap(), &mut tally);
/// assert_eq!((tally.hashes, tally.false_hits), (1000, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Seeds tried.
    pub hashes: u64,
    /// Seeds that the kernel reported and the oracle did not confirm. Each one is a bug of the
    /// kernel.
    pub false_hits: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, Tally { hashes, false_hits }: Tally) {
        self.hashes += hashes;
        self.false_hits += false_hits;
    }
}
