//! A search by several threads, which claim chunks of one ring.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::Ordering::*;

use crossbeam_utils::CachePadded;

use super::probe::Probe;
use super::{Job, Progress, Ring, Searcher, Tally};
use crate::kernel::Scan;
use crate::pow::{Difficulty, SeedLength, Solution};
use crate::sync::{AtomicBool, AtomicU64, First};

/// One message and one ring, searched by any number of threads at once.
///
/// A claim is one atomic addition, and there is no lock. What the threads only read is set while
/// the owner holds the search alone (`&mut`); what they write is atomic.
///
/// An owner that has many searches in turn keeps this one in an `Arc`, and begins the next search
/// when `Arc::get_mut` says that no thread is left at the last one. So a search allocates nothing,
/// and no thread can mistake a new search for the old one.
///
#[cfg_attr(feature = "unstable", doc = "```")]
#[cfg_attr(not(feature = "unstable"), doc = "```ignore")]
/// use std::thread;
///
/// use powd_core::unstable::{Ring, SharedSearch, whole_batches};
/// use powd_core::{Difficulty, Job, Kernel, Progress, SeedLength, Searcher, Tally};
///
/// let job = Job { message: b"hello", difficulty: Difficulty::of::<4>() };
/// let mut search = SharedSearch::with_capacity(job.message.len());
/// search.begin(job, Ring::new(SeedLength::DEFAULT, 42), 0..62u128.pow(5), whole_batches(1000));
/// let work = || {
///     let mut searcher = Searcher::new(Kernel::PORTABLE, 0);
///     let mut share = search.join(&mut searcher);
///     let mut tally = Tally::default();
///     loop {
///         match share.work(&mut tally) {
///             Progress::Pending => {}
///             progress => return progress,
///         }
///     }
/// };
/// let (here, there) = thread::scope(|scope| {
///     let other = scope.spawn(work);
///     (work(), other.join().unwrap())
/// });
/// assert!(matches!(here, Progress::Found(_)));
/// assert_eq!(here, there);
/// ```
#[derive(Debug)]
pub struct SharedSearch {
    message: Vec<u8>,
    difficulty: Difficulty,
    ring: Ring,
    /// The steps to search: those before are proven empty, those behind are for others.
    steps: Range<u128>,
    chunk: NonZeroU64,
    /// On a cache line of its own: every claim writes here, every batch reads `over`.
    claims: CachePadded<Claims>,
    /// Whether the search was won or called off. Every thread looks at it between two batches of
    /// its kernel.
    over: AtomicBool,
    winner: First<Solution>,
}

/// What every claim writes.
#[derive(Debug, Default)]
struct Claims {
    /// The number of the next chunk to claim. It grows past the last one. At 2^64 it would start
    /// again from 0, but no hardware claims that often.
    next: AtomicU64,
    /// How many chunks were claimed, searched to their end, and are empty.
    emptied: AtomicU64,
}

impl SharedSearch {
    /// An idle search, with room for messages of up to `max_message_bytes`. A longer one makes it
    /// grow.
    pub fn with_capacity(max_message_bytes: usize) -> SharedSearch {
        SharedSearch {
            message: Vec::with_capacity(max_message_bytes),
            difficulty: Difficulty::MAX,
            ring: Ring::new(SeedLength::MIN, 0),
            steps: 0..0,
            chunk: NonZeroU64::MIN,
            claims: CachePadded::default(),
            over: AtomicBool::new(true),
            winner: First::empty(),
        }
    }

    /// Begins to search for `job` on these steps of `ring`, in chunks of `chunk` seeds.
    ///
    /// A thread looks at nothing else until its chunk is done, so a chunk must not be long. Each
    /// claim takes a cache line from all other threads, so it must not be short.
    pub fn begin(&mut self, job: Job<'_>, ring: Ring, steps: Range<u128>, chunk: NonZeroU64) {
        self.message.clear();
        self.message.extend_from_slice(job.message);
        self.difficulty = job.difficulty;
        self.ring = ring;
        self.steps = steps;
        self.chunk = chunk;
        self.claims = CachePadded::default();
        self.over = AtomicBool::new(false);
        self.winner = First::empty();
    }

    /// What is searched for.
    pub fn job(&self) -> Job<'_> {
        Job {
            message: &self.message,
            difficulty: self.difficulty,
        }
    }

    /// One thread's share in the work. Lays out the message, unless the searcher has it already.
    pub fn join<'a, S: Scan>(&'a self, searcher: &'a mut Searcher<S>) -> Share<'a, S> {
        Share {
            search: self,
            probe: Probe::new(searcher, self.job(), &self.ring),
        }
    }

    /// Whether the search was won or called off.
    fn is_over(&self) -> bool {
        self.over.load(Acquire)
    }

    /// What a search that is over came to.
    fn ending(&self) -> Progress {
        match self.winner.get() {
            Some(solution) => Progress::Found(solution),
            None => Progress::Stalled,
        }
    }

    /// The steps of the next chunk; `None` when all chunks are claimed.
    fn claim(&self) -> Option<Range<u128>> {
        let number = u128::from(self.claims.next.fetch_add(1, Relaxed));
        let chunk = u128::from(self.chunk.get());
        let start = self.steps.start + number * chunk;
        let end = (start + chunk).min(self.steps.end);
        (start < end).then_some(start..end)
    }

    /// How many steps there are to search.
    fn length(&self) -> u128 {
        self.steps.end - self.steps.start
    }

    /// Whether every chunk was searched to its end, and is empty.
    pub fn is_exhausted(&self) -> bool {
        let chunks = self.length().div_ceil(u128::from(self.chunk.get()));
        u128::from(self.claims.emptied.load(Acquire)) == chunks
    }
}

