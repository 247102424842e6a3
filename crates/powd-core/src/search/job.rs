//! What is asked of a search, and what it costs.

use crate::pow::Difficulty;

/// What is sought: a seed that makes the digest of this message meet this difficulty.
#[derive(Clone, Copy, Debug)]
pub struct Job<'m> {
    /// What the seed is to stand before.
    pub message: &'m [u8],
    /// The zeros asked for.
    pub difficulty: Difficulty,
}

/// What a search has cost so far, for the counters and the budgets of the layer above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeds tried.
    pub hashes: u64,
    /// Hits of a kernel that the oracle did not confirm. Each one is a bug.
    pub false_hits: u64,
}
