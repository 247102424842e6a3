//! What a worker searches with, and lends to the client whose turn it is.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use powd_core::unstable::{Draws, SharedSearch, hash_blocks};
use powd_core::{Difficulty, Job, Kernel, Progress, Searcher, SeedLength, Tally};

use super::board::Board;
use super::budget::{Budget, Portions};
use super::client::{Cancel, Drain, Host, Work};
use super::counters::Counters;
use super::long_searches::LongSearches;
use super::options::Options;
use super::outpost::{APPEALS, Appeal, LASTED, Outpost};
use super::task::Task;

/// Searches of one worker that can be open to helpers at once. While there are helpers to be had,
/// there are few searches; one too many is done alone.
const SHARED_SEARCHES: usize = 4;

/// The tools of one worker, all allocated at its start.
#[derive(Debug)]
pub struct Context {
    pub(crate) worker: usize,
    pub(crate) options: Arc<Options>,
    pub(crate) portions: Portions,
    pub(crate) board: Arc<Board>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) long_searches: Arc<LongSearches>,
    pub(crate) searcher: Searcher<Kernel>,
    /// Read once per round of the loop: a clock call per request would show at difficulty 0.
    pub(crate) now: Instant,
    pub(crate) drain: Drain,
    /// What was hashed in this round.
    pub(crate) hashed_blocks: u64,
    draws: Draws,
    shared_searches: Vec<Arc<SharedSearch>>,
    outpost: Arc<OnceLock<Arc<dyn Outpost>>>,
    /// Made when first needed: most engines have no outpost.
    appeals: Vec<Arc<Appeal>>,
    appeals_made: usize,
    /// Whether the board counts this worker as available.
    available: bool,
}

impl Context {
    pub(crate) fn new(
        worker: usize,
        options: Arc<Options>,
        board: Arc<Board>,
        counters: Arc<Counters>,
        long_searches: Arc<LongSearches>,
        outpost: Arc<OnceLock<Arc<dyn Outpost>>>,
    ) -> Context {
        let max = options.max_message_bytes.get();
        let shared_search = || Arc::new(SharedSearch::with_capacity(max));
        Context {
            worker,
            portions: Portions::new(options.hash_rate),
            board,
            counters,
            long_searches,
            searcher: Searcher::new(options.kernel, max),
            now: Instant::now(),
            drain: Drain::Serving,
            hashed_blocks: 0,
            draws: Draws::reproducible(options.rng_seed, worker),
            shared_searches: (0..SHARED_SEARCHES).map(|_| shared_search()).collect(),
            outpost,
            appeals: Vec::with_capacity(APPEALS),
            appeals_made: 0,
            available: false,
            options,
        }
    }

    /// A search with seeds of at least `length` characters for a message of `bytes`.
    pub(crate) fn begin_with(&mut self, length: SeedLength, bytes: usize) -> Task {
        let blocks = hash_blocks(length, bytes);
        self.counters.searches_begun.add(1);
        Task::new(length, self.draws.draw(), blocks)
    }

    /// Tells the board whether this worker is available. Easy requests alone do not change that:
    /// all workers would write to the same place, twice for each time that they wake up.
    pub(crate) fn set_available(&mut self, available: bool) {
        if self.available != available {
            self.available = available;
            self.board.set_available(available);
        }
    }

    /// Whether another worker is available. This one is so too while it is at a search in the
    /// background.
    pub(crate) fn has_help(&self) -> bool {
        self.board.available() > usize::from(self.available)
    }

    /// Counts what searching for `job`, of so many blocks a hash, has cost.
    #[inline]
    pub(crate) fn count(&mut self, tally: Tally, job: Job<'_>, blocks: u64) {
        self.hashed_blocks += tally.hashes * blocks;
        self.counters.hashes.add(tally.hashes);
        if tally.false_hits > 0 {
            self.tell_false_hits(tally.false_hits, job);
        }
    }

    #[cold]
    fn tell_false_hits(&self, hits: u64, job: Job<'_>) {
        self.counters.false_hits.add(hits);
        tracing::error!(
            hits,
            difficulty = %job.difficulty,
            bytes = job.message.len(),
            "false hit: the kernel is wrong, its seed was not sent"
        );
    }

    /// A shared search that no helper is still at, begun anew by `begin`.
    pub(crate) fn begin_shared(
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
    pub(crate) fn keep_shared(&mut self, search: Arc<SharedSearch>) {
        self.shared_searches.push(search);
    }

    /// Asks other engines for help with a search for `job`, of so many blocks a hash, that has gone
    /// on since `since` and is at seeds of `length`: if it is worth it, and there is anybody to
    /// ask.
    pub(crate) fn call_for_help(
        &mut self,
        job: Job<'_>,
        blocks: u64,
        length: SeedLength,
        since: Instant,
    ) -> Option<Arc<Appeal>> {
        let has_lasted = self.now.saturating_duration_since(since) >= LASTED;
        if !has_lasted || !self.portions.is_worth_a_call(job.difficulty, blocks) {
            return None;
        }
        let outpost = self.outpost.get()?;
        if self.appeals.is_empty() && self.appeals_made < APPEALS {
            let max = self.options.max_message_bytes.get();
            self.appeals.push(Arc::new(Appeal::with_capacity(max)));
            self.appeals_made += 1;
        }
        // Nobody elsewhere looks at it any more.
        let mut appeals = self.appeals.iter_mut().enumerate();
        let (place, free) =
            appeals.find_map(|(place, appeal)| Some((place, Arc::get_mut(appeal)?)))?;
        free.begin(job, length);
        let appeal = self.appeals.swap_remove(place);
        if !outpost.call(&appeal) {
            self.appeals.push(appeal);
            return None;
        }
        self.counters.appeals.add(1);
        Some(appeal)
    }

    /// Nobody needs help with that any more.
    pub(crate) fn end_appeal(&mut self, appeal: Arc<Appeal>) {
        appeal.end();
        self.appeals.push(appeal);
        self.wake_outpost();
    }

    pub(crate) fn wake_outpost(&self) {
        if let Some(outpost) = self.outpost.get() {
            outpost.wake();
        }
    }
}

impl Host for Context {
    type Task = Task;

    fn now(&self) -> Instant {
        self.now
    }

    fn drain(&self) -> Drain {
        self.drain
    }

    fn work(&self, difficulty: Difficulty, bytes: usize) -> Work {
        self.options.work(difficulty, bytes)
    }

    fn is_hard(&self, difficulty: Difficulty, bytes: usize) -> bool {
        self.portions
            .is_worth_sharing(difficulty, self.options.blocks(bytes))
    }

    fn outlasts_a_write(&self, difficulty: Difficulty) -> bool {
        self.portions.outlasts_a_write(difficulty)
    }

    fn charge_turn(&self, budget: &mut Budget) {
        budget.spend(self.portions.turn_cost());
    }

    fn begin(&mut self, bytes: usize) -> Task {
        self.begin_with(self.options.seed_length, bytes)
    }

    #[inline(always)]
    fn advance(&mut self, task: &mut Task, job: Job<'_>, budget: &mut Budget) -> Progress {
        task.advance(self, job, budget)
    }

    fn withdraw(&mut self, task: &Task) {
        task.withdraw(self);
    }

    fn pause(&mut self, task: &mut Task) {
        task.stop_sharing(self);
    }

    fn cancel(&mut self, mut task: Task, why: Cancel) {
        if why == Cancel::Abandoned {
            self.counters.cancelled_searches.add(1);
        }
        task.stop_sharing(self);
        task.end(self);
    }
}
