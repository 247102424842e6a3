//! How fast a kernel is, on this CPU, now: for `auto`, for `powd speed`, and for whoever sizes slices.

use std::time::{Duration, Instant};

use super::{Kernel, Scan};
use crate::pow::{ALPHABET, Difficulty, space};
use crate::sha256::Template;

/// What each kernel gets at a time when the fastest one is chosen, and how often.
const CHOICE_ROUND: Duration = Duration::from_millis(1);
const CHOICE_ROUNDS: usize = 3;
/// Short messages are the common case, and the one where kernels differ.
const CHOICE_MESSAGE_BYTES: usize = 20;

impl Kernel {
    /// Every kernel that this CPU has with its hashes per second, the fastest first, by some milliseconds of
    /// scanning with each. The best of several rounds counts: what disturbs a measurement only ever slows it.
    pub fn by_hash_rate() -> Vec<(Kernel, f64)> {
        let mut kernels: Vec<(Kernel, f64)> =
            Kernel::available().map(|kernel| (kernel, 0.0)).collect();
        for _ in 0..CHOICE_ROUNDS {
            for (kernel, best) in &mut kernels {
                *best = best.max(measure(kernel, CHOICE_MESSAGE_BYTES, CHOICE_ROUND));
            }
        }
        kernels.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        kernels
    }
}

/// Hashes per second of `kernel` on one thread: scans all heads of five-character seeds in front of a
/// message of `message_bytes`, without a find, for at least `duration`.
pub fn measure(kernel: &impl Scan, message_bytes: usize, duration: Duration) -> f64 {
    let message: Vec<u8> = (b' '..=b'~').cycle().take(message_bytes).collect();
    let mut template = Template::with_capacity(message_bytes);
    template.load(5, &message);
    // Long enough for the clock to cost nothing, short enough to end in time.
    let slice = (8192 / template.blocks() as u32).max(64);
    let heads = space(Template::MAX_HEAD_LENGTH) as u32;

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
    use super::*;

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
}
