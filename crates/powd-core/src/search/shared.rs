//! A search by several threads, which claim chunks of one ring.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use crossbeam_utils::CachePadded;

use super::probe::Probe;
use super::{Job, Ring, Tally};
use crate::kernel::Scan;
use crate::pow::{Difficulty, Solution};
use crate::sha256::Template;

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
    chunk: u64,
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

/// What became of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// It holds no solution.
    Empty,
    /// The search is won, here or by another thread.
    Won,
    /// No chunk is left to claim; others may still be at theirs.
    NoneLeft,
    /// The owner has called it off.
    Over,
}

impl SharedSearch {
    /// An idle one, with room for messages of up to `max_message_bytes`.
    pub fn with_capacity(max_message_bytes: usize) -> SharedSearch {
        SharedSearch {
            message: Vec::with_capacity(max_message_bytes),
            difficulty: Difficulty::MAX,
            ring: Ring::new(1, 0),
            base: 0,
            chunk: 1,
            claims: CachePadded::default(),
            over: AtomicBool::new(true),
            winner: OnceLock::new(),
        }
    }

    /// Starts anew: `job` on `ring`, from step `base` on, in chunks of `chunk` seeds (more than none).
    pub fn begin(&mut self, job: Job<'_>, ring: Ring, base: u128, chunk: u64) {
        self.message.clear();
        self.message.extend_from_slice(job.message);
        self.difficulty = job.difficulty;
        self.ring = ring;
        self.base = base;
        self.chunk = chunk.max(1);
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

    /// One thread's share in the work: lays out the message for it.
    pub fn join<'a, S: Scan>(&'a self, scanner: &'a S, template: &'a mut Template) -> Share<'a, S> {
        Share {
            search: self,
            probe: Probe::new(scanner, template, self.job(), &self.ring),
        }
    }

    /// How a search that is over ended.
    fn ending(&self) -> ChunkOutcome {
        match self.winner.get() {
            Some(_) => ChunkOutcome::Won,
            None => ChunkOutcome::Over,
        }
    }

    fn claim(&self) -> Option<Range<u128>> {
        let number = u128::from(self.claims.next.fetch_add(1, Relaxed));
        let start = self.base + number * u128::from(self.chunk);
        let end = (start + u128::from(self.chunk)).min(self.ring.steps());
        (start < end).then_some(start..end)
    }

    /// The solution, once there is one: checked by the oracle, on whichever thread found it.
    pub fn winner(&self) -> Option<Solution> {
        self.winner.get().copied()
    }

    /// Whether every step was walked and none won.
    pub fn is_exhausted(&self) -> bool {
        let chunks = (self.ring.steps() - self.base).div_ceil(u128::from(self.chunk));
        u128::from(self.claims.emptied.load(Acquire)) == chunks
    }

    /// Whether a helper would find something to do. A hint: others claim at the same time.
    pub fn is_claimable(&self) -> bool {
        let claimed = u128::from(self.claims.next.load(Relaxed)) * u128::from(self.chunk);
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
}

/// What one thread does of a shared search, as long as it takes part.
#[derive(Debug)]
pub struct Share<'a, S> {
    search: &'a SharedSearch,
    probe: Probe<'a, S>,
}

impl<S: Scan> Share<'_, S> {
    /// Claims the next chunk and searches it.
    pub fn work(&mut self, tally: &mut Tally) -> ChunkOutcome {
        let search = self.search;
        if search.is_over() {
            return search.ending();
        }
        let Some(steps) = search.claim() else {
            return ChunkOutcome::NoneLeft;
        };
        if let Some(solution) = self.probe.scan(steps, &search.over, tally) {
            // Of two winners at once either will do: the first to set it stays.
            let _ = search.winner.set(solution);
            search.over.store(true, Release);
            return ChunkOutcome::Won;
        }
        if search.is_over() {
            return search.ending();
        }
        search.claims.emptied.fetch_add(1, AcqRel);
        ChunkOutcome::Empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::verify;
    use std::thread;

    fn work_to_the_end(search: &SharedSearch) -> (ChunkOutcome, Tally) {
        let kernel = Kernel::PORTABLE;
        let mut template = Template::with_capacity(search.job().message.len());
        let mut share = search.join(&kernel, &mut template);
        let mut tally = Tally::default();
        loop {
            let outcome = share.work(&mut tally);
            if outcome != ChunkOutcome::Empty {
                return (outcome, tally);
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
        let ring = Ring::new(3, 1 << 60);
        search.begin(hopeless(b"nothing has sixty-four zeros"), ring, 1000, 77);
        let tallies = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| work_to_the_end(&search)));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        assert!(
            tallies
                .iter()
                .all(|(outcome, _)| *outcome == ChunkOutcome::NoneLeft)
        );
        let hashes: u64 = tallies.iter().map(|(_, tally)| tally.hashes).sum();
        assert_eq!(u128::from(hashes), ring.steps() - 1000);
        assert!(search.is_exhausted());
        assert_eq!(search.winner(), None);
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
            search.begin(job, Ring::new(5, round << 50), 0, 64);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| assert_eq!(work_to_the_end(&search).0, ChunkOutcome::Won));
                }
            });
            let solution = search.winner().expect("one in 4096");
            assert_eq!(
                verify(*solution.seed(), job.message, job.difficulty),
                Some(solution)
            );
            assert!(!search.is_exhausted());
        }
    }

    #[test]
    fn calling_off_stops_the_work() {
        let mut search = SharedSearch::with_capacity(10);
        search.begin(hopeless(b"x"), Ring::new(16, 0), 0, 10);
        search.call_off();
        assert_eq!(
            work_to_the_end(&search),
            (ChunkOutcome::Over, Tally::default())
        );
    }
}
