//! One request being answered: its search, alone or shared with idle workers.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kit::Kit;
use powd_core::unstable::{SharedSearch, blocks};
use powd_core::{Difficulty, Job, Progress, Search, Tally};

/// A request whose message lies at the front of its connection's input.
#[derive(Debug)]
pub(super) struct Request {
    /// Bytes of the message.
    pub(super) length: usize,
    /// Bytes to take from the input when it is answered.
    pub(super) taken: usize,
    started: Instant,
    search: Search,
    /// Set while the search is open to helpers; then `search` is where it began.
    shared: Option<Arc<SharedSearch>>,
}

impl Request {
    pub(super) fn new(kit: &mut Kit, length: usize, taken: usize) -> Request {
        Request {
            length,
            taken,
            started: kit.now,
            search: Search::new(kit.options.seed_length, kit.draws.draw()),
            shared: None,
        }
    }

    /// Blocks per hash of this message.
    pub(super) fn blocks(&self, kit: &Kit) -> u64 {
        blocks(kit.options.seed_length.get() + self.length) as u64
    }

    /// Whether its search has taken longer than `deadline`.
    pub(super) fn is_late(&self, now: Instant, deadline: Duration) -> bool {
        now.saturating_duration_since(self.started) > deadline
    }

    /// Works on it for about `budget` seeds.
    pub(super) fn advance(
        &mut self,
        kit: &mut Kit,
        message: &[u8],
        difficulty: Difficulty,
        budget: NonZeroU64,
    ) -> (Progress, Tally) {
        let job = Job {
            message,
            difficulty,
        };
        if self.shared.is_none() {
            self.try_to_share(kit, job);
        }
        let mut tally = Tally::default();
        let outcome = match self.shared.take() {
            Some(shared) => self.advance_shared(kit, shared, budget, &mut tally),
            None => self.advance_alone(kit, job, budget, &mut tally),
        };
        kit.count(tally, job);
        (outcome, tally)
    }

    /// Stops the search on every other core. What was walked together counts for nothing: the search would
    /// go on from where sharing began.
    pub(super) fn stop_sharing(&mut self, kit: &mut Kit) {
        if let Some(shared) = self.shared.take() {
            end_sharing(kit, shared);
        }
    }

    fn advance_alone(
        &mut self,
        kit: &mut Kit,
        job: Job<'_>,
        budget: NonZeroU64,
        tally: &mut Tally,
    ) -> Progress {
        self.search.advance(&mut kit.searcher, job, budget, tally)
    }

    fn advance_shared(
        &mut self,
        kit: &mut Kit,
        shared: Arc<SharedSearch>,
        budget: NonZeroU64,
        tally: &mut Tally,
    ) -> Progress {
        if kit.board.has_help() {
            // Again in each turn: another search of this worker may have had its place meanwhile.
            kit.board.offer(kit.worker, &shared);
        }
        let mut share = shared.join(&mut kit.searcher);
        let mut progress = Progress::Pending;
        while progress == Progress::Pending && tally.hashes < budget.get() {
            progress = share.work(tally);
        }
        match progress {
            Progress::Found(_) => end_sharing(kit, shared),
            Progress::Exhausted => {
                // Proven empty together: the search goes on from there, with longer seeds.
                self.search.skip_to(shared.ring().steps());
                end_sharing(kit, shared);
                return Progress::Pending;
            }
            Progress::Pending | Progress::Stalled => self.shared = Some(shared),
        }
        progress
    }

    /// Opens the search to helpers, when there are any and it is worth their while.
    fn try_to_share(&mut self, kit: &mut Kit, job: Job<'_>) {
        let (pace, blocks) = (kit.pace, self.blocks(kit));
        // At easy difficulties the board, which idle workers write to, is not even read.
        if !pace.is_worth_sharing(job.difficulty, blocks) {
            return;
        }
        kit.set_available(false);
        let (ring, walked) = self.search.position();
        let chunk = pace.chunk(blocks);
        let is_claimed_at_once = ring.steps() - walked <= u128::from(chunk.get());
        if is_claimed_at_once || !kit.board.has_help() {
            return;
        }
        self.shared = kit.begin_shared(|shared| shared.begin(job, ring, walked, chunk));
    }
}

fn end_sharing(kit: &mut Kit, shared: Arc<SharedSearch>) {
    shared.call_off();
    kit.board.withdraw(kit.worker, &shared);
    kit.keep_shared_search(shared);
}
