//! One search that a worker is at: alone, or shared with idle workers.

use std::sync::Arc;
use std::time::Instant;

use powd_core::unstable::{SharedSearch, hash_blocks};
use powd_core::{Job, Progress, Search, SeedLength, Solution, Tally};

use super::budget::{Budget, TurnKind, seeds};
use super::client::Standing;
use super::context::Context;
use super::long_searches::RowNumber;
use super::outpost::Appeal;

/// A search that is under way. The message stays with the client.
#[derive(Debug)]
pub struct Task {
    search: Search,
    /// Blocks of one hash, with a seed as long as they are now.
    blocks: u64,
    /// Seeds tried by all workers. In a search that is shared, those of chunks that were claimed.
    hashes: u64,
    /// Those from before it was shared.
    hashes_alone: u64,
    /// Set while the search is open to helpers; then `search` is where that began.
    shared: Option<Arc<SharedSearch>>,
    /// Set while it is shown to those who watch.
    row: Option<RowNumber>,
    /// The end of its first turn, which did not end it.
    since: Option<Instant>,
    /// Set while other engines are asked for help.
    appeal: Option<Arc<Appeal>>,
    /// Seeds tried by other engines.
    hashes_elsewhere: u64,
}

impl Task {
    pub(crate) fn new(length: SeedLength, draw: u64, blocks: u64) -> Task {
        Task {
            search: Search::new(length, draw),
            blocks,
            hashes: 0,
            hashes_alone: 0,
            row: None,
            shared: None,
            since: None,
            appeal: None,
            hashes_elsewhere: 0,
        }
    }

    /// Seeds tried so far, by all workers, those of chunks that they are still at included, and by
    /// other engines.
    pub(crate) fn hashes(&self) -> u64 {
        let elsewhere = self.appeal.as_ref().map_or(0, |appeal| appeal.hashes());
        self.hashes
            .saturating_add(self.hashes_elsewhere)
            .saturating_add(elsewhere)
    }

    /// Other engines that search for it now.
    pub(crate) fn helpers(&self) -> usize {
        self.appeal.as_ref().map_or(0, |appeal| appeal.helpers())
    }

    /// Works on it for about what is left of `budget`.
    // Inlined up to where a reply is written, as all of the search is.
    #[inline(always)]
    pub(crate) fn advance(
        &mut self,
        context: &mut Context,
        job: Job<'_>,
        budget: &mut Budget,
    ) -> Progress {
        // At easy difficulties the board, which idle workers write to, is not even read.
        let is_hard = context
            .portions
            .is_worth_sharing(job.difficulty, self.blocks);
        if is_hard {
            if let Some(solution) = self.won_elsewhere() {
                self.stop_sharing(context);
                self.end(context);
                return Progress::Found(solution);
            }
            if self.shared.is_none() {
                self.try_to_share(context, job, budget.kind());
            }
        }
        let mut tally = Tally::default();
        let progress = match self.shared.take() {
            Some(shared) => self.advance_shared(context, shared, budget, &mut tally),
            None => {
                let seeds = seeds(budget.left(), self.blocks);
                let progress = self
                    .search
                    .advance(&mut context.searcher, job, seeds, &mut tally);
                self.hashes += tally.hashes;
                progress
            }
        };
        budget.spend(tally.hashes * self.blocks);
        budget.spend_request();
        context.count(tally, job, self.blocks);
        match progress {
            Progress::Found(_) | Progress::Exhausted => self.end(context),
            Progress::Pending | Progress::Stalled => self.go_on(context, job),
        }
        progress
    }

    /// Takes in that it is over, found or not.
    #[inline]
    pub(crate) fn end(&mut self, context: &mut Context) {
        context.counters.searches_ended.add(1);
        if let Some(row) = self.row.take() {
            context.long_searches.remove(row);
        }
        self.end_appeal(context);
    }

    /// Takes in that it takes another turn: shows how far it has come to those who watch, and asks
    /// other engines for help.
    fn go_on(&mut self, context: &mut Context, job: Job<'_>) {
        let since = *self.since.get_or_insert(context.now);
        let searches = &context.long_searches;
        self.row = self
            .row
            .or_else(|| searches.show(job.difficulty, context.now));
        if let Some(row) = self.row {
            searches.update(row, self.hashes());
        }
        // Longer seeds can take a block more.
        let (ring, _) = self.search.position();
        self.blocks = hash_blocks(ring.length(), job.message.len());
        if self.appeal.is_none() {
            self.appeal = context.call_for_help(job, self.blocks, ring.length(), since);
        }
    }

