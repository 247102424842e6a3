//! What kernels are measured against: the plain `sha2` crate, used as a careful user of it would.
//!
//! The padded blocks lie ready. Each seed is put into the first one, the crate's block function
//! runs over all of them, and the first word is looked at.

use std::time::{Duration, Instant};

use powd_core::unstable::{ALPHABET, INITIAL_STATE};
use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

/// Characters of a seed, as a kernel has them in the same row.
const SEED: usize = 5;

/// Hashes per second of the `sha2` crate on one thread, at the work that
/// [`measure`](powd_core::unstable::measure) gives a kernel.
pub(super) fn measure(message_bytes: usize, duration: Duration) -> f64 {
    let mut blocks: Vec<_> = padded(&vec![b'x'; SEED + message_bytes])
        .chunks_exact(64)
        .map(|block| *GenericArray::from_slice(block))
        .collect();

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

/// `text` with its padding (FIPS 180-4, section 5.1.1).
fn padded(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.push(0x80);
    bytes.resize((bytes.len() + 8).next_multiple_of(64) - 8, 0);
    bytes.extend((text.len() as u64 * 8).to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_blocks_hash_to_the_digest_of_the_text() {
        for length in 0..200 {
            let text = vec![b't'; length];
            let mut state = INITIAL_STATE;
            for block in padded(&text).chunks_exact(64) {
                compress256(&mut state, &[*GenericArray::from_slice(block)]);
            }
            let digest: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(digest, Sha256::digest(&text).to_vec(), "{length} bytes");
        }
    }
}
