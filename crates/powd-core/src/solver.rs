//! Many messages on all threads: what `powd solve` does.
//!
//! A hard message is worked on by all threads together, easy ones by one thread each. The threads are
//! rayon's: those of the service must poll between two slices, these have nothing else to do.

use std::io;
use std::num::NonZeroU64;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::kernel::{Scan, whole_batches};
use crate::pow::{Difficulty, SeedLength, Solution};
use crate::search::{Draws, Job, Progress, Ring, Search, Searcher, SharedSearch, Tally};
use crate::sha256::blocks;

/// Searches of fewer blocks than this on average, 0.3 ms with a fast kernel, are not worth waking all threads
/// for: they are easy.
const HARD: f64 = 30_000.0;

/// Blocks of a claim on a hard search: about 200 µs with a fast kernel.
const CHUNK: u64 = 16_384;

/// Blocks of the easy searches that are solved at a time, for each thread: about 5 ms with a fast kernel.
const PART: f64 = 500_000.0;

/// What is sought, whatever the message.
#[derive(Clone, Copy, Debug)]
pub struct Task<S> {
    /// The zeros asked for.
    pub difficulty: Difficulty,
    /// Characters of the first seeds tried.
    pub seed_length: SeedLength,
    /// The kernel of all threads, or what a test puts in its place.
    pub kernel: S,
}

impl<S> Task<S> {
    fn job<'m>(&self, message: &'m [u8]) -> Job<'m> {
        Job {
            message,
            difficulty: self.difficulty,
        }
    }

    /// The blocks of one hash of `message`.
    fn blocks(&self, message: &[u8]) -> u64 {
        blocks(self.seed_length.get() + message.len()) as u64
    }

    /// The blocks that a search for `message` takes on average.
    fn expected_blocks(&self, message: &[u8]) -> f64 {
        self.difficulty.expected_hashes() * self.blocks(message) as f64
    }

    fn is_hard(&self, message: &[u8]) -> bool {
        self.expected_blocks(message) >= HARD
    }
}

/// Solves messages on threads that it keeps for the purpose.
#[derive(Debug)]
pub struct Solver<S> {
    task: Task<S>,
    draws: Draws,
    shared: SharedSearch,
    threads: ThreadPool,
    tally: Tally,
}

impl<S: Scan + Copy + Send + Sync> Solver<S> {
    /// A solver of `threads` threads, which end with it. Fails when the system does not give so many.
    pub fn new(task: Task<S>, threads: usize, rng_seed: u64) -> io::Result<Solver<S>> {
        let threads = ThreadPoolBuilder::new().num_threads(threads).build();
        Ok(Solver {
            task,
            draws: Draws::reproducible(rng_seed, 0),
            shared: SharedSearch::with_capacity(0),
            threads: threads.map_err(io::Error::other)?,
            tally: Tally::default(),
        })
    }

    /// What all searches so far have cost, on all threads.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Solutions for the first of `messages`, in order: for one that is hard, or for as many easy ones as take
    /// a few milliseconds; for none only if there are none. Not a solution but `None` when no seed of up to 16
    /// characters is one.
    pub fn solve_first(&mut self, messages: &[&[u8]]) -> Vec<Option<Solution>> {
        match messages.first() {
            Some(first) if self.task.is_hard(first) => vec![self.solve_hard(first)],
            _ => self.solve_easy(&messages[..self.easy_part(messages)]),
        }
    }

    /// How many of `messages`, from the first on, are easy and worth a few milliseconds in all.
    fn easy_part(&self, messages: &[&[u8]]) -> usize {
        let mut left = PART * self.threads.current_num_threads() as f64;
        let part = messages.iter().take_while(|message| {
            let belongs = left > 0.0 && !self.task.is_hard(message);
            left -= self.task.expected_blocks(message);
            belongs
        });
        part.count()
    }

    /// By all threads together.
    fn solve_hard(&mut self, message: &[u8]) -> Option<Solution> {
        let Task {
            seed_length,
            kernel,
            ..
        } = self.task;
        let job = self.task.job(message);
        let chunk = whole_batches(CHUNK / self.task.blocks(message));
        let draw = self.draws.draw();
        let mut lengths = std::iter::successors(Some(seed_length), |length| length.longer());
        lengths.find_map(|length| {
            self.shared.begin(job, Ring::new(length, draw), 0, chunk);
            let shared = &self.shared;
            let shares = self.threads.broadcast(|_| work(kernel, shared));
            let mut winner = None;
            for (solution, tally) in shares {
                winner = winner.or(solution);
                self.add(tally);
            }
            winner
        })
    }

    /// Each by one thread.
    fn solve_easy(&mut self, messages: &[&[u8]]) -> Vec<Option<Solution>> {
        let task = self.task;
        // Drawn in order, so that the seeds found do not depend on which thread is where.
        let searches: Vec<_> = messages
            .iter()
            .map(|message| (message, Search::new(task.seed_length, self.draws.draw())))
            .collect();
        let solved: Vec<_> = self.threads.install(|| {
            let searches = searches.into_par_iter();
            searches
                .map_init(
                    || Searcher::new(task.kernel, 0),
                    |searcher, (message, search)| finish(search, task.job(message), searcher),
                )
                .collect()
        });
        let solutions = solved.into_iter().map(|(solution, tally)| {
            self.add(tally);
            solution
        });
        solutions.collect()
    }

    fn add(&mut self, Tally { hashes, false_hits }: Tally) {
        self.tally.hashes += hashes;
        self.tally.false_hits += false_hits;
    }
}

