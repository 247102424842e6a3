//! `W + K` of eight messages, in pairs as two rounds take them, in the order in which they are made.

use std::arch::x86_64::{__m128i, __m256i};
use std::mem::MaybeUninit;

/// The words of eight messages in pairs, as two rounds take them.
///
/// # Safety
///
/// At each of the `OFFSETS`, but for those that are `usize::MAX`, eight bytes lie within the value.
pub unsafe trait Pairs {
    /// Whether they are the same for all messages.
    const ALIKE: bool;
    /// Where the pairs of each message are, in bytes from the start.
    const OFFSETS: [[usize; 32]; 8];
}

/// The words of all messages, where they do not differ. Pairs behind the last word are not there.
// SAFETY: a pair is two words, and there are offsets for the pairs of whole words only.
unsafe impl<const WORDS: usize> Pairs for [u32; WORDS] {
    const ALIKE: bool = true;
    const OFFSETS: [[usize; 32]; 8] = {
        let mut offsets = [[usize::MAX; 32]; 8];
        let mut i = 0;
        while i < 8 * (WORDS / 2) {
            offsets[i % 8][i / 8] = 8 * (i / 8);
            i += 1;
        }
        offsets
    };
}

/// Made in lanes, one pair of all messages at a time: a cache line for each.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct LanePairs([[MaybeUninit<__m256i>; 2]; 32]);

impl LanePairs {
    /// Memory without content.
    #[inline(always)]
    pub fn unset() -> LanePairs {
        LanePairs([[MaybeUninit::uninit(); 2]; 32])
    }

    /// Fills half of a line, as [`Weave::pairs`](super::Weave::pairs) makes it.
    #[inline(always)]
    pub fn set(&mut self, pair: usize, half: usize, pairs: __m256i) {
        self.0[pair][half] = MaybeUninit::new(pairs);
    }
}

// SAFETY: 32 lines of 64 bytes, in each of which the offsets of eight messages are 0 to 56.
unsafe impl Pairs for LanePairs {
    const ALIKE: bool = false;
    const OFFSETS: [[usize; 32]; 8] = {
        let in_line = [0, 8, 32, 40, 16, 24, 48, 56];
        let mut offsets = [[0; 32]; 8];
        let mut i = 0;
        while i < 8 * 32 {
            offsets[i % 8][i / 8] = 64 * (i / 8) + in_line[i % 8];
            i += 1;
        }
        offsets
    };
}

/// Made by SHA-NI, two pairs of one message at a time: a quad of words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct QuadPairs([[MaybeUninit<__m128i>; 16]; 8]);

impl QuadPairs {
    /// Memory without content.
    #[inline(always)]
    pub fn unset() -> QuadPairs {
        QuadPairs([[MaybeUninit::uninit(); 16]; 8])
    }

    /// Sets the pairs `2 * quad` and `2 * quad + 1` of a message.
    #[inline(always)]
    pub fn set(&mut self, message: usize, quad: usize, words: __m128i) {
        self.0[message][quad] = MaybeUninit::new(words);
    }
}

// SAFETY: 256 bytes for each of eight messages, 32 pairs of 8 bytes.
unsafe impl Pairs for QuadPairs {
    const ALIKE: bool = false;
    const OFFSETS: [[usize; 32]; 8] = {
        let mut offsets = [[0; 32]; 8];
        let mut i = 0;
        while i < 8 * 32 {
            offsets[i % 8][i / 8] = 256 * (i % 8) + 8 * (i / 8);
            i += 1;
        }
        offsets
    };
}
