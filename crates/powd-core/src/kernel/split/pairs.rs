//! `W + K` of eight messages, in pairs as two rounds take them, in the order in which they are
//! made.

use std::arch::x86_64::{__m128i, __m256i};
use std::mem::MaybeUninit;

use super::{MESSAGES, ROUND_PAIRS};

/// The schedule words of a block of eight messages, in pairs: one for each pair of rounds.
///
/// # Safety
///
/// At each of the `OFFSETS`, but for those that are `usize::MAX`, eight bytes lie within the value.
pub(in crate::kernel) unsafe trait WordPairs {
    /// Whether they are the same for all messages.
    const ALIKE: bool;
    /// Where the pairs of each message are, in bytes from the start; `usize::MAX` for one that is
    /// not there.
    const OFFSETS: [[usize; ROUND_PAIRS]; MESSAGES];
}

/// The words of all messages, where they do not differ. Pairs behind the last word are not there.
// SAFETY: a pair is two words, and there are offsets for the pairs of whole words only.
unsafe impl<const WORDS: usize> WordPairs for [u32; WORDS] {
    const ALIKE: bool = true;
    const OFFSETS: [[usize; ROUND_PAIRS]; MESSAGES] = {
        let mut offsets = [[usize::MAX; ROUND_PAIRS]; MESSAGES];
        let mut i = 0;
        while i < MESSAGES * (WORDS / 2) {
            offsets[i % MESSAGES][i / MESSAGES] = 8 * (i / MESSAGES);
            i += 1;
        }
        offsets
    };
}

/// Made in lanes, one pair of all messages at a time: a cache line for each.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct LanePairs([[MaybeUninit<__m256i>; 2]; ROUND_PAIRS]);

impl LanePairs {
    /// Memory without content.
    #[inline(always)]
    pub(super) fn unset() -> LanePairs {
        LanePairs([[MaybeUninit::uninit(); 2]; ROUND_PAIRS])
    }

    /// Fills half of a line, as [`Avx2::interleave`](crate::simd::Avx2::interleave) makes it.
    #[inline(always)]
    pub(super) fn set(&mut self, pair: usize, half: usize, words: __m256i) {
        self.0[pair][half] = MaybeUninit::new(words);
    }
}

// SAFETY: 32 lines of 64 bytes, in each of which the offsets of eight messages are 0 to 56.
unsafe impl WordPairs for LanePairs {
    const ALIKE: bool = false;
    const OFFSETS: [[usize; ROUND_PAIRS]; MESSAGES] = {
        let in_line = [0, 8, 32, 40, 16, 24, 48, 56];
        let mut offsets = [[0; ROUND_PAIRS]; MESSAGES];
        let mut i = 0;
        while i < MESSAGES * ROUND_PAIRS {
            offsets[i % MESSAGES][i / MESSAGES] = 64 * (i / MESSAGES) + in_line[i % MESSAGES];
            i += 1;
        }
        offsets
    };
}

/// Made by SHA-NI, two pairs of one message at a time: a quad of words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct QuadPairs([[MaybeUninit<__m128i>; ROUND_PAIRS / 2]; MESSAGES]);

impl QuadPairs {
    /// Memory without content.
    #[inline(always)]
    pub(super) fn unset() -> QuadPairs {
        QuadPairs([[MaybeUninit::uninit(); ROUND_PAIRS / 2]; MESSAGES])
    }

    /// Sets the pairs `2 * quad` and `2 * quad + 1` of a message.
    #[inline(always)]
    pub(super) fn set(&mut self, message: usize, quad: usize, words: __m128i) {
        self.0[message][quad] = MaybeUninit::new(words);
    }
}

// SAFETY: 256 bytes for each of eight messages, 32 pairs of 8 bytes.
unsafe impl WordPairs for QuadPairs {
    const ALIKE: bool = false;
    const OFFSETS: [[usize; ROUND_PAIRS]; MESSAGES] = {
        let mut offsets = [[0; ROUND_PAIRS]; MESSAGES];
        let mut i = 0;
        while i < MESSAGES * ROUND_PAIRS {
            offsets[i % MESSAGES][i / MESSAGES] = 256 * (i % MESSAGES) + 8 * (i / MESSAGES);
            i += 1;
        }
        offsets
    };
}
