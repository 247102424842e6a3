//! A search by one thread, resumable after any number of hashes.

use std::num::NonZeroU64;

use super::probe::Probe;
use super::{Job, Progress, Ring, Searcher, Tally};
use crate::kernel::Scan;
use crate::pow::SeedLength;
use crate::sync::never;

/// A search by one thread, which can be put aside after any number of hashes and taken up again.
///
/// It is a place on the ring of seeds: at most 64 bytes, and no reference to the message, which its
/// owner keeps. To put it aside, keep it; to call it off, drop it.
///
/// ```
/// use std::num::NonZeroU64;
/// use std::time::{Duration, Instant};
///
/// use powd_core::{Difficulty, Job, Kernel, Progress, Search, Searcher, SeedLength, Tally};
///
/// let job = Job { message: b"hello", difficulty: Difficulty::of::<4>() };
/// let mut searcher = Searcher::new(Kernel::PORTABLE, job.message.len());
/// let mut search = Search::new(SeedLength::DEFAULT, 42);
/// let mut tally = Tally::default();
/// let slice = NonZeroU64::new(10_000).unwrap();
///
/// let deadline = Instant::now() + Duration::from_secs(60);
/// while Instant::now() < deadline {
///     if let Progress::Found(solution) = search.advance(&mut searcher, job, slice, &mut tally) {
///         println!("{} after {} hashes", solution.seed(), tally.hashes);
///         break;
///     }
/// }
/// # assert!(tally.hashes > 0);
/// ```
// Not `Copy`: a copy made unseen would leave the original where it was, as with an iterator.
#[derive(Clone, Debug)]
pub struct Search {
    ring: Ring,
    /// The steps from the start of the ring that were tried: empty, but for finds that were told.
    walked: u128,
    draw: u64,
}

impl Search {
    /// A search over all seeds of `length` characters, then over longer ones.
    ///
    /// `draw` says where it starts, any number from 0 to 2^64 - 1: searches with equal draws find
    /// equal seeds, and a fresh random number for each search makes the seeds differ.
    pub fn new(length: SeedLength, draw: u64) -> Search {
        Search {
            ring: Ring::new(length, draw),
            walked: 0,
            draw,
        }
    }

    /// Tries up to `budget` seeds, adds what that costs to `tally`, and says how far it came.
    ///
    /// `job` must be the same at each call: the search does not keep it, because its owner has it
    /// anyway. With another job the search goes on from the same place, and leaves out the seeds
    /// before. The searcher may be another one each time. After a find, the next call goes on
    /// behind it, to another solution.
    // Inlined for the reason given at `Probe::scan`.
    #[inline(always)]
    pub fn advance<S: Scan>(
        &mut self,
        searcher: &mut Searcher<S>,
        job: Job<'_>,
        budget: NonZeroU64,
        tally: &mut Tally,
    ) -> Progress {
        let mut left = u128::from(budget.get());
        while left > 0 {
            if self.walked == self.ring.steps() && !self.lengthen() {
                return Progress::Exhausted;
            }
            let end = self.ring.steps().min(self.walked + left);
            let steps = self.walked..end;
            let before = tally.hashes;
            let mut probe = Probe::new(searcher, job, &self.ring);
            if let Some(solution) = probe.scan(steps, never(), tally) {
                self.walked += u128::from(tally.hashes - before);
                return Progress::Found(solution);
            }
            left -= end - self.walked;
            self.walked = end;
        }
        Progress::Pending
    }

    /// Goes on to seeds of one character more. `false`: there are none.
    fn lengthen(&mut self) -> bool {
        let Some(longer) = self.ring.length().longer() else {
            return false;
        };
        self.ring = Ring::new(longer, self.draw);
        self.walked = 0;
        true
    }
}

/// What is needed to open a search to several threads, and to take it up again.
#[cfg(any(feature = "unstable", test))]
impl Search {
    /// The ring that the search is on, and how many of its steps were tried.
    pub fn position(&self) -> (Ring, u128) {
        (self.ring, self.walked)
    }

