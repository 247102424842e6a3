//! Which kernel is the fastest here: for `auto`, and for whoever asked for another one.
//!
//! All kernels take turns, round after round, each turn so short that few are interrupted. The
//! kernel that is usually the fastest is only left for one that is clearly faster in most rounds:
//! on a busy machine single measurements differ by a third, and what is chosen at a start lasts
//! until the next.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::measure::Scanner;
use super::{Kernel, whole_batches};

/// Turns of each kernel.
const ROUNDS: usize = 16;
/// From then on those that reach less than half of the highest rate are left out: a kernel that is
/// hundreds of times too slow needs up to a millisecond for the shortest turn.
const TRIAL_ROUNDS: usize = 4;
/// Scans in a turn, of which the fastest counts. What interrupts a turn mostly falls into one of
/// them.
const SCANS: usize = 4;
/// The least time of a scan: long against the clock and what a scan costs beside its hashes; and a
/// turn is yet a fraction of the time that a scheduler gives at once.
const SCAN_TIME: Duration = Duration::from_micros(40);
/// Short messages are the common case, and the one where kernels differ.
const MESSAGE_BYTES: usize = 20;

/// Clearly faster is by so much, more than any two runs on a quiet machine differ ...
const MARGIN: f64 = 1.05;
/// ... in so many of the rounds.
const MOST: f64 = 0.75;

/// How fast the kernels of this CPU are beside each other, by a short measurement on one thread,
/// with messages of 20 bytes: one block each.
///
/// ```
/// use powd_core::Comparison;
///
/// let comparison = Comparison::measure();
/// for (kernel, rate) in comparison.by_hash_rate() {
///     println!("{kernel}: {:.1} million hashes per second", rate / 1e6);
/// }
/// println!("the fastest: {}", comparison.fastest());
/// ```
#[derive(Clone, Debug)]
pub struct Comparison {
    /// In the order in which they are usually fast.
    kernels: Vec<Kernel>,
    rates: Rates,
}

/// For each kernel, its hashes per second in every round in which it took part.
type Rates = Vec<Vec<f64>>;

impl Kernel {
    /// The fastest kernel that this CPU has. The first call in a process measures all of them, for
    /// some 20 ms in all; later calls cost nothing and agree with it.
    pub fn fastest() -> Kernel {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Comparison::measure().fastest())
    }
}

impl Comparison {
    /// Measures every kernel that this CPU has, for some 20 milliseconds in all.
    pub fn measure() -> Comparison {
        let kernels: Vec<Kernel> = Kernel::available().collect();
        let mut scanner = Scanner::new(MESSAGE_BYTES);
        let rates = take_turns(kernels.len(), |kernel| turn(&mut scanner, &kernels[kernel]));
        Comparison { kernels, rates }
    }

    /// The kernel that is usually the fastest, unless another one is clearly faster here.
    pub fn fastest(&self) -> Kernel {
        self.kernels[fastest(&self.rates)]
    }

    /// Whether `kernel` is clearly faster than `other`.
    pub fn is_clearly_faster(&self, kernel: Kernel, other: Kernel) -> bool {
        is_clearly_faster(self.rates_of(kernel), self.rates_of(other))
    }

    /// The hashes per second of a kernel. The best round counts: what disturbs one only ever slows
    /// it.
    pub fn hash_rate(&self, kernel: Kernel) -> f64 {
        highest(self.rates_of(kernel))
    }

    /// All kernels with their hashes per second, the fastest first.
    pub fn by_hash_rate(&self) -> Vec<(Kernel, f64)> {
        let rates = self.kernels.iter().zip(&self.rates);
        let mut rates: Vec<_> = rates
            .map(|(kernel, rates)| (*kernel, highest(rates)))
            .collect();
        rates.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        rates
    }

    fn rates_of(&self, kernel: Kernel) -> &[f64] {
        let place = self.kernels.iter().position(|&other| other == kernel);
        &self.rates[place.expect("every kernel that there is was measured")]
    }
}

/// The rates of so many kernels. `turn` measures the kernel with the number that it is given, once.
fn take_turns(kernels: usize, mut turn: impl FnMut(usize) -> f64) -> Rates {
    let mut rates = vec![Vec::with_capacity(ROUNDS); kernels];
    for round in 0..ROUNDS {
        let best = rates.iter().map(|rates| highest(rates)).fold(0.0, f64::max);
        for (kernel, rates) in rates.iter_mut().enumerate() {
            if round < TRIAL_ROUNDS || highest(rates) >= best / 2.0 {
                rates.push(turn(kernel));
            }
        }
    }
    rates
}

