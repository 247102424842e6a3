//! What kernels are measured against: the plain `sha2` crate, used as a careful user of it would.
//!
//! The padded blocks lie ready, each seed is put into the first one, the crate's block function runs over all
//! of them, and the first word is looked at.

use std::time::{Duration, Instant};

use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

use crate::pow::{ALPHABET, SeedLength};
use crate::sha256::{INITIAL_STATE, Template};

/// Hashes per second of the `sha2` crate on one thread, at the work that [`measure`](super::measure())
/// gives a kernel.
pub fn measure_sha2(message_bytes: usize, duration: Duration) -> f64 {
    let mut template = Template::with_capacity(message_bytes);
    template.load(SeedLength::DEFAULT, &vec![b'x'; message_bytes]);
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
