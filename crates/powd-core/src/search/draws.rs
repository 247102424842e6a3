//! Where searches start: one generator per searching thread.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws the place on the ring at which a search starts.
///
/// So equal requests get different seeds. The place is no secret, so a fast generator will do.
#[derive(Debug)]
pub struct Draws(Xoshiro256PlusPlus);

impl Draws {
    /// The draws of thread number `thread` in a run with seed `run`. They are the same in every
    /// such run.
    pub fn reproducible(run: u64, thread: usize) -> Draws {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(run);
        // The threads start 2^128 draws apart, so no two of them ever draw the same sequence.
        for _ in 0..thread {
            generator.jump();
        }
        Draws(generator)
    }

    /// The next draw, uniform over all 64-bit numbers.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_can_be_repeated_and_its_threads_differ() {
        let three = |run, thread| {
            let mut draws = Draws::reproducible(run, thread);
            [draws.draw(), draws.draw(), draws.draw()]
        };
        assert_eq!(three(7, 0), three(7, 0));
        assert_eq!(three(7, 3), three(7, 3));
        assert_ne!(three(7, 0), three(7, 1));
        assert_ne!(three(7, 0), three(8, 0));
    }
}
