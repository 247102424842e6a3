//! Many messages on all threads: what `powd solve` does.
//!
//! All threads work together on a hard message, and each thread by itself on easy ones. The threads
//! are rayon's. Those of the service are not, because they must poll their sockets between two
//! slices of work.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::available_parallelism;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::kernel::{Kernel, Scan, whole_batches};
use crate::pow::{Difficulty, SeedLength, Solution};
use crate::search::{Draws, Job, Progress, Ring, Search, Searcher, SharedSearch, Tally};
use crate::sha256::hash_blocks;
use crate::solve::{EXHAUSTED, finish, random_draw};

/// A search of fewer blocks than this on average is easy: it takes 0.3 ms with a fast kernel, too
/// little to wake all threads for.
const HARD: f64 = 30_000.0;

/// Blocks of one claim on a hard search: about 200 µs with a fast kernel.
const CHUNK: u64 = 16_384;

/// Blocks of the easy searches that are solved in one call, for each thread: about 5 ms with a fast
/// kernel.
const PART: f64 = 500_000.0;

/// What a [`Solver`] is told.
///
/// `S` is a [`Kernel`], as in a [`Searcher`].
///
/// ```
/// use powd_core::{Difficulty, Kernel, SeedLength, SolverOptions};
///
/// let options = SolverOptions {
///     seed_length: SeedLength::of::<8>(),
///     ..SolverOptions::with_kernel(Kernel::PORTABLE, Difficulty::of::<3>())
/// };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SolverOptions<S = Kernel> {
    /// The zeros that each digest must start with.
    pub difficulty: Difficulty,
    /// Characters of the first seeds tried.
    pub seed_length: SeedLength,
    /// The kernel of all threads.
    pub kernel: S,
    /// How many threads search.
    pub threads: NonZeroUsize,
    /// The number that the starting places of all searches are drawn from. With one thread, equal
    /// numbers give equal seeds.
    pub rng_seed: u64,
}

impl SolverOptions {
    /// The [fastest](Kernel::fastest) kernel, and the rest as
    /// [`with_kernel`](SolverOptions::with_kernel) has it.
    ///
    /// The first call in a process measures which one that is, for some 20 ms, or more
    /// on a busy machine. Who has chosen a kernel uses `with_kernel`, which measures nothing.
    pub fn new(difficulty: Difficulty) -> SolverOptions {
        SolverOptions::with_kernel(Kernel::fastest(), difficulty)
    }
}

impl<S> SolverOptions<S> {
    /// This kernel, seeds of five characters, a thread for each CPU that the process may use, and
    /// starting places that differ from run to run.
    pub fn with_kernel(kernel: S, difficulty: Difficulty) -> SolverOptions<S> {
        SolverOptions {
            difficulty,
            seed_length: SeedLength::DEFAULT,
            kernel,
            threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            rng_seed: random_draw(),
        }
    }

    fn job<'m>(&self, message: &'m [u8]) -> Job<'m> {
        Job {
            message,
            difficulty: self.difficulty,
        }
    }

    /// The blocks of one hash of `message`.
    fn blocks(&self, message: &[u8]) -> u64 {
        hash_blocks(self.seed_length, message.len())
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
///
/// Each thread lays out the message that it is at, which takes about five bytes for each of the
/// message's.
///
/// ```
/// use powd_core::{Difficulty, Solver, SolverOptions};
///
/// let mut solver = Solver::new(SolverOptions::new(Difficulty::of::<3>()))?;
/// for solution in solver.solve_all(&["one", "two", "three"]) {
///     println!("{} {}", solution.seed(), solution.digest());
/// #   assert!(solution.digest().to_string().starts_with("000"));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Solver<S = Kernel> {
    options: SolverOptions<S>,
    draws: Draws,
    shared: SharedSearch,
    threads: ThreadPool,
    tally: Tally,
    tried: Arc<AtomicU64>,
}

impl<S: Scan + Copy + Send + Sync> Solver<S> {
    /// Starts the threads, which end with the solver.
    ///
    /// # Errors
    ///
    /// When the operating system does not give so many threads.
    pub fn new(options: SolverOptions<S>) -> io::Result<Solver<S>> {
        let threads = ThreadPoolBuilder::new().num_threads(options.threads.get());
        Ok(Solver {
            options,
            draws: Draws::reproducible(options.rng_seed, 0),
            shared: SharedSearch::with_capacity(0),
            threads: threads.build().map_err(io::Error::other)?,
            tally: Tally::default(),
            tried: Arc::default(),
        })
    }

    /// The hashes of all searches so far, counted while they run: another thread can show how far a
    /// search is.
    pub fn tried(&self) -> Tried {
        Tried(Arc::clone(&self.tried))
    }