    /// Moves the search to step `walked` of its ring: the steps before were proven empty elsewhere.
    pub fn skip_to(&mut self, walked: u128) {
        self.walked = walked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::pow::{Difficulty, Seed, Solution, verify};

    fn difficulty(nibbles: u8) -> Difficulty {
        Difficulty::new(nibbles).expect("0 to 64")
    }

    fn run(search: &mut Search, message: &[u8], nibbles: u8, budget: u64) -> (Solution, Tally) {
        let mut searcher = Searcher::new(Kernel::PORTABLE, message.len());
        let mut tally = Tally::default();
        let job = Job {
            message,
            difficulty: difficulty(nibbles),
        };
        let budget = NonZeroU64::new(budget).expect("some");
        loop {
            match search.advance(&mut searcher, job, budget, &mut tally) {
                Progress::Found(solution) => return (solution, tally),
                Progress::Pending => {}
                Progress::Stalled => panic!("there is no other thread"),
                Progress::Exhausted => panic!("62^16 seeds cannot be exhausted"),
            }
        }
    }

    /// The shortest length that has a solution, by trying every seed.
    fn shortest_by_brute_force(message: &[u8], nibbles: u8) -> SeedLength {
        (1..=4)
            .map(|characters| SeedLength::new(characters).expect("1 to 16"))
            .find(|&length| {
                let mut seeds = (0..length.space()).map(|index| Seed::from_index(length, index));
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
            let (solution, _) = run(
                &mut Search::new(SeedLength::MIN, draw),
                message.as_bytes(),
                2,
                1000,
            );
            assert_eq!(solution.seed().length(), shortest, "{message}");
            lengths[shortest.bytes()] += 1;
        }
        assert!(
            lengths[1] > 0 && lengths[2] > 0,
            "both cases were seen: {lengths:?}"
        );
    }

    #[test]
    fn the_budget_changes_nothing_but_the_pauses() {
        for draw in [0, 99, u64::MAX] {
            let whole = run(
                &mut Search::new(SeedLength::DEFAULT, draw),
                b"hello",
                3,
                u64::MAX,
            );
            for budget in [1, 7, 63, 1000] {
                assert_eq!(
                    run(
                        &mut Search::new(SeedLength::DEFAULT, draw),
                        b"hello",
                        3,
                        budget
                    ),
                    whole,
                    "{budget}"
                );
            }
        }
    }

    #[test]
    fn the_lowest_step_wins() {
        let search = Search::new(SeedLength::of::<3>(), 4242);
        let (ring, _) = search.position();
        let first = (0..ring.steps())
            .find_map(|step| verify(ring.seed(step), b"x", difficulty(2)))
            .expect("one in 256 of 238,328");
        assert_eq!(run(&mut search.clone(), b"x", 2, 100).0, first);
    }

    #[test]
    fn a_find_is_followed_by_the_next_one() {
        let (message, two) = (b"x", SeedLength::of::<2>());
        for draw in [0, u64::MAX / 3, u64::MAX] {
            let ring = Ring::new(two, draw);
            let solutions: Vec<Solution> = (0..ring.steps())
                .filter_map(|step| verify(ring.seed(step), message, difficulty(1)))
                .collect();
            assert!(solutions.len() > 100, "one in sixteen of 3844");
            for budget in [1, 7, u64::MAX] {
                let mut search = Search::new(two, draw);
                let mut hashes = 0;
                for expected in &solutions {
                    let (solution, tally) = run(&mut search, message, 1, budget);
                    assert_eq!(solution, *expected);
                    hashes += tally.hashes;
                }
                // Each seed up to the last find was tried once; behind it come longer ones.
                let (_, walked) = search.position();
                assert_eq!(u128::from(hashes), walked);
                let (solution, _) = run(&mut search, message, 1, budget);
                assert_eq!(solution.seed().length(), SeedLength::of::<3>());
            }
        }
    }

    #[test]
    fn a_searcher_may_go_back_and_forth_between_searches() {
        let mut searcher = Searcher::new(Kernel::PORTABLE, 0);
        let budget = NonZeroU64::new(50).expect("some");
        let messages = [b"one".to_vec(), vec![b'2'; 100], b"two".to_vec()];
        let mut searches: Vec<_> = messages
            .iter()
            .map(|message| (message, Search::new(SeedLength::DEFAULT, 9)))
            .collect();
        while !searches.is_empty() {
            searches.retain_mut(|(message, search)| {
                let job = Job {
                    message,
                    difficulty: difficulty(3),
                };
                let progress = search.advance(&mut searcher, job, budget, &mut Tally::default());
                let Progress::Found(solution) = progress else {
                    return true;
                };
                let alone = run(&mut Search::new(SeedLength::DEFAULT, 9), message, 3, 50);
                assert_eq!(solution, alone.0);
                false
            });
        }
    }

    #[test]
    fn a_search_is_small() {
        // Less where numbers of 128 bits need not lie at multiples of 16.
        assert!(size_of::<Search>() <= 64);
    }

    #[test]
    fn difficulty_zero_takes_the_place_drawn() {
        let (solution, tally) = run(&mut Search::new(SeedLength::DEFAULT, 77), b"", 0, 1);
        assert_eq!(solution.seed(), Ring::new(SeedLength::DEFAULT, 77).seed(0));
        assert_eq!(tally.hashes, 1);
    }

    #[test]
    fn difficulty_zero_lays_nothing_out() {
        let job = Job {
            message: &[0; 8192],
            difficulty: Difficulty::NONE,
        };
        let mut searcher = Searcher::new(Kernel::PORTABLE, 0);
        let mut search = Search::new(SeedLength::DEFAULT, 0);
        let mut tally = Tally::default();
        let progress = search.advance(&mut searcher, job, NonZeroU64::MIN, &mut tally);
        assert!(matches!(progress, Progress::Found(_)));
        assert_eq!(searcher.template.blocks(), 1);
    }
}
