//! One message, one thread, one call.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU64;

use crate::kernel::{Kernel, Scan};
use crate::pow::{Difficulty, SeedLength, Solution};
use crate::search::{Job, Progress, Search, Searcher, Tally};

/// Finds a seed that makes `SHA-256(seed || message)` start with the zeros of `difficulty`, on this
/// thread.
///
/// It takes 16^N hashes on average: about a millisecond at difficulty 4, some seconds at 7, and
/// twelve minutes at 9 with the fastest kernel of a fast core. It returns only with a solution. To
/// stop early, or to use all cores, there are [`Search`](crate::Search) and `Solver`.
///
/// The seed has five characters, and more only when no seed of five is a solution. Where the search
/// starts is drawn anew for each call, so equal calls find different seeds. The first call in a
/// process takes some 20 ms longer: it [measures](Kernel::fastest) which kernel is the fastest
/// here.
///
/// The message is laid out as blocks, which takes about five bytes for each of its own, except at
/// difficulty 0.
///
/// ```
/// use powd_core::{Difficulty, solve};
///
/// let solution = solve(b"hello", Difficulty::of::<4>());
/// assert!(solution.digest().to_string().starts_with("0000"));
/// ```
///
/// # Panics
///
/// When all 62^16 seeds of the longest length were tried, which no hardware lives to see.
pub fn solve(message: &[u8], difficulty: Difficulty) -> Solution {
    let job = Job {
        message,
        difficulty,
    };
    // At difficulty 0 nothing is laid out.
    let room = match difficulty {
        Difficulty::NONE => 0,
        _ => message.len(),
    };
    let mut searcher = Searcher::new(Kernel::fastest(), room);
    let search = Search::new(SeedLength::DEFAULT, random_draw());
    let (solution, _) = finish(&mut searcher, search, job);
    solution
}

/// A search by one thread, to its end.
pub(crate) fn finish<S: Scan>(
    searcher: &mut Searcher<S>,
    mut search: Search,
    job: Job<'_>,
) -> (Solution, Tally) {
    let mut tally = Tally::default();
    loop {
        match search.advance(searcher, job, NonZeroU64::MAX, &mut tally) {
            Progress::Found(solution) => return (solution, tally),
            Progress::Pending => {}
            Progress::Stalled | Progress::Exhausted => panic!("{EXHAUSTED}"),
        }
    }
}

/// Why a search that nobody calls off is never without a solution.
pub(crate) const EXHAUSTED: &str = "62^16 seeds outlast any hardware";

/// A number that differs from call to call and from process to process.
///
/// The keys of the standard library's hash maps, which come from the operating system, are random
/// enough for a starting place, which is no secret. They cost no dependency.
pub(crate) fn random_draw() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::pow::verify;

    #[test]
    fn the_solution_is_one_at_every_easy_difficulty() {
        for nibbles in 0..=4 {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            for message in [&b""[..], b"hello", &[0xff; 200]] {
                let solution = solve(message, difficulty);
                let checked = verify(solution.seed(), message, difficulty);
                assert_eq!(checked, Some(solution));
                assert_eq!(solution.seed().length(), SeedLength::DEFAULT);
            }
        }
    }

    #[test]
    fn equal_calls_find_different_seeds() {
        let seeds: HashSet<_> = (0..100)
            .map(|_| solve(b"hello", Difficulty::NONE).seed())
            .collect();
        // 100 of 916 million: two are equal once in 185,000 runs, three never.
        assert!(seeds.len() >= 99);
    }
}
