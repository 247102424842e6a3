//! How fast a kernel is, on this CPU, now: for `auto`, for `powd speed`, and for whoever sizes slices.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Kernel, Scan, whole_batches};
use crate::pow::{ALPHABET, Difficulty, SeedLength};
use crate::sha256::Template;

/// A short measurement: so much at a time, so often. The best round counts: what disturbs one only ever slows
/// it, by as much as the scheduler likes.
const ROUND: Duration = Duration::from_millis(1);
const ROUNDS: usize = 3;
/// Short messages are the common case, and the one where kernels differ.
const MESSAGE_BYTES: usize = 20;

impl Kernel {
    /// The fastest kernel that this CPU has. The first call in a process measures all of them, for some 20 ms in
    /// all; later calls cost nothing and agree with it.
    pub fn fastest() -> Kernel {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Kernel::by_hash_rate()[0].0)
    }

    /// Its hashes per second, by a short measurement.
    pub fn hash_rate(&self) -> f64 {
        hash_rates([*self])[0].1
    }

    /// Every kernel that this CPU has with its hashes per second, the fastest first, by a short measurement
    /// of each.
    pub fn by_hash_rate() -> Vec<(Kernel, f64)> {
        let mut kernels = hash_rates(Kernel::available());
        kernels.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        kernels
    }
}

/// The kernels take turns: a machine that changes its pace changes it for all.
fn hash_rates(kernels: impl IntoIterator<Item = Kernel>) -> Vec<(Kernel, f64)> {
    let mut kernels: Vec<_> = kernels.into_iter().map(|kernel| (kernel, 0.0)).collect();
    for _ in 0..ROUNDS {
        for (kernel, best) in &mut kernels {
            *best = measure(kernel, MESSAGE_BYTES, ROUND).max(*best);
        }
    }
    kernels
}

/// Hashes per second of `kernel` on one thread: scans all heads of five-character seeds in front of a
/// message of `message_bytes`, without a find, for at least `duration`.
pub fn measure(kernel: &impl Scan, message_bytes: usize, duration: Duration) -> f64 {
    let message: Vec<u8> = (b' '..=b'~').cycle().take(message_bytes).collect();
    let mut template = Template::with_capacity(message_bytes);
    template.load(SeedLength::DEFAULT, &message);
    // Long enough for the clock to cost nothing, short enough to end in time. No lane idles: slices of 130
    // heads, at 63 blocks, would show a kernel of 16 lanes a tenth too slow.
    let slice = whole_batches(8192 / template.blocks() as u64).get() as u32;
    let heads = Template::MAX_HEAD_LENGTH.space() as u32;

    let start = Instant::now();
    let mut hashes = 0u64;
    for character in ALPHABET.into_iter().cycle() {
        template.fix_tail(&[character]);
        for first in (0..heads).step_by(slice as usize) {
            let range = first..heads.min(first + slice);
            hashes += u64::from(range.end - range.start);
            std::hint::black_box(kernel.scan(&template, range, Difficulty::MAX));
            let elapsed = start.elapsed();
            if elapsed >= duration {
                return hashes as f64 / elapsed.as_secs_f64();
            }
        }
    }
    unreachable!("the alphabet goes round for ever")
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, OnceCell};

    use super::*;
    use crate::kernel::Heads;

    #[test]
    fn all_that_there_are_take_part_and_the_fastest_comes_first() {
        let kernels = Kernel::by_hash_rate();
        assert_eq!(kernels.len(), Kernel::available().count());
        assert!(kernels.iter().all(|(_, rate)| *rate > 0.0));
        assert!(kernels.is_sorted_by(|(_, a), (_, b)| a >= b));
    }

    #[test]
    fn long_messages_are_measured_too() {
        let rate = measure(&Kernel::PORTABLE, 8192, Duration::from_millis(1));
        assert!(rate > 0.0);
    }

    /// Counts the heads that it is asked to scan, and notes when.
    #[derive(Default)]
    struct Counter {
        counted: Cell<u64>,
        begun: OnceCell<Instant>,
        last: Cell<Option<Instant>>,
    }

    impl Scan for Counter {
        fn next_hit(&self, _: &Template, heads: &mut Heads<'_>, _: Difficulty) -> Option<u32> {
            let count = heads.left().len() as u64;
            assert_eq!(count, whole_batches(count).get(), "lanes idle");
            self.begun.get_or_init(Instant::now);
            self.counted.set(self.counted.get() + count);
            self.last.set(Some(Instant::now()));
            None
        }
    }

    #[test]
    fn a_rate_is_what_was_scanned_over_its_time_in_whole_batches() {
        for message_bytes in [0, 20, 100, 1000, 4018, 8192, 65_536] {
            let counter = Counter::default();
            let start = Instant::now();
            let rate = measure(&counter, message_bytes, Duration::from_micros(100));
            let longest = start.elapsed();
            let last = counter.last.get().expect("it scanned");
            let shortest = last - *counter.begun.get().expect("it scanned");
            // The time that counts lies between that of all scans and that of the call.
            let counted = counter.counted.get() as f64;
            assert!(rate >= counted / longest.as_secs_f64());
            assert!(rate <= counted / shortest.as_secs_f64());
        }
    }
}
