//! One message after another, each by all threads: what `powd solve` does.
//!
//! The service has its own way of sharing a search, between pollings. Here the threads have nothing else
//! to do, so they simply wait for the next message.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use crate::kernel::{Scan, whole_batches};
use crate::pow::{Difficulty, Solution};
use crate::search::{ChunkOutcome, Draws, Job, Progress, Search, SharedSearch, Tally};
use crate::sha256::{Template, blocks};

/// Searches of fewer blocks than this on average, 0.3 ms with a fast kernel, are not worth waking the others for.
const WORTH_SHARING: f64 = 30_000.0;

/// Blocks per claim: about 200 µs with a fast kernel.
const CHUNK: u64 = 16_384;

/// Whether to wake the other threads for a search with hashes of `blocks` blocks.
fn is_worth_sharing(difficulty: Difficulty, blocks: u64) -> bool {
    difficulty.expected_hashes() * blocks as f64 >= WORTH_SHARING
}

/// Seeds per claim.
fn chunk(blocks: u64) -> u64 {
    whole_batches(CHUNK / blocks)
}

/// What is sought, whatever the message.
#[derive(Clone, Copy, Debug)]
pub struct Task<S> {
    /// The zeros asked for.
    pub difficulty: Difficulty,
    /// Characters of the first seeds tried, 1 to 16.
    pub seed_length: usize,
    /// The kernel of all threads, or what a test puts in its place.
    pub kernel: S,
}

/// Solves messages with the calling thread and others that it keeps for the purpose.
#[derive(Debug)]
pub struct Solver<S> {
    task: Task<S>,
    draws: Draws,
    template: Template,
    shared: Arc<SharedSearch>,
    helpers: Vec<Sender<Arc<SharedSearch>>>,
    /// Each helper says when it has let go of the search, and what it has done of it.
    finished: Receiver<Tally>,
    tally: Tally,
}

impl<S: Scan + Copy + Send> Solver<S> {
    /// A solver of `threads` threads, the calling one included; the others end with the solver. Fails when
    /// the system gives no further thread.
    pub fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        task: Task<S>,
        threads: usize,
        rng_seed: u64,
    ) -> io::Result<Solver<S>>
    where
        S: 'scope,
    {
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
            tally: Tally::default(),
        })
    }

    /// What all searches so far have cost, on all threads.
    pub fn tally(&self) -> Tally {
        self.tally
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
            let tally = &mut self.tally;
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
        let (kernel, template) = (&self.task.kernel, &mut self.template);
        work(kernel, template, &self.shared, &mut self.tally);
        for _ in 0..helping {
            let Tally { hashes, false_hits } = self
                .finished
                .recv()
                .expect("each helper says so, even one that panics");
            self.tally.hashes += hashes;
            self.tally.false_hits += false_hits;
        }
        self.shared.winner()
    }
}

fn help<S: Scan>(kernel: S, searches: &Receiver<Arc<SharedSearch>>, finish: &Sender<Tally>) {
    let mut template = Template::with_capacity(0);
    for search in searches {
        // Dropped in reverse order, also when the search panics: first the search, then the word is given.
        let mut finished = Finished {
            finish,
            tally: Tally::default(),
        };
        let search = search;
        work(&kernel, &mut template, &search, &mut finished.tally);
    }
}

/// Says that a helper is finished when dropped.
struct Finished<'a> {
    finish: &'a Sender<Tally>,
    tally: Tally,
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        // Fails only when the solver is gone, and then nobody waits.
        let _ = self.finish.send(self.tally);
    }
}

fn work<S: Scan>(kernel: &S, template: &mut Template, search: &SharedSearch, tally: &mut Tally) {
    let mut share = search.join(kernel, template);
    while share.work(tally) == ChunkOutcome::Empty {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Heads, Kernel};
    use crate::pow::verify;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn difficulty(nibbles: u8) -> Difficulty {
        Difficulty::new(nibbles).expect("0 to 64")
    }

    #[test]
    fn what_is_shared_is_decided_by_blocks() {
        assert!(!is_worth_sharing(difficulty(3), 1) && is_worth_sharing(difficulty(4), 1));
        assert!(!is_worth_sharing(difficulty(1), 1024) && is_worth_sharing(difficulty(3), 1024));
        for (blocks, seeds) in [(1, 16_384), (3, 5_472), (1024, 16), (1 << 20, 16)] {
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

    /// Says that every head is a hit, and counts what it says.
    #[derive(Clone, Copy)]
    struct Liar<'a>(&'a AtomicU64);

    impl Scan for Liar<'_> {
        fn next_hit(&self, _: &Template, heads: &mut Heads<'_>, _: Difficulty) -> Option<u32> {
            let left = heads.left();
            *heads = Heads::from(left.start + 1..left.end);
            self.0.fetch_add(1, Relaxed);
            Some(left.start)
        }
    }

    #[test]
    fn false_hits_are_counted_on_every_thread() {
        // One thread alone, and three together.
        for (threads, nibbles) in [(1, 2), (3, 4)] {
            let said = AtomicU64::new(0);
            let task = Task {
                difficulty: difficulty(nibbles),
                seed_length: 5,
                kernel: Liar(&said),
            };
            std::thread::scope(|scope| {
                let mut solver = Solver::new(scope, task, threads, 1).expect("three threads");
                for _ in 0..10 {
                    solver.solve(b"message").expect("there is one");
                }
                let Tally { hashes, false_hits } = solver.tally();
                assert_eq!(hashes, said.load(Relaxed));
                // The others were right: one for each search, or one on each thread at the same time.
                assert!((10..=10 * threads as u64).contains(&(hashes - false_hits)));
            });
        }
    }
}
