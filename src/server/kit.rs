//! What a worker works with, and lends to the connection whose turn it is.

use std::sync::Arc;
use std::time::Instant;

use super::board::Board;
use super::buffers::Pool;
use super::counters::Counters;
use super::options::Options;
use super::pace::Pace;
use super::reply::{ERROR_MAX, REPLY_OVERHEAD};
use powd_core::unstable::{Draws, SharedSearch};
use powd_core::{Job, Searcher, Tally};

/// Searches of one worker that can be open to helpers at once. While there are helpers to be had, there
/// are few searches; one too many is done alone.
const SHARED_SEARCHES: usize = 4;

/// The tools of one worker. All but the buffers is allocated here, at its start.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) worker: usize,
    pub(super) options: Arc<Options>,
    pub(super) pace: Pace,
    pub(super) board: Arc<Board>,
    pub(super) counters: Arc<Counters>,
    pub(super) searcher: Searcher,
    pub(super) draws: Draws,
    pub(super) pool: Pool,
    /// Read once per round of the loop: a clock call per request would show at difficulty 0.
    pub(super) now: Instant,
    /// Whether the service is to answer what it has and end.
    pub(super) draining: bool,
    shared_searches: Vec<Arc<SharedSearch>>,
    /// Whether the board counts this worker as available.
    available: bool,
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
            searcher: Searcher::new(options.kernel, max),
            draws: Draws::reproducible(options.rng_seed, worker),
            // A line one byte too long must fit, to be seen as such.
            pool: Pool::new(max + 1, max + REPLY_OVERHEAD + ERROR_MAX),
            now: Instant::now(),
            draining: false,
            shared_searches: (0..SHARED_SEARCHES).map(|_| shared_search()).collect(),
            available: false,
            options,
        }
    }

    /// Has the board know whether this worker is available. Easy requests alone do not change that: all workers
    /// would write to the same place, twice for each time that they wake up.
    pub(super) fn set_available(&mut self, available: bool) {
        if self.available != available {
            self.available = available;
            self.board.set_available(available);
        }
    }

    /// Counts what a slice of searching for `job` has cost.
    pub(super) fn count(&self, tally: Tally, job: Job<'_>) {
        self.counters.hashes.add(tally.hashes);
        if tally.false_hits > 0 {
            self.counters.false_hits.add(tally.false_hits);
            tracing::error!(
                hits = tally.false_hits,
                difficulty = %job.difficulty,
                bytes = job.message.len(),
                "false hit: the kernel is wrong, its seed was not sent"
            );
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