    /// What all searches so far have cost, on all threads.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Solutions for all of `messages`, in order.
    ///
    /// # Panics
    ///
    /// When all 62^16 seeds of the longest length were tried, which no hardware lives to see.
    pub fn solve_all<M: AsRef<[u8]> + Sync>(&mut self, messages: &[M]) -> Vec<Solution> {
        let mut solutions = Vec::with_capacity(messages.len());
        while solutions.len() < messages.len() {
            solutions.extend(self.solve_first(&messages[solutions.len()..]));
        }
        solutions
    }

    /// Solutions for the first of `messages`, in order: for one message if it is hard, else for as
    /// many easy ones as take a few milliseconds. There is at least one solution, unless there are
    /// no messages.
    ///
    /// This is for messages that come as a stream, and whose solutions are wanted as they are
    /// found.
    ///
    /// ```
    /// use powd_core::{Difficulty, Solver, SolverOptions};
    ///
    /// let mut solver = Solver::new(SolverOptions::new(Difficulty::of::<5>()))?;
    /// let mut messages = &["one", "two"][..];
    /// while !messages.is_empty() {
    ///     let solutions = solver.solve_first(messages);
    ///     for (message, solution) in messages.iter().zip(&solutions) {
    ///         println!("{message} {}", solution.seed());
    ///     }
    ///     messages = &messages[solutions.len()..];
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// When all 62^16 seeds of the longest length were tried, which no hardware lives to see.
    pub fn solve_first<M: AsRef<[u8]> + Sync>(&mut self, messages: &[M]) -> Vec<Solution> {
        match messages.first() {
            Some(first) if self.options.is_hard(first.as_ref()) => {
                vec![self.solve_hard(first.as_ref())]
            }
            _ => self.solve_easy(&messages[..self.easy_part(messages)]),
        }
    }

    /// How many of `messages`, from the first on, are easy and take a few milliseconds in all.
    fn easy_part<M: AsRef<[u8]>>(&self, messages: &[M]) -> usize {
        let mut left = PART * self.threads.current_num_threads() as f64;
        let part = messages.iter().map(AsRef::as_ref).take_while(|message| {
            let belongs = left > 0.0 && !self.options.is_hard(message);
            left -= self.options.expected_blocks(message);
            belongs
        });
        part.count()
    }

    /// Solves one message by all threads together.
    fn solve_hard(&mut self, message: &[u8]) -> Solution {
        let options = &self.options;
        let job = options.job(message);
        let chunk = whole_batches(CHUNK / options.blocks(message));
        let draw = self.draws.draw();
        let mut lengths =
            std::iter::successors(Some(options.seed_length), |length| length.longer());
        let solution = lengths.find_map(|length| {
            let ring = Ring::new(length, draw);
            self.shared.begin(job, ring, 0..ring.steps(), chunk);
            let (kernel, shared, tried) = (options.kernel, &self.shared, &*self.tried);
            let shares = self.threads.broadcast(|_| work(kernel, shared, tried));
            let mut winner = None;
            for (solution, tally) in shares {
                winner = winner.or(solution);
                self.tally += tally;
            }
            winner
        });
        solution.expect(EXHAUSTED)
    }

    /// Solves each message by one thread.
    fn solve_easy<M: AsRef<[u8]> + Sync>(&mut self, messages: &[M]) -> Vec<Solution> {
        let (options, tried) = (self.options, &*self.tried);
        // Drawn here, in order: the seeds found do not depend on which thread is where.
        let searches: Vec<_> = messages
            .iter()
            .map(|message| {
                let search = Search::new(options.seed_length, self.draws.draw());
                (options.job(message.as_ref()), search)
            })
            .collect();
        let solved: Vec<_> = self.threads.install(|| {
            let searches = searches.into_par_iter();
            let searcher = || Searcher::new(options.kernel, 0);
            let solved = searches.map_init(searcher, |searcher, (job, search)| {
                finish(searcher, search, job)
            });
            let counted = solved.inspect(|(_, tally)| {
                tried.fetch_add(tally.hashes, Relaxed);
            });
            counted.collect()
        });
        let solutions = solved.into_iter().map(|(solution, tally)| {
            self.tally += tally;
            solution
        });
        solutions.collect()
    }
}

/// The count of a [`Solver`]'s hashes, to be looked at by any thread.
///
/// ```
/// use powd_core::{Difficulty, Solver, SolverOptions};
///
/// let mut solver = Solver::new(SolverOptions::new(Difficulty::of::<2>()))?;
/// let tried = solver.tried();
/// solver.solve_all(&["one", "two"]);
/// assert_eq!(tried.hashes(), solver.tally().hashes);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tried(Arc<AtomicU64>);