/// One thread's part in a search by all, and the solution, if one was found.
fn work<S: Scan>(kernel: S, search: &SharedSearch) -> (Option<Solution>, Tally) {
    let mut searcher = Searcher::new(kernel, search.job().message.len());
    let mut tally = Tally::default();
    let mut share = search.join(&mut searcher);
    loop {
        match share.work(&mut tally) {
            Progress::Found(solution) => return (Some(solution), tally),
            Progress::Pending => {}
            Progress::Stalled | Progress::Exhausted => return (None, tally),
        }
    }
}

/// A search by one thread, to its end.
fn finish<S: Scan>(
    mut search: Search,
    job: Job<'_>,
    searcher: &mut Searcher<S>,
) -> (Option<Solution>, Tally) {
    let mut tally = Tally::default();
    loop {
        match search.advance(searcher, job, NonZeroU64::MAX, &mut tally) {
            Progress::Found(solution) => return (Some(solution), tally),
            Progress::Pending => {}
            Progress::Stalled | Progress::Exhausted => return (None, tally),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Heads, Kernel};
    use crate::pow::verify;
    use crate::sha256::Template;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn task(nibbles: u8, seed_length: u8) -> Task<Kernel> {
        Task {
            difficulty: Difficulty::new(nibbles).expect("0 to 64"),
            seed_length: SeedLength::new(seed_length).expect("1 to 16"),
            kernel: Kernel::PORTABLE,
        }
    }

    fn slices(messages: &[Vec<u8>]) -> Vec<&[u8]> {
        messages.iter().map(Vec::as_slice).collect()
    }

    /// The solutions for all `messages`, and how many were given at a time.
    fn solve<S: Scan + Copy + Send + Sync>(
        solver: &mut Solver<S>,
        mut messages: &[&[u8]],
    ) -> (Vec<Option<Solution>>, Vec<usize>) {
        let (mut solutions, mut parts) = (Vec::new(), Vec::new());
        while !messages.is_empty() {
            let part = solver.solve_first(messages);
            messages = &messages[part.len()..];
            parts.push(part.len());
            solutions.extend(part);
        }
        (solutions, parts)
    }

    #[test]
    fn what_is_hard_is_decided_by_blocks() {
        let is_hard = |nibbles, bytes| task(nibbles, 5).is_hard(&vec![0; bytes]);
        assert!(!is_hard(3, 20) && is_hard(4, 20));
        assert!(!is_hard(1, 65_000) && is_hard(3, 65_000));
    }

    #[test]
    fn easy_messages_are_solved_many_at_a_time_and_hard_ones_alone() {
        let (easy, hard) = (b"easy".as_slice(), vec![0; 65_000]);
        let messages = [easy, easy, easy, &hard, &hard, easy, easy];
        let mut solver = Solver::new(task(2, 5), 2, 1).expect("two threads");
        assert_eq!(solve(&mut solver, &messages).1, [3, 1, 1, 2]);
        // 4096 blocks each: 500,000 for each thread are 245 in all.
        let mut solver = Solver::new(task(3, 5), 2, 1).expect("two threads");
        assert_eq!(solve(&mut solver, &[easy; 600]).1, [245, 245, 110]);
        assert_eq!(solver.solve_first(&[]), []);
    }

    #[test]
    fn all_threads_find_what_the_oracle_accepts() {
        for (threads, nibbles, seed_length) in
            [(1, 2, 5), (1, 4, 1), (2, 4, 5), (3, 4, 2), (4, 0, 16)]
        {
            let task = task(nibbles, seed_length);
            let mut solver = Solver::new(task, threads, 1).expect("four threads");
            let messages: Vec<_> = (0..10)
                .map(|number| format!("message {number}").repeat(number).into_bytes())
                .collect();
            let messages = slices(&messages);
            let (solutions, _) = solve(&mut solver, &messages);
            assert_eq!(solutions.len(), messages.len());
            for (message, solution) in messages.iter().zip(solutions) {
                let solution = solution.expect("there is one");
                let checked = verify(*solution.seed(), message, task.difficulty);
                assert_eq!(checked, Some(solution));
                assert!(solution.seed().length() >= task.seed_length);
            }
        }
    }

    #[test]
    fn the_seeds_of_easy_messages_do_not_depend_on_the_threads() {
        let messages: Vec<_> = (0..100u32)
            .map(|number| number.to_string().into_bytes())
            .collect();
        let solve_with = |threads| {
            let mut solver = Solver::new(task(2, 5), threads, 1).expect("three threads");
            solve(&mut solver, &slices(&messages)).0
        };
        assert_eq!(solve_with(1), solve_with(3));
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
        // Easy messages, and hard ones.
        for (threads, nibbles) in [(3, 2), (3, 4)] {
            let said = AtomicU64::new(0);
            let task = Task {
                difficulty: Difficulty::new(nibbles).expect("0 to 64"),
                seed_length: SeedLength::DEFAULT,
                kernel: Liar(&said),
            };
            let mut solver = Solver::new(task, threads, 1).expect("three threads");
            solve(&mut solver, &[b"message".as_slice(); 10]);
            let Tally { hashes, false_hits } = solver.tally();
            assert_eq!(hashes, said.load(Relaxed));
            // The others were right: one for each search, or one on each thread at the same time.
            assert!((10..=10 * threads as u64).contains(&(hashes - false_hits)));
        }
    }
}