/// What an owner needs whose helpers come and go.
#[cfg(feature = "unstable")]
impl SharedSearch {
    /// The ring that is searched.
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// Seeds of the chunks that were claimed so far, whether or not these are searched to their
    /// end.
    pub fn claimed(&self) -> u64 {
        let claimed = u128::from(self.claims.next.load(Relaxed)) * u128::from(self.chunk.get());
        u64::try_from(claimed.min(self.length())).unwrap_or(u64::MAX)
    }

    /// Whether a thread that joins now would find a chunk to claim. A hint: others claim at the
    /// same time.
    pub fn is_claimable(&self) -> bool {
        let claimed = u128::from(self.claims.next.load(Relaxed)) * u128::from(self.chunk.get());
        !self.is_over() && claimed < self.length()
    }

    /// What was found, if it was: for an owner that does not search.
    pub fn winner(&self) -> Option<Solution> {
        self.winner.get()
    }

    /// Calls the search off: every thread stops after the batch that it is at.
    pub fn call_off(&self) {
        self.over.store(true, Release);
    }
}

/// One thread's share in a shared search, for as long as it takes part.
#[derive(Debug)]
pub struct Share<'a, S> {
    search: &'a SharedSearch,
    probe: Probe<'a, S>,
}

impl<S: Scan> Share<'_, S> {
    /// Claims the next chunk and searches it.
    ///
    /// - [`Progress::Found`]: the search is won, by this thread or by another one. All threads get
    ///   the same solution.
    /// - [`Progress::Pending`]: the chunk is empty.
    /// - [`Progress::Stalled`]: no chunk is left to claim, but others are still at theirs; or the
    ///   search was called off.
    /// - [`Progress::Exhausted`]: the whole ring is proven empty.
    pub fn work(&mut self, tally: &mut Tally) -> Progress {
        let search = self.search;
        if search.is_over() {
            return search.ending();
        }
        let Some(steps) = search.claim() else {
            return if search.is_exhausted() {
                Progress::Exhausted
            } else {
                Progress::Stalled
            };
        };
        if let Some(solution) = self.probe.scan(steps, &search.over, tally) {
            // Two threads may find a solution each at the same time: the first one counts.
            let winner = search.winner.put(solution);
            search.over.store(true, Release);
            return Progress::Found(winner);
        }
        if search.is_over() {
            // The scan may have been stopped, so the chunk does not count as empty.
            return search.ending();
        }
        search.claims.emptied.fetch_add(1, AcqRel);
        Progress::Pending
    }
}

#[cfg(all(test, feature = "unstable"))]
mod model;

#[cfg(all(test, feature = "unstable"))]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::verify;
    use std::thread;

    const CHUNK: NonZeroU64 = NonZeroU64::new(77).expect("not zero");

    fn work_to_the_end(search: &SharedSearch) -> (Progress, Tally) {
        let mut searcher = Searcher::new(Kernel::PORTABLE, search.job().message.len());
        let mut share = search.join(&mut searcher);
        let mut tally = Tally::default();
        loop {
            let progress = share.work(&mut tally);
            if progress != Progress::Pending {
                return (progress, tally);
            }
        }
    }

    fn hopeless(message: &[u8]) -> Job<'_> {
        Job {
            message,
            difficulty: Difficulty::MAX,
        }
    }

    #[test]
    fn threads_share_a_ring_without_gap_or_overlap() {
        let mut search = SharedSearch::with_capacity(100);
        let ring = Ring::new(SeedLength::of::<3>(), 1 << 60);
        let job = hopeless(b"nothing has sixty-four zeros");
        search.begin(job, ring, 1000..ring.steps() - 500, CHUNK);
        let tallies = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| work_to_the_end(&search)));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        for (progress, _) in tallies {
            assert!(matches!(progress, Progress::Stalled | Progress::Exhausted));
        }
        let hashes: u64 = tallies.iter().map(|(_, tally)| tally.hashes).sum();
        assert_eq!(u128::from(hashes), ring.steps() - 1500);
        assert_eq!(
            work_to_the_end(&search),
            (Progress::Exhausted, Tally::default())
        );
        assert!(!search.is_claimable());
    }

    #[test]
    fn a_win_ends_it_for_everyone_and_it_can_begin_again() {
        let mut search = SharedSearch::with_capacity(100);
        for round in 0..20u64 {
            let message = format!("round {round}");
            let job = Job {
                message: message.as_bytes(),
                difficulty: Difficulty::of::<3>(),
            };
            let ring = Ring::new(SeedLength::DEFAULT, round << 50);
            search.begin(job, ring, 0..ring.steps(), CHUNK);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let (progress, _) = work_to_the_end(&search);
                        let Progress::Found(solution) = progress else {
                            panic!("one in 4096 is a solution: {progress:?}");
                        };
                        let checked = verify(solution.seed(), job.message, job.difficulty);
                        assert_eq!(checked, Some(solution));
                    });
                }
            });
            assert!(!search.is_claimable());
        }
    }

    #[test]
    fn calling_off_stops_the_work() {
        let mut search = SharedSearch::with_capacity(10);
        let ring = Ring::new(SeedLength::MAX, 0);
        search.begin(hopeless(b"x"), ring, 0..ring.steps(), CHUNK);
        search.call_off();
        assert_eq!(
            work_to_the_end(&search),
            (Progress::Stalled, Tally::default())
        );
        assert!(!search.is_claimable());
    }
}
