//! One request being answered: its search, alone or shared with idle workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kit::Kit;
use powd_core::unstable::{ChunkOutcome, Job, Progress, Search, SharedSearch, Tally, blocks};
use powd_core::{Difficulty, Solution};

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

/// What a slice of work on a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Found(Solution),
    Exhausted,
    /// There is more to do.
    Pending,
    /// All is claimed, and helpers are still at it.
    Stalled,
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
        blocks(kit.options.seed_length + self.length) as u64
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
        budget: u64,
    ) -> (Outcome, Tally) {
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
        budget: u64,
        tally: &mut Tally,
    ) -> Outcome {
        let kernel = &kit.options.kernel;
        match self
            .search
            .advance(kernel, &mut kit.template, job, budget, tally)
        {
            Progress::Found(solution) => Outcome::Found(solution),
            Progress::Pending => Outcome::Pending,
            Progress::Exhausted => Outcome::Exhausted,
        }
    }

    fn advance_shared(
        &mut self,
        kit: &mut Kit,
        shared: Arc<SharedSearch>,
        budget: u64,
        tally: &mut Tally,
    ) -> Outcome {
        if kit.board.has_help() {
            // Again in each turn: another search of this worker may have had its place meanwhile.
            kit.board.offer(kit.worker, &shared);
        }
        let mut share = shared.join(&kit.options.kernel, &mut kit.template);
        let mut outcome = ChunkOutcome::Empty;
        while outcome == ChunkOutcome::Empty && tally.hashes < budget {
            outcome = share.work(tally);
        }
        if let Some(solution) = shared.winner() {
            end_sharing(kit, shared);
            return Outcome::Found(solution);
        }
        if outcome == ChunkOutcome::NoneLeft && shared.is_exhausted() {
            // Proven empty together: the search goes on from there, with longer seeds.
            self.search.skip_to(shared.ring().steps());
            end_sharing(kit, shared);
            return Outcome::Pending;
        }
        self.shared = Some(shared);
        match outcome {
            ChunkOutcome::NoneLeft => Outcome::Stalled,
            _ => Outcome::Pending,
        }
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
        let is_claimed_at_once = ring.steps() - walked <= u128::from(chunk);
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
