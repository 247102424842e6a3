//! One message, prepared for one thread: the place where the kernel's word meets the oracle's.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Ring;
use super::ring::tail_of;
use crate::kernel::{Heads, Scan};
use crate::pow::{Difficulty, Solution, verify};
use crate::sha256::Template;

/// What a search has cost so far, for the counters and the budgets of the layer above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeds tried.
    pub hashes: u64,
    /// Hits of a kernel that the oracle did not confirm. Each one is a bug.
    pub false_hits: u64,
}

/// A message laid out for scanning, at one seed length. Made anew for each slice of work; short messages
/// cost less to lay out again than to keep apart.
#[derive(Debug)]
pub struct Probe<'a, S> {
    scanner: &'a S,
    template: &'a mut Template,
    message: &'a [u8],
    difficulty: Difficulty,
}

impl<'a, S: Scan> Probe<'a, S> {
    /// Lays out `message` behind seeds of `length` characters.
    pub fn new(
        scanner: &'a S,
        template: &'a mut Template,
        message: &'a [u8],
        length: usize,
        difficulty: Difficulty,
    ) -> Probe<'a, S> {
        // At difficulty 0 the first seed wins: only the oracle hashes, and nothing is laid out.
        if difficulty > Difficulty::NONE {
            template.load(length, message);
        }
        Probe {
            scanner,
            template,
            message,
            difficulty,
        }
    }

    /// Scans `steps` of `ring` (of the length given to [`Probe::new`]) for the first solution, unless `stop`
    /// is set first: then those steps are not proven empty.
    pub fn scan(
        &mut self,
        ring: &Ring,
        steps: Range<u128>,
        stop: &AtomicBool,
        tally: &mut Tally,
    ) -> Option<Solution> {
        let mut step = steps.start;
        while step < steps.end && !stop.load(Relaxed) {
            let (walked, hit) = self.candidate(ring, step, steps.end - step, stop);
            tally.hashes += walked as u64;
            step += walked;
            if hit {
                let seed = ring.seed(step - 1);
                if let Some(solution) = verify(seed, self.message, self.difficulty) {
                    return Some(solution);
                }
                tally.false_hits += 1;
                tracing::error!(%seed, difficulty = %self.difficulty, bytes = self.message.len(), "false hit: the kernel is wrong, its seed was not sent");
            }
        }
        None
    }

    /// Steps walked from `step`, at most `limit`, and whether the last is a hit.
    fn candidate(
        &mut self,
        ring: &Ring,
        step: u128,
        limit: u128,
        stop: &AtomicBool,
    ) -> (u128, bool) {
        if self.difficulty == Difficulty::NONE {
            return (1, true);
        }
        let stretch = ring.stretch(step, limit);
        self.template
            .fix_tail(tail_of(&ring.tail_characters(&stretch)));
        let mut heads = Heads::until(stop, stretch.heads.clone());
        let hit = self
            .scanner
            .next_hit(self.template, &mut heads, self.difficulty);
        let walked = heads.left().start - stretch.heads.start;
        (u128::from(walked), hit.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;

    /// Says that every third seed is a hit, and hides nothing of what is really found.
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
        let difficulty = Difficulty::new(2).expect("0 to 64");
        let mut template = Template::with_capacity(100);
        let ring = Ring::new(5, 12345);
        let kernel = Kernel::PORTABLE;
        let never = AtomicBool::new(false);
        let honest = Probe::new(&kernel, &mut template, b"message", 5, difficulty)
            .scan(&ring, 0..100_000, &never, &mut Tally::default())
            .expect("one in 256");
        let mut tally = Tally::default();
        let solution = Probe::new(&Liar(kernel), &mut template, b"message", 5, difficulty)
            .scan(&ring, 0..100_000, &never, &mut tally)
            .expect("one in 256");
        assert_eq!(solution, honest);
        assert!(tally.false_hits > 0);
        assert!(tally.hashes.abs_diff(3 * tally.false_hits) <= 3);
    }
}
