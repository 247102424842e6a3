//! A search by one thread, resumable after any number of hashes.

use std::sync::atomic::AtomicBool;

use super::probe::Probe;
use super::{Job, Ring, Tally};
use crate::kernel::Scan;
use crate::pow::{Seed, Solution};
use crate::sha256::Template;

/// What [`Search::advance`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Over: a checked answer.
    Found(Solution),
    /// The budget is spent, the search is not over.
    Pending,
    /// Every seed of every length up to [`Seed::MAX_LENGTH`] was tried. Only in theory: the last length
    /// alone outlasts the hardware.
    Exhausted,
}

/// A place on the ring of seeds: 64 bytes, no reference to the message, which its owner keeps.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    ring: Ring,
    walked: u128,
    draw: u64,
}

impl Search {
    /// A search over seeds of `length` characters (1 to 16), then of more, that starts where `draw` says.
    pub fn new(length: usize, draw: u64) -> Search {
        Search {
            ring: Ring::new(length, draw),
            walked: 0,
            draw,
        }
    }

    /// The ring it is on, and the steps of it that are proven empty.
    pub fn position(&self) -> (Ring, u128) {
        (self.ring, self.walked)
    }

    /// Takes the place of this search to `walked` steps: those before it were proven empty elsewhere.
    pub fn skip_to(&mut self, walked: u128) {
        self.walked = walked;
    }

    /// Tries up to `budget` seeds (more than none) and says how far that came.
    ///
    /// `job` must be the same at each call: it belongs to the request, which knows it anyway.
    // As `Probe::scan` is.
    #[inline(always)]
    pub fn advance<S: Scan>(
        &mut self,
        scanner: &S,
        template: &mut Template,
        job: Job<'_>,
        budget: u64,
        tally: &mut Tally,
    ) -> Progress {
        let never = AtomicBool::new(false);
        let mut left = u128::from(budget);
        while left > 0 {
            if self.walked == self.ring.steps() && !self.lengthen() {
                return Progress::Exhausted;
            }
            let end = self.ring.steps().min(self.walked + left);
            let steps = self.walked..end;
            let mut probe = Probe::new(scanner, template, job, &self.ring);
            if let Some(solution) = probe.scan(steps, &never, tally) {
                return Progress::Found(solution);
            }
            left -= end - self.walked;
            self.walked = end;
        }
        Progress::Pending
    }

    /// Goes on to seeds of one character more; false when there are none.
    fn lengthen(&mut self) -> bool {
        let longer = self.ring.length() + 1;
        if longer > Seed::MAX_LENGTH {
            return false;
        }
        self.ring = Ring::new(longer, self.draw);
        self.walked = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::{Difficulty, space, verify};

    fn difficulty(nibbles: u8) -> Difficulty {
        Difficulty::new(nibbles).expect("0 to 64")
    }

    fn run(search: &mut Search, message: &[u8], nibbles: u8, budget: u64) -> (Solution, Tally) {
        let mut template = Template::with_capacity(message.len());
        let mut tally = Tally::default();
        let job = Job {
            message,
            difficulty: difficulty(nibbles),
        };
        loop {
            match search.advance(&Kernel::PORTABLE, &mut template, job, budget, &mut tally) {
                Progress::Found(solution) => return (solution, tally),
                Progress::Pending => {}
                Progress::Exhausted => panic!("62^16 seeds cannot be exhausted"),
            }
        }
    }

    /// The shortest length that has a solution, by trying every seed.
    fn shortest_by_brute_force(message: &[u8], nibbles: u8) -> usize {
        (1..=4)
            .find(|&length| {
                let mut seeds = (0..space(length)).map(|index| Seed::from_index(length, index));
                seeds.any(|seed| verify(seed, message, difficulty(nibbles)).is_some())
            })
            .expect("four characters suffice at difficulty 2")
    }

    #[test]
    fn a_length_is_left_only_when_it_is_proven_empty() {
        let mut lengths = [0usize; 5];
        for number in 0..400u64 {
            let message = format!("message {number}");
            let shortest = shortest_by_brute_force(message.as_bytes(), 2);
            let draw = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (solution, _) = run(&mut Search::new(1, draw), message.as_bytes(), 2, 1000);
            assert_eq!(solution.seed().as_bytes().len(), shortest, "{message}");
            lengths[shortest] += 1;
        }
        assert!(
            lengths[1] > 0 && lengths[2] > 0,
            "both cases were seen: {lengths:?}"
        );
    }

    #[test]
    fn the_budget_changes_nothing_but_the_pauses() {
        for draw in [0, 99, u64::MAX] {
            let whole = run(&mut Search::new(5, draw), b"hello", 3, u64::MAX);
            for budget in [1, 7, 63, 1000] {
                assert_eq!(
                    run(&mut Search::new(5, draw), b"hello", 3, budget),
                    whole,
                    "{budget}"
                );
            }
        }
    }

    #[test]
    fn the_lowest_step_wins() {
        let search = Search::new(3, 4242);
        let (ring, _) = search.position();
        let first = (0..ring.steps())
            .find_map(|step| verify(ring.seed(step), b"x", difficulty(2)))
            .expect("one in 256 of 238,328");
        assert_eq!(run(&mut search.clone(), b"x", 2, 100).0, first);
    }

    #[test]
    fn difficulty_zero_takes_the_place_drawn() {
        let (solution, tally) = run(&mut Search::new(5, 77), b"", 0, 1);
        assert_eq!(*solution.seed(), Ring::new(5, 77).seed(0));
        assert_eq!(tally.hashes, 1);
    }
}
