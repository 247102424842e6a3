//! What a piece of work on a search came to.

use crate::pow::Solution;

/// What a piece of work on a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The search is over. The oracle has checked the solution.
    Found(Solution),
    /// The budget is spent. There is more to do.
    Pending,
    /// Nothing is left for this thread to do: other threads are still at their last chunks, or the search was
    /// called off. Only a [shared](crate::search::SharedSearch) search stalls.
    Stalled,
    /// Every seed was tried and none is a solution: for a [`Search`](crate::search::Search), every seed up to the
    /// longest length, which no hardware lives to see; for a shared search, every seed of its ring.
    Exhausted,
}
