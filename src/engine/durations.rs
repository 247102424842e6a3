//! How long requests took, by difficulty: what a histogram of a metrics system is made of.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use powd_core::Difficulty;

/// The upper ends of the buckets, in microseconds: three for each power of ten, from 100 µs to 1000
/// s.
const BOUNDS: [u64; 22] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// One for each difficulty.
const ROWS: usize = Difficulty::MAX.nibbles() as usize + 1;

/// The durations of answered requests. Allocated whole when it is made: recording one is two
/// additions.
#[derive(Debug)]
pub struct Durations(Box<[Row; ROWS]>);

#[derive(Debug, Default)]
struct Row {
    nanoseconds: AtomicU64,
    /// By bucket; the last one is of those beyond all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
}

/// The durations of the requests of one difficulty, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// What they were asked for.
    pub difficulty: Difficulty,
    /// All their durations together.
    pub sum: Duration,
    /// How many there are in each bucket; the last one is of those beyond all bounds.
    pub counts: [u64; BOUNDS.len() + 1],
}

impl Histogram {
    /// The upper ends of the buckets but the last, in seconds.
    pub fn bounds() -> impl Iterator<Item = f64> {
        BOUNDS.iter().map(|&microseconds| microseconds as f64 / 1e6)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Default for Durations {
    fn default() -> Durations {
        Durations(Box::new(array::from_fn(|_| Row::default())))
    }
}

impl Durations {
    /// Counts a request, on the thread that alone writes to this.
    #[inline]
    pub fn record(&self, difficulty: Difficulty, time: Duration) {
        self.add(difficulty, time, |number, count| {
            // A locked addition would cost as much as a good part of an easy reply.
            number.store(number.load(Relaxed).wrapping_add(count), Relaxed);
        });
    }

    /// Counts a request, on any thread.
    pub fn record_shared(&self, difficulty: Difficulty, time: Duration) {
        self.add(difficulty, time, |number, count| {
            number.fetch_add(count, Relaxed);
        });
    }

    #[inline]
    fn add(&self, difficulty: Difficulty, time: Duration, add: impl Fn(&AtomicU64, u64)) {
        let row = &self.0[usize::from(difficulty.nibbles())];
        let nanoseconds = time.as_nanos() as u64;
        // From the front: the requests that are many are short.
        let bucket = BOUNDS
            .iter()
            .position(|&bound| nanoseconds <= bound * 1000)
            .unwrap_or(BOUNDS.len());
        add(&row.counts[bucket], 1);
        if nanoseconds > 0 {
            add(&row.nanoseconds, nanoseconds);
        }
    }

    /// Adds up the durations of several threads, for each difficulty that was asked for.
    pub fn histograms<'a>(
        sets: impl Iterator<Item = &'a Durations> + Clone,
    ) -> impl Iterator<Item = Histogram> {
        let difficulties =
            (0..=Difficulty::MAX.nibbles()).filter_map(|nibbles| Difficulty::new(nibbles).ok());
        difficulties
            .map(move |difficulty| {
                let rows = sets
                    .clone()
                    .map(|set| &set.0[usize::from(difficulty.nibbles())]);
                let nanoseconds = rows.clone().map(|row| row.nanoseconds.load(Relaxed)).sum();
                Histogram {
                    difficulty,
                    sum: Duration::from_nanos(nanoseconds),
                    counts: array::from_fn(|bucket| {
                        rows.clone()
                            .map(|row| row.counts[bucket].load(Relaxed))
                            .sum()
                    }),
                }
            })
            .filter(|histogram| histogram.count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let durations = [Durations::default(), Durations::default()];
        let (easy, hard) = (Difficulty::NONE, Difficulty::MAX);
        for micros in [0, 100, 101, 250] {
            durations[0].record(easy, Duration::from_micros(micros));
        }
        durations[1].record_shared(easy, Duration::from_secs(1001));
        durations[1].record_shared(hard, Duration::from_secs(1000));
        let histograms: Vec<_> = Durations::histograms(durations.iter()).collect();
        let [first, second] = &histograms[..] else {
            panic!("two difficulties: {histograms:?}");
        };
        assert_eq!((first.difficulty, first.count()), (easy, 5));
        assert_eq!(first.counts[..3], [2, 2, 0]);
        assert_eq!(first.counts[BOUNDS.len()], 1);
        assert_eq!(first.sum, Duration::from_micros(1_001_000_451));
        assert_eq!((second.difficulty, second.count()), (hard, 1));
        assert_eq!(second.counts[BOUNDS.len() - 1], 1);
        assert!(Histogram::bounds().is_sorted());
    }
}