/// The number of the first kernel, or of the one that clearly beats it and those after it.
fn fastest(rates: &[Vec<f64>]) -> usize {
    let mut fastest = 0;
    for other in 1..rates.len() {
        if is_clearly_faster(&rates[other], &rates[fastest]) {
            fastest = other;
        }
    }
    fastest
}

/// By the [margin](MARGIN), in [most](MOST) of the rounds in which both took part, and by the best
/// round of each: beside busy programs the same one of two that are equally fast can be disturbed
/// in round after round, as happened in one of 200 starts.
fn is_clearly_faster(rates: &[f64], others: &[f64]) -> bool {
    let rounds = rates.len().min(others.len());
    let pairs = rates.iter().zip(others);
    let won = pairs.filter(|&(rate, other)| *rate > other * MARGIN);
    let wins_most = rounds > 0 && won.count() as f64 >= rounds as f64 * MOST;
    wins_most && highest(rates) > highest(others) * MARGIN
}

fn highest(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

/// Hashes per second of a kernel in one turn.
fn turn(scanner: &mut Scanner, kernel: &Kernel) -> f64 {
    // As many heads as it takes: the slowest kernels are through with the first few.
    let mut heads = whole_batches(1).get() as u32;
    let mut best = 0f64;
    let mut scans = 0;
    while scans < SCANS {
        let start = Instant::now();
        scanner.scan(kernel, heads);
        let elapsed = start.elapsed();
        if elapsed < SCAN_TIME {
            heads *= 2;
            continue;
        }
        best = best.max(f64::from(heads) / elapsed.as_secs_f64());
        scans += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The choice among kernels of these rates, each turn of which is slowed by what `disturbance`
    /// says of the number of the turn.
    fn choice<const KERNELS: usize>(
        rates: [f64; KERNELS],
        mut disturbance: impl FnMut(usize) -> f64,
    ) -> usize {
        let mut turns = 0;
        let rates = take_turns(KERNELS, |kernel| {
            turns += 1;
            rates[kernel] * disturbance(turns - 1)
        });
        fastest(&rates)
    }

    /// Every seventh turn is interrupted, all others are off by up to two per cent.
    fn busy(turn: usize) -> f64 {
        match turn % 7 {
            0 => 0.1,
            noise => 0.98 + 0.04 * noise as f64 / 6.0,
        }
    }

    #[test]
    fn the_fastest_is_chosen_wherever_it_stands() {
        for disturbance in [|_| 1.0, busy] {
            assert_eq!(choice([100.0, 80.0, 60.0], disturbance), 0);
            assert_eq!(choice([60.0, 80.0, 100.0], disturbance), 2);
            assert_eq!(choice([0.3, 0.3, 80.0, 55.0, 40.0], disturbance), 2);
        }
    }

    #[test]
    fn of_two_that_are_alike_the_usual_one_is_chosen() {
        assert_eq!(choice([100.0, 104.0], |_| 1.0), 0);
        assert_eq!(choice([100.0, 100.0, 100.0], busy), 0);
    }

    #[test]
    fn the_usual_one_loses_if_it_is_a_third_slower_whatever_disturbs() {
        assert_eq!(choice([67.0, 100.0], busy), 1);
        // A fifth of all turns at half speed, in runs.
        assert_eq!(
            choice([67.0, 100.0], |turn| if turn % 20 < 4 { 0.5 } else { 1.0 }),
            1
        );
    }

    #[test]
    fn what_is_hopeless_has_few_turns() {
        let rates = take_turns(3, |kernel| [0.3, 100.0, 60.0][kernel]);
        let rounds: Vec<usize> = rates.iter().map(Vec::len).collect();
        assert_eq!(rounds, [TRIAL_ROUNDS, ROUNDS, ROUNDS]);
    }

    #[test]
    fn all_that_there_are_take_part_and_the_fastest_comes_first() {
        let comparison = Comparison::measure();
        let kernels = comparison.by_hash_rate();
        assert_eq!(kernels.len(), Kernel::available().count());
        assert!(kernels.iter().all(|(_, rate)| *rate > 0.0));
        assert!(kernels.is_sorted_by(|(_, a), (_, b)| a >= b));
        let fastest = comparison.fastest();
        assert_eq!(
            comparison.hash_rate(fastest),
            highest(comparison.rates_of(fastest))
        );
        assert!(!comparison.is_clearly_faster(Kernel::PORTABLE, fastest));
    }
}
