//! What a worker works with, and lends to the connection whose turn it is.

use std::sync::Arc;
use std::time::Instant;

use super::board::Board;
use super::buffers::Pool;
use super::counters::Counters;
use super::options::Options;
use super::reply::{ERROR_MAX, REPLY_OVERHEAD};
use crate::pow::Difficulty;
use crate::search::{Draws, SharedSearch};
use crate::sha256::Template;

/// Searches of one worker that can be open to helpers at once. While there are helpers to be had, there
/// are few searches; one too many is done alone.
const SHARED_SEARCHES: usize = 4;

/// The tools of one worker. Everything in it is allocated here, at its start.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) worker: usize,
    pub(super) options: Arc<Options>,
    pub(super) pace: Pace,
    pub(super) board: Arc<Board>,
    pub(super) counters: Arc<Counters>,
    pub(super) template: Template,
    pub(super) draws: Draws,
    pub(super) pool: Pool,
    /// Read once per round of the loop: a clock call per request would show at difficulty 0.
    pub(super) now: Instant,
    /// Whether the service is to answer what it has and end.
    pub(super) draining: bool,
    shared_searches: Vec<Arc<SharedSearch>>,
}

impl Kit {
    pub(super) fn new(
        worker: usize,
        options: Arc<Options>,
        board: Arc<Board>,
        counters: Arc<Counters>,
    ) -> Kit {
        let max = options.limits.max_message_bytes;
        let shared_search = || Arc::new(SharedSearch::with_capacity(max));
        Kit {
            worker,
            pace: Pace::new(options.hash_rate),
            board,
            counters,
            template: Template::with_capacity(max),
            draws: Draws::reproducible(options.rng_seed, worker),
            // A line one byte too long must fit, to be seen as such.
            pool: Pool::new(max + 1, max + REPLY_OVERHEAD + ERROR_MAX),
            now: Instant::now(),
            draining: false,
            shared_searches: (0..SHARED_SEARCHES).map(|_| shared_search()).collect(),
            options,
        }
    }

    /// A shared search that no helper is still at, begun anew by `begin`.
    pub(super) fn begin_shared(
        &mut self,
        begin: impl FnOnce(&mut SharedSearch),
    ) -> Option<Arc<SharedSearch>> {
        let mut searches = self.shared_searches.iter_mut().enumerate();
        let (place, free) =
            searches.find_map(|(place, search)| Some((place, Arc::get_mut(search)?)))?;
        begin(free);
        self.counters.searches_shared.add(1);
        Some(self.shared_searches.swap_remove(place))
    }

    /// Takes a shared search back. It is free again when the last helper has let go of it.
    pub(super) fn keep_shared_search(&mut self, search: Arc<SharedSearch>) {
        self.shared_searches.push(search);
    }
}

/// How much is done at a time. The unit is the compression of one block: what a hash costs is known in
/// blocks, and the rate of the kernel turns time into blocks once, at the start.
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
    fn new(hash_rate: f64) -> Pace {
        let blocks = |microseconds: f64| ((hash_rate * microseconds * 1e-6) as u64).max(1);
        Pace {
            slice: blocks(250.0),
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
    pub(super) fn chunk(&self, blocks: u64) -> u64 {
        (self.slice / 4 / blocks).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_search_is_decided_by_the_time_it_takes() {
        let difficulty = |nibbles| Difficulty::new(nibbles).expect("0 to 64");
        let (fast, slow) = (Pace::new(100e6), Pace::new(2e6));
        // A write takes 5 µs: 500 hashes of the one, 10 of the other.
        assert!(!fast.outlasts_a_write(difficulty(2)) && fast.outlasts_a_write(difficulty(3)));
        assert!(!slow.outlasts_a_write(difficulty(0)) && slow.outlasts_a_write(difficulty(1)));
    }
}