impl Tried {
    /// The hashes so far.
    pub fn hashes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One thread's part in a search by all: the solution, if one was found, and what the part has
/// cost.
fn work<S: Scan>(kernel: S, search: &SharedSearch, tried: &AtomicU64) -> (Option<Solution>, Tally) {
    let mut searcher = Searcher::new(kernel, search.job().message.len());
    let mut share = search.join(&mut searcher);
    let mut tally = Tally::default();
    loop {
        let before = tally.hashes;
        let progress = share.work(&mut tally);
        tried.fetch_add(tally.hashes - before, Relaxed);
        match progress {
            Progress::Found(solution) => return (Some(solution), tally),
            Progress::Pending => {}
            Progress::Stalled | Progress::Exhausted => return (None, tally),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Heads;
    use crate::pow::verify;
    use crate::sha256::Template;

    fn options<S>(kernel: S, difficulty: Difficulty, threads: usize) -> SolverOptions<S> {
        SolverOptions {
            threads: NonZeroUsize::new(threads).expect("some"),
            rng_seed: 1,
            ..SolverOptions::with_kernel(kernel, difficulty)
        }
    }

    fn solver(difficulty: Difficulty, threads: usize) -> Solver {
        let options = options(Kernel::PORTABLE, difficulty, threads);
        Solver::new(options).expect("a few threads")
    }

    /// How many of `messages` are solved in each call.
    fn parts(solver: &mut Solver, mut messages: &[&[u8]]) -> Vec<usize> {
        let mut parts = Vec::new();
        while !messages.is_empty() {
            let part = solver.solve_first(messages).len();
            messages = &messages[part..];
            parts.push(part);
        }
        parts
    }

    #[test]
    fn what_is_hard_is_decided_by_blocks() {
        let is_hard =
            |difficulty, bytes| options(Kernel::PORTABLE, difficulty, 1).is_hard(&vec![0; bytes]);
        let [one, three, four] = [
            Difficulty::of::<1>(),
            Difficulty::of::<3>(),
            Difficulty::of::<4>(),
        ];
        assert!(!is_hard(three, 20) && is_hard(four, 20));
        assert!(!is_hard(one, 65_000) && is_hard(three, 65_000));
    }

    #[test]
    fn easy_messages_are_solved_many_at_a_time_and_hard_ones_alone() {
        let (easy, hard) = (b"easy".as_slice(), vec![0; 65_000]);
        let messages = [easy, easy, easy, &hard, &hard, easy, easy];
        let mut two_zeros = solver(Difficulty::of::<2>(), 2);
        assert_eq!(parts(&mut two_zeros, &messages), [3, 1, 1, 2]);
        // 4096 blocks each: 500,000 for each thread are 245 in all.
        let mut three_zeros = solver(Difficulty::of::<3>(), 2);
        assert_eq!(parts(&mut three_zeros, &[easy; 600]), [245, 245, 110]);
        assert_eq!(three_zeros.solve_first::<&[u8]>(&[]), []);
    }

    #[test]
    fn all_threads_find_what_the_oracle_accepts() {
        for (threads, nibbles, seed_length) in
            [(1, 2, 5), (1, 4, 1), (2, 4, 5), (3, 4, 2), (4, 0, 16)]
        {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            let options = SolverOptions {
                seed_length: SeedLength::new(seed_length).expect("1 to 16"),
                ..options(Kernel::PORTABLE, difficulty, threads)
            };
            let messages: Vec<_> = (0..10)
                .map(|number| format!("message {number}").repeat(number))
                .collect();
            let mut solver = Solver::new(options).expect("four threads");
            let solutions = solver.solve_all(&messages);
            assert_eq!(solutions.len(), messages.len());
            for (message, solution) in messages.iter().zip(solutions) {
                let checked = verify(solution.seed(), message.as_bytes(), difficulty);
                assert_eq!(checked, Some(solution));
                assert!(solution.seed().length() >= options.seed_length);
            }
        }
    }

    #[test]
    fn the_seeds_of_easy_messages_do_not_depend_on_the_threads() {
        let messages: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let solve_with = |threads| solver(Difficulty::of::<2>(), threads).solve_all(&messages);
        assert_eq!(solve_with(1), solve_with(3));
    }

    /// Reports every head as a hit, and counts its reports.
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
        for difficulty in [Difficulty::of::<2>(), Difficulty::of::<4>()] {
            let reports = AtomicU64::new(0);
            let options = options(Liar(&reports), difficulty, 3);
            let mut solver = Solver::new(options).expect("three threads");
            solver.solve_all(&[b"message"; 10]);
            let Tally { hashes, false_hits } = solver.tally();
            assert_eq!(hashes, solver.tried().hashes());
            assert_eq!(hashes, reports.load(Relaxed));
            // The others were right: one for each search, or one on each thread at the same time.
            assert!((10..=30).contains(&(hashes - false_hits)));
        }
    }
}
