//! One slice of a search, where what the kernel says meets what the oracle says.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::{Job, Ring, Searcher, Tally};
use crate::kernel::{Heads, Scan};
use crate::pow::{Difficulty, Seed, Solution, verify};
use crate::sha256::Template;
use crate::sync::AtomicBool;

/// A searcher that is ready to scan for one job, on one ring.
#[derive(Debug)]
pub(super) struct Probe<'a, S> {
    searcher: &'a mut Searcher<S>,
    job: Job<'a>,
    ring: &'a Ring,
}

impl<'a, S: Scan> Probe<'a, S> {
    /// Lays out the message behind seeds of the ring's length, unless the searcher has it so
    /// already.
    #[inline(always)]
    pub(super) fn new(searcher: &'a mut Searcher<S>, job: Job<'a>, ring: &'a Ring) -> Probe<'a, S> {
        // At difficulty 0 the first seed wins: only the oracle hashes, and nothing is laid out.
        if job.difficulty > Difficulty::NONE {
            searcher.template.load(ring.length(), job.message);
        }
        Probe {
            searcher,
            job,
            ring,
        }
    }

    /// Scans `steps` of the ring and returns the first solution. `None`: there is none, unless
    /// `stop` was set, which ends the scan early.
    ///
    /// Inlined up to where a reply is written. Handing a solution on through memory, call by call,
    /// costs a tenth of a reply at difficulty 0: 0.223 µs of CPU each, 0.203 inlined (Zen 4,
    /// 2026-11).
    #[inline(always)]
    pub(super) fn scan(
        &mut self,
        steps: Range<u128>,
        stop: &AtomicBool,
        tally: &mut Tally,
    ) -> Option<Solution> {
        let Job {
            message,
            difficulty,
        } = self.job;
        let mut step = steps.start;
        while step < steps.end && !stop.load(Relaxed) {
            let (walked, hit) = self.candidate(step, steps.end - step, stop);
            tally.hashes += walked as u64;
            step += walked;
            if hit {
                let seed = self.ring.seed(step - 1);
                if let Some(solution) = verify(seed, message, difficulty) {
                    return Some(solution);
                }
                tally.false_hits += 1;
            }
        }
        None
    }

    /// How many steps were walked from `step` on, at most `limit`, and whether the last is a hit.
    fn candidate(&mut self, step: u128, limit: u128, stop: &AtomicBool) -> (u128, bool) {
        if self.job.difficulty == Difficulty::NONE {
            return (1, true);
        }
        let Searcher { scanner, template } = &mut *self.searcher;
        template.fix_tail(tail_of(&self.ring.seed(step)));
        let range = self.ring.heads(step, limit);
        let mut heads = Heads::until(stop, range.clone());
        let hit = scanner.next_hit(template, &mut heads, self.job.difficulty);
        let walked = heads.left().start - range.start;
        (u128::from(walked), hit.is_some())
    }
}

/// The characters behind the head. A short seed has none.
fn tail_of(seed: &Seed) -> &[u8] {
    let tail = seed.as_bytes().get(Template::MAX_HEAD_LENGTH.bytes()..);
    tail.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::SeedLength;
    use crate::sync::never;

    /// Reports every third seed as a hit, and all real hits too.
    struct Liar(Kernel);

    impl Scan for Liar {
        fn next_hit(
            &self,
            template: &Template,
            heads: &mut Heads<'_>,
            difficulty: Difficulty,
        ) -> Option<u32> {
            let left = heads.left();
            let lie = left.clone().find(|head| head % 3 == 0);
            let truth = self.0.scan(template, left.clone(), difficulty);
            let hit = [lie, truth].into_iter().flatten().min();
            *heads = Heads::from(hit.map_or(left.end, |head| head + 1)..left.end);
            hit
        }
    }

    #[test]
    fn a_kernel_that_lies_is_caught_and_the_search_goes_on() {
        let job = Job {
            message: b"message",
            difficulty: Difficulty::new(2).expect("0 to 64"),
        };
        let ring = Ring::new(SeedLength::DEFAULT, 12345);
        let honest = Probe::new(&mut Searcher::new(Kernel::PORTABLE, 100), job, &ring)
            .scan(0..100_000, never(), &mut Tally::default())
            .expect("one in 256");
        let mut tally = Tally::default();
        let solution = Probe::new(&mut Searcher::new(Liar(Kernel::PORTABLE), 100), job, &ring)
            .scan(0..100_000, never(), &mut tally)
            .expect("one in 256");
        assert_eq!(solution, honest);
        assert!(tally.false_hits > 0);
        assert!(tally.hashes.abs_diff(3 * tally.false_hits) <= 3);
    }
}
