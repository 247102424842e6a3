//! One message after another, each by all threads: what `powd solve` does.
//!
//! The service has its own way of sharing a search, between pollings. Here the threads have nothing else
//! to do, so they simply wait for the next message.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use crate::kernel::Kernel;
use crate::pow::{Difficulty, Solution};
use crate::search::{ChunkOutcome, Draws, Job, Progress, Search, SharedSearch, Tally};
use crate::sha256::{Template, blocks};

/// Searches of fewer blocks than this on average, 0.3 ms with a fast kernel, are not worth waking the others for.
const WORTH_SHARING: f64 = 30_000.0;

/// Blocks per claim: about 200 µs with a fast kernel.
const CHUNK: u64 = 16_384;

/// The largest batch of a kernel, in seeds: a claim of fewer would leave lanes idle.
const BATCH: u64 = 16;

/// Whether to wake the other threads for a search with hashes of `blocks` blocks.
fn is_worth_sharing(difficulty: Difficulty, blocks: u64) -> bool {
    difficulty.expected_hashes() * blocks as f64 >= WORTH_SHARING
}

/// Seeds per claim: whole batches, one at least.
fn chunk(blocks: u64) -> u64 {
    (CHUNK / blocks / BATCH).max(1) * BATCH
}

/// What is sought, whatever the message.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The zeros asked for.
    pub difficulty: Difficulty,
    /// Characters of the first seeds tried, 1 to 16.
    pub seed_length: usize,
    /// The kernel of all threads.
    pub kernel: Kernel,
}

/// Solves messages with the calling thread and others that it keeps for the purpose.
#[derive(Debug)]
pub struct Solver {
    task: Task,
    draws: Draws,
    template: Template,
    shared: Arc<SharedSearch>,
    helpers: Vec<Sender<Arc<SharedSearch>>>,
    /// Each helper says when it has let go of the search.
    finished: Receiver<()>,
}

impl Solver {
    /// A solver of `threads` threads, the calling one included; the others end with the solver. Fails when
    /// the system gives no further thread.
    pub fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        task: Task,
        threads: usize,
        rng_seed: u64,
    ) -> io::Result<Solver> {
        let (finish, finished) = channel();
        let helpers = (1..threads).map(|_| {
            let (search, searches) = channel();
            let finish = finish.clone();
            std::thread::Builder::new()
                .spawn_scoped(scope, move || help(task.kernel, &searches, &finish))?;
            Ok(search)
        });
        Ok(Solver {
            task,
            draws: Draws::reproducible(rng_seed, 0),
            template: Template::with_capacity(0),
            shared: Arc::new(SharedSearch::with_capacity(0)),
            helpers: helpers.collect::<io::Result<_>>()?,
            finished,
        })
    }

    /// A solution for `message`; none when no seed of up to 16 characters is one.
    pub fn solve(&mut self, message: &[u8]) -> Option<Solution> {
        let Task {
            difficulty,
            seed_length,
            kernel,
        } = self.task;
        let job = Job {
            message,
            difficulty,
        };
        let mut search = Search::new(seed_length, self.draws.draw());
        let blocks = blocks(seed_length + message.len()) as u64;
        let alone = self.helpers.is_empty() || !is_worth_sharing(difficulty, blocks);
        let chunk = chunk(blocks);
        loop {
            // A ring is emptied by all threads together; the step to the next length is taken alone.
            let (ring, walked) = search.position();
            if !alone && walked < ring.steps() {
                if let Some(solution) = self.solve_together(job, &search, chunk) {
                    return Some(solution);
                }
                search.skip_to(ring.steps());
            }
            let budget = if alone { u64::MAX } else { chunk };
            let tally = &mut Tally::default();
            match search.advance(&kernel, &mut self.template, job, budget, tally) {
                Progress::Found(solution) => return Some(solution),
                Progress::Pending => {}
                Progress::Exhausted => return None,
            }
        }
    }

    /// Walks the rest of the search's ring with all threads, which claim `chunk` seeds at a time.
    fn solve_together(&mut self, job: Job<'_>, search: &Search, chunk: u64) -> Option<Solution> {
        let (ring, walked) = search.position();
        Arc::get_mut(&mut self.shared)
            .expect("each helper lets go of a search before it says so")
            .begin(job, ring, walked, chunk);
        let helping = self
            .helpers
            .iter()
            .filter(|helper| helper.send(Arc::clone(&self.shared)).is_ok())
            .count();
        work(&self.task.kernel, &mut self.template, &self.shared);
        for _ in 0..helping {
            self.finished
                .recv()
                .expect("each helper says so, even one that panics");
        }
        self.shared.winner()
    }
}

fn help(kernel: Kernel, searches: &Receiver<Arc<SharedSearch>>, finish: &Sender<()>) {
    let mut template = Template::with_capacity(0);
    for search in searches {
        // Dropped in reverse order, also when the search panics: first the search, then the word is given.
        let _finished = Finished(finish);
        let search = search;
        work(&kernel, &mut template, &search);
    }
}

/// Says that a helper is finished when dropped.
struct Finished<'a>(&'a Sender<()>);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        // Fails only when the solver is gone, and then nobody waits.
        let _ = self.0.send(());
    }
}

fn work(kernel: &Kernel, template: &mut Template, search: &SharedSearch) {
    let mut share = search.join(kernel, template);
    while share.work(&mut Tally::default()) == ChunkOutcome::Empty {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::verify;

    fn difficulty(nibbles: u8) -> Difficulty {
        Difficulty::new(nibbles).expect("0 to 64")
    }

    #[test]
    fn what_is_shared_is_decided_by_blocks() {
        assert!(!is_worth_sharing(difficulty(3), 1) && is_worth_sharing(difficulty(4), 1));
        assert!(!is_worth_sharing(difficulty(1), 1024) && is_worth_sharing(difficulty(3), 1024));
        for (blocks, seeds) in [(1, 16_384), (3, 5_456), (1024, 16), (1 << 20, 16)] {
            assert_eq!(chunk(blocks), seeds, "{blocks}");
        }
    }

    #[test]
    fn all_threads_find_what_the_oracle_accepts() {
        for (threads, nibbles, seed_length) in [(1, 2, 5), (2, 4, 5), (3, 4, 2), (4, 0, 16)] {
            let difficulty = difficulty(nibbles);
            let task = Task {
                difficulty,
                seed_length,
                kernel: Kernel::PORTABLE,
            };
            std::thread::scope(|scope| {
                let mut solver = Solver::new(scope, task, threads, 1).expect("four threads");
                for number in 0..10 {
                    let message = format!("message {number}").repeat(number);
                    let solution = solver.solve(message.as_bytes()).expect("there is one");
                    let checked = verify(*solution.seed(), message.as_bytes(), difficulty);
                    assert_eq!(checked, Some(solution));
                    assert!(solution.seed().as_bytes().len() >= seed_length);
                }
            });
        }
    }
}
