//! What a piece of work on a search came to.

use crate::pow::Solution;

/// What a piece of work on a search came to.
///
/// ```
/// use std::num::NonZeroU64;
///
/// use powd_core::{Difficulty, Job, Kernel, Progress, Search, Searcher, SeedLength, Tally};
///
/// let hopeless = Job { message: b"hello", difficulty: Difficulty::MAX };
/// let mut search = Search::new(SeedLength::DEFAULT, 0);
/// let mut searcher = Searcher::new(Kernel::PORTABLE, 0);
/// let progress = search.advance(&mut searcher, hopeless, NonZeroU64::MIN, &mut Tally::default());
/// assert_eq!(progress, Progress::Pending);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A solution, which the oracle has checked. A [`Search`](crate::Search) can go on behind it.
    Found(Solution),
    /// The budget is spent. There is more to do.
    Pending,
    /// Nothing is left for this thread to do: other threads are still at their last chunks, or the
    /// search was called off. Only a search that is shared by several threads stalls, one of the
    /// module `unstable`: what [`Search::advance`](crate::Search::advance) returns is never this.
    Stalled,
    /// Every seed was tried and none is a solution. For a [`Search`](crate::Search) that means
    /// every seed up to the longest length, which no hardware lives to see; for a shared search,
    /// every seed of its length.
    Exhausted,
}
