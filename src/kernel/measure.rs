//! How fast a kernel is, on this CPU, now: for `auto`, for `powd speed`, and for whoever sizes slices.

use std::time::{Duration, Instant};

use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

use super::{Kernel, Scan};
use crate::pow::{ALPHABET, Difficulty};
use crate::sha256::{INITIAL_STATE, Template};

/// What each kernel gets at a time when the fastest one is chosen, and how often.
const CHOICE_ROUND: Duration = Duration::from_millis(1);
const CHOICE_ROUNDS: usize = 3;
/// Short messages are the common case, and the one where kernels differ.
const CHOICE_MESSAGE_BYTES: usize = 20;

/// The kernel that a short measurement found fastest, and what it found.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The fastest.
    pub kernel: Kernel,
    /// Hashes per second of every kernel that this CPU has, fastest first.
    pub hash_rates: Vec<(Kernel, f64)>,
}

impl Kernel {
    /// The fastest kernel here and now, by some milliseconds of scanning with each. The best of several
    /// rounds counts: what disturbs a measurement only ever slows it.
    pub fn fastest() -> Choice {
        let mut hash_rates: Vec<(Kernel, f64)> =
            Kernel::available().map(|kernel| (kernel, 0.0)).collect();
        for _ in 0..CHOICE_ROUNDS {
            for (kernel, best) in &mut hash_rates {
                *best = best.max(measure(kernel, CHOICE_MESSAGE_BYTES, CHOICE_ROUND));
            }
        }
        hash_rates.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Choice {
            kernel: hash_rates[0].0,
            hash_rates,
        }
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
    let heads = 62u32.pow(4);

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

/// Hashes per second of the plain `sha2` crate on one thread doing the same: the yardstick. What a careful user
/// of the crate would write: the padded blocks lie ready, each seed is put into the first one, its block
/// function runs over all of them, and the first word is looked at.
pub fn measure_sha2(message_bytes: usize, duration: Duration) -> f64 {
    let mut template = Template::with_capacity(message_bytes);
    template.load(5, &vec![b'x'; message_bytes]);
    template.fix_tail(b"a");
    let first_block: Vec<u8> = template
        .words()
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    let mut blocks = vec![*GenericArray::from_slice(&first_block)];
    blocks.extend(
        template
            .later_blocks()
            .iter()
            .map(|block| *GenericArray::from_slice(block)),
    );

    let start = Instant::now();
    let mut hashes = 0u64;
    let mut smallest = u32::MAX;
    for third in ALPHABET.into_iter().cycle() {
        blocks[0][2] = third;
        for second in ALPHABET {
            blocks[0][1] = second;
            for first in ALPHABET {
                blocks[0][0] = first;
                let mut state = INITIAL_STATE;
                compress256(&mut state, &blocks);
                smallest = smallest.min(state[0]);
            }
            hashes += ALPHABET.len() as u64;
            let elapsed = start.elapsed();
            if elapsed >= duration {
                std::hint::black_box(smallest);
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
    fn the_choice_is_the_first_of_all_that_there_are() {
        let choice = Kernel::fastest();
        assert_eq!(choice.hash_rates.len(), Kernel::available().count());
        assert_eq!(choice.kernel, choice.hash_rates[0].0);
        assert!(choice.hash_rates.iter().all(|(_, rate)| *rate > 0.0));
        assert!(choice.hash_rates.is_sorted_by(|a, b| a.1 >= b.1));
    }

    #[test]
    fn long_messages_are_measured_too() {
        let rate = measure(&Kernel::PORTABLE, 8192, Duration::from_millis(1));
        assert!(rate > 0.0);
    }
}
