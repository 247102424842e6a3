//! How long a loop takes, in cycles.

use std::time::{Duration, Instant};

use powd::cli::median;

use super::loops::{ADDITIONS, Loop, ROUNDS, additions};

/// How much time a measurement takes.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// So long at a time, at least.
    turn: Duration,
    /// So often; the median counts.
    turns: usize,
}

pub(crate) const MEASUREMENT: Effort = Effort {
    turn: Duration::from_micros(100),
    turns: 51,
};

/// Each loop once, to see that it works.
pub(crate) const TEST: Effort = Effort {
    turn: Duration::ZERO,
    turns: 1,
};

impl Effort {
    /// Cycles for each `sha256rnds2`, of every loop. They take turns: what disturbs the CPU for a
    /// while disturbs a few turns of all, not all turns of one.
    pub(crate) fn cycles(self, loops: &[Loop]) -> Vec<f64> {
        let passes = loops
            .iter()
            .map(|measured| self.passes(|passes| measured.run(passes)));
        let loops: Vec<_> = loops.iter().zip(passes).collect();
        let additions_passes = self.passes(additions);
        let mut cycles = vec![Vec::new(); loops.len()];
        for _ in 0..self.turns {
            for ((measured, passes), cycles) in loops.iter().zip(&mut cycles) {
                let rounds = seconds(|passes| measured.run(passes), *passes);
                let cycle = seconds(additions, additions_passes);
                let rounds = rounds / (passes * ROUNDS) as f64;
                cycles.push(rounds * (additions_passes * ADDITIONS) as f64 / cycle);
            }
        }
        cycles.into_iter().map(median).collect()
    }

    /// The clock of the CPU, now.
    pub(crate) fn clock_ghz(self) -> f64 {
        let passes = self.passes(additions);
        let turns = (0..self.turns).map(|_| seconds(additions, passes));
        (passes * ADDITIONS) as f64 / median(turns) / 1e9
    }

    /// How many passes fill a turn.
    fn passes(self, run: impl Fn(u64)) -> u64 {
        let mut passes = 1;
        while seconds(&run, passes) < self.turn.as_secs_f64() {
            passes *= 2;
        }
        passes
    }
}

fn seconds(run: impl Fn(u64), passes: u64) -> f64 {
    let start = Instant::now();
    run(passes);
    start.elapsed().as_secs_f64()
}