    /// What another engine has found.
    fn won_elsewhere(&self) -> Option<Solution> {
        self.appeal.as_ref().and_then(|appeal| appeal.winner())
    }

    fn end_appeal(&mut self, context: &mut Context) {
        if let Some(appeal) = self.appeal.take() {
            self.hashes_elsewhere = self.hashes_elsewhere.saturating_add(appeal.hashes());
            context.end_appeal(appeal);
        }
    }

    /// No further helper finds it, until it is worked on again.
    pub(crate) fn withdraw(&self, context: &Context) {
        if let Some(shared) = &self.shared {
            context.board.withdraw(context.worker, shared);
        }
    }

    /// Stops it on every other core, here and elsewhere. What was walked together is lost: the
    /// search would go on from where sharing began.
    pub(crate) fn stop_sharing(&mut self, context: &mut Context) {
        self.end_appeal(context);
        if let Some(shared) = self.shared.take() {
            end_sharing(context, shared);
        }
    }

    fn advance_shared(
        &mut self,
        context: &mut Context,
        shared: Arc<SharedSearch>,
        budget: &Budget,
        tally: &mut Tally,
    ) -> Progress {
        if context.has_help() {
            // Again in each turn: another search of this worker may have had its place meanwhile.
            let standing = match budget.kind() {
                TurnKind::New | TurnKind::Old => Standing::Open,
                TurnKind::Background => Standing::Background,
            };
            context.board.offer(context.worker, &shared, standing);
        }
        let seeds = seeds(budget.left(), self.blocks).get();
        let mut share = shared.join(&mut context.searcher);
        let mut progress = Progress::Pending;
        while progress == Progress::Pending && tally.hashes < seeds {
            progress = share.work(tally);
        }
        self.hashes = self.hashes_alone + shared.claimed();
        match progress {
            Progress::Found(_) => end_sharing(context, shared),
            Progress::Exhausted => {
                // Proven empty together: the search goes on from there, with longer seeds.
                self.search.skip_to(shared.ring().steps());
                end_sharing(context, shared);
                return Progress::Pending;
            }
            Progress::Pending | Progress::Stalled => self.shared = Some(shared),
        }
        progress
    }

    /// Opens the search, which is worth it, to helpers, if there are any.
    fn try_to_share(&mut self, context: &mut Context, job: Job<'_>, kind: TurnKind) {
        // Who is at a search in the background helps the others whenever they want it.
        if kind != TurnKind::Background {
            context.set_available(false);
        }
        let (ring, walked) = self.search.position();
        let chunk = context.portions.chunk(self.blocks);
        let is_claimed_at_once = ring.steps() - walked <= u128::from(chunk.get());
        if is_claimed_at_once || !context.has_help() {
            return;
        }
        self.hashes_alone = self.hashes;
        let steps = walked..ring.steps();
        self.shared = context.begin_shared(|shared| shared.begin(job, ring, steps, chunk));
    }
}

fn end_sharing(context: &mut Context, shared: Arc<SharedSearch>) {
    shared.call_off();
    context.board.withdraw(context.worker, &shared);
    context.keep_shared(shared);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use powd_core::{Difficulty, Kernel};

    use super::*;
    use crate::engine::Options;
    use crate::engine::board::Board;
    use crate::engine::long_searches::LongSearches;
    use crate::engine::options::MessageBytes;

    fn context() -> Context {
        let options = Options {
            workers: NonZeroUsize::MIN,
            pin: false,
            kernel: Kernel::PORTABLE,
            hash_rate: 1e6,
            seed_length: SeedLength::DEFAULT,
            max_message_bytes: MessageBytes::DEFAULT,
            rng_seed: 0,
            drain_timeout: Duration::ZERO,
        };
        Context::new(
            0,
            Arc::new(options),
            Board::new([]),
            Arc::default(),
            Arc::new(LongSearches::new()),
            Arc::default(),
        )
    }

    #[test]
    fn a_longer_seed_that_takes_a_block_more_costs_it() {
        let mut context = context();
        let job = Job {
            // Behind one character it fills a block, behind two it does not fit.
            message: &[b'm'; 54],
            difficulty: Difficulty::MAX,
        };
        let mut task = context.begin_with(SeedLength::MIN, job.message.len());
        let mut tried = |blocks| {
            let before = context.counters.hashes.read();
            let mut budget = Budget::new(blocks, TurnKind::Old);
            let progress = task.advance(&mut context, job, &mut budget);
            assert_eq!(progress, Progress::Pending);
            context.counters.hashes.read() - before
        };
        // All of one character, and two more.
        assert_eq!(tried(64), 64);
        assert_eq!(tried(1024), 512);
    }
}
