//! A search by several threads, which claim chunks of one ring.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use crossbeam_utils::CachePadded;

use super::probe::Probe;
use super::{Job, Progress, Ring, Searcher, Tally};
use crate::kernel::Scan;
use crate::pow::{Difficulty, SeedLength, Solution};

/// One message and one ring, worked on by any number of threads at once.
///
/// A claim is one atomic addition. There is no lock: what the threads only read is set while the owner
/// holds the search alone (`&mut`), what they write is atomic. The owner keeps it in an `Arc`, and takes
/// it up for the next message as soon as it holds the only reference, so nothing is allocated for a search
/// and no thread can mistake a new search for the old one.
#[derive(Debug)]
pub struct SharedSearch {
    message: Vec<u8>,
    difficulty: Difficulty,
    ring: Ring,
    /// The steps before the first chunk, proven empty by the owner alone.
    base: u128,
    chunk: NonZeroU64,
    /// Apart from what every batch reads.
    claims: CachePadded<Claims>,
    /// Won or called off. Every thread looks at it between two batches of its kernel.
    over: AtomicBool,
    winner: OnceLock<Solution>,
}

/// What every claim writes.
#[derive(Debug, Default)]
struct Claims {
    /// The next chunk to claim. It grows past the last one; at 2^64 it would repeat itself, but no
    /// hardware claims that often.
    next: AtomicU64,
    /// Chunks that were claimed, searched to their end, and are empty.
    emptied: AtomicU64,
}

impl SharedSearch {
    /// An idle one, with room for messages of up to `max_message_bytes`.
    pub fn with_capacity(max_message_bytes: usize) -> SharedSearch {
        SharedSearch {
            message: Vec::with_capacity(max_message_bytes),
            difficulty: Difficulty::MAX,
            ring: Ring::new(SeedLength::MIN, 0),
            base: 0,
            chunk: NonZeroU64::MIN,
            claims: CachePadded::default(),
            over: AtomicBool::new(true),
            winner: OnceLock::new(),
        }
    }

    /// Starts anew: `job` on `ring`, from step `base` on, in chunks of `chunk` seeds.
    pub fn begin(&mut self, job: Job<'_>, ring: Ring, base: u128, chunk: NonZeroU64) {
        self.message.clear();
        self.message.extend_from_slice(job.message);
        self.difficulty = job.difficulty;
        self.ring = ring;
        self.base = base;
        self.chunk = chunk;
        *self.claims = Claims::default();
        *self.over.get_mut() = false;
        self.winner.take();
    }

    /// What is sought.
    pub fn job(&self) -> Job<'_> {
        Job {
            message: &self.message,
            difficulty: self.difficulty,
        }
    }

    /// The ring searched.
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// One thread's share in the work. Lays out the message, unless the searcher has it already.
    pub fn join<'a, S: Scan>(&'a self, searcher: &'a mut Searcher<S>) -> Share<'a, S> {
        Share {
            search: self,
            probe: Probe::new(searcher, self.job(), &self.ring),
        }
    }

    /// Whether a helper would find something to do. A hint: others claim at the same time.
    pub fn is_claimable(&self) -> bool {
        let claimed = u128::from(self.claims.next.load(Relaxed)) * u128::from(self.chunk.get());
        !self.is_over() && self.base + claimed < self.ring.steps()
    }

    /// Calls it off: every thread stops after the batch it is at.
    pub fn call_off(&self) {
        self.over.store(true, Release);
    }

    /// Whether it was won or called off.
    fn is_over(&self) -> bool {
        self.over.load(Acquire)
    }

    /// How a search that is over ended, for each of its threads.
    fn ending(&self) -> Progress {
        match self.winner.get() {
            Some(&solution) => Progress::Found(solution),
            None => Progress::Stalled,
        }
    }

    /// The steps of the next chunk; `None` when all are claimed.
    fn claim(&self) -> Option<Range<u128>> {
        let number = u128::from(self.claims.next.fetch_add(1, Relaxed));
        let chunk = u128::from(self.chunk.get());
        let start = self.base + number * chunk;
        let end = (start + chunk).min(self.ring.steps());
        (start < end).then_some(start..end)
    }

    /// Whether every chunk was searched to its end, and is empty.
    fn is_exhausted(&self) -> bool {
        let chunks = (self.ring.steps() - self.base).div_ceil(u128::from(self.chunk.get()));
        u128::from(self.claims.emptied.load(Acquire)) == chunks
    }
}

/// What one thread does of a shared search, as long as it takes part.
#[derive(Debug)]
pub struct Share<'a, S> {
    search: &'a SharedSearch,
    probe: Probe<'a, S>,
}

impl<S: Scan> Share<'_, S> {
    /// Claims the next chunk and searches it.
    ///
    /// [`Progress::Pending`]: the chunk is empty. [`Progress::Stalled`]: there is no chunk left, but others are
    /// still at theirs, or the search was called off. [`Progress::Exhausted`]: the whole ring is proven empty.
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
            // Two threads may find one each at the same time. All report the one that was set first.
            let winner = *search.winner.get_or_init(|| solution);
            search.over.store(true, Release);
            return Progress::Found(winner);
        }
        if search.is_over() {
            // The scan may have been stopped: the chunk does not count as empty.
            return search.ending();
        }
        search.claims.emptied.fetch_add(1, AcqRel);
        Progress::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::verify;
    use std::thread;

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

    fn chunk(seeds: u64) -> NonZeroU64 {
        NonZeroU64::new(seeds).expect("some")
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
        search.begin(job, ring, 1000, chunk(77));
        let tallies = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| work_to_the_end(&search)));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        for (progress, _) in tallies {
            assert!(matches!(progress, Progress::Stalled | Progress::Exhausted));
        }
        let hashes: u64 = tallies.iter().map(|(_, tally)| tally.hashes).sum();
        assert_eq!(u128::from(hashes), ring.steps() - 1000);
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
                difficulty: Difficulty::new(3).expect("0 to 64"),
            };
            search.begin(
                job,
                Ring::new(SeedLength::DEFAULT, round << 50),
                0,
                chunk(64),
            );
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let (progress, _) = work_to_the_end(&search);
                        let Progress::Found(solution) = progress else {
                            panic!("one in 4096 is a solution: {progress:?}");
                        };
                        let checked = verify(*solution.seed(), job.message, job.difficulty);
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
        search.begin(hopeless(b"x"), Ring::new(SeedLength::MAX, 0), 0, chunk(10));
        search.call_off();
        assert_eq!(
            work_to_the_end(&search),
            (Progress::Stalled, Tally::default())
        );
        assert!(!search.is_claimable());
    }
}
