//! SHA-NI: two rounds, or a part of the message schedule, in one instruction.

use std::arch::asm;
use std::arch::x86_64::*;

witness! {
    /// Proof that this CPU has the SHA extensions, and AVX: for the encodings of 128 bits with
    /// three operands, which assembly beside these instructions uses. The few small processors with
    /// SHA and without AVX have the portable kernel, and with it these instructions.
    ShaNi: "sha", "avx"
}

/// The state of one message in the order of the instruction, its words from the most significant
/// down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The words `a`, `b`, `e`, `f`.
    pub(crate) abef: __m128i,
    /// The words `c`, `d`, `g`, `h`.
    pub(crate) cdgh: __m128i,
}

impl ShaNi {
    /// Four words, the first one least significant.
    #[inline(always)]
    pub(crate) fn words(self, [a, b, c, d]: [u32; 4]) -> __m128i {
        intrinsic!(self, _mm_setr_epi32(a as i32, b as i32, c as i32, d as i32))
    }

    /// One word, and zeros behind it.
    #[inline(always)]
    pub(crate) fn word(self, word: u32) -> __m128i {
        intrinsic!(self, _mm_cvtsi32_si128(word as i32))
    }

    /// The first word in the last place, and zeros before it.
    #[inline(always)]
    pub(crate) fn first_as_last(self, x: __m128i) -> __m128i {
        intrinsic!(self, _mm_slli_si128::<12>(x))
    }

    /// A state from its eight words `a` to `h`.
    #[inline(always)]
    pub(crate) fn state(self, [a, b, c, d, e, f, g, h]: [u32; 8]) -> State {
        State {
            abef: self.words([f, e, b, a]),
            cdgh: self.words([h, g, d, c]),
        }
    }

    /// Word-wise addition.
    #[inline(always)]
    pub(crate) fn add(self, x: __m128i, y: __m128i) -> __m128i {
        intrinsic!(self, _mm_add_epi32(x, y))
    }

    /// Word-wise addition of two states.
    #[inline(always)]
    pub(crate) fn add_states(self, x: State, y: State) -> State {
        State {
            abef: self.add(x.abef, y.abef),
            cdgh: self.add(x.cdgh, y.cdgh),
        }
    }

    /// The first part of four schedule words: `W[t-16] + small_sigma0(W[t-15])`, from the four
    /// words at `t - 16` and those behind them.
    #[inline(always)]
    pub(crate) fn schedule_early(self, back16: __m128i, back12: __m128i) -> __m128i {
        intrinsic!(self, _mm_sha256msg1_epu32(back16, back12))
    }

    /// The words `W[t-7]` to `W[t-4]`, from those at `t - 8` and those behind them.
    #[inline(always)]
    pub(crate) fn schedule_back7(self, back8: __m128i, back4: __m128i) -> __m128i {
        // SAFETY: `self` is a witness: this CPU has AVX.
        unsafe { align_by_a_word(back8, back4) }
    }

    /// Four schedule words: adds `small_sigma1` of what stands two before each.
    #[inline(always)]
    pub(crate) fn schedule_finish(self, sum: __m128i, back4: __m128i) -> __m128i {
        intrinsic!(self, _mm_sha256msg2_epu32(sum, back4))
    }

    /// The same value, but computed here: an empty piece of assembly, which the compiler does not
    /// move past others, so that independent computations stay interleaved as they were written.
    #[inline(always)]
    pub(crate) fn pin(self, x: __m128i) -> __m128i {
        // SAFETY: `self` is a witness: this CPU has AVX.
        unsafe { pin(x) }
    }

    /// Which of four states have a word `a` that is at most `bound` after `add` is added to it, the
    /// first one in bit 0.
    #[inline(always)]
    pub(crate) fn first_words_at_most(self, [s, t, u, v]: [State; 4], add: u32, bound: u32) -> u32 {
        let st = intrinsic!(self, _mm_unpackhi_epi32(s.abef, t.abef));
        let uv = intrinsic!(self, _mm_unpackhi_epi32(u.abef, v.abef));
        let first = self.add(
            intrinsic!(self, _mm_unpackhi_epi64(st, uv)),
            self.words([add; 4]),
        );
        // There is no unsigned comparison, but an unsigned minimum.
        let low = intrinsic!(self, _mm_min_epu32(first, self.words([bound; 4])));
        let equal = intrinsic!(self, _mm_cmpeq_epi32(low, first));
        let equal = intrinsic!(self, _mm_castsi128_ps(equal));
        intrinsic!(self, _mm_movemask_ps(equal)) as u32
    }
}

#[inline]
#[target_feature(enable = "avx")]
fn pin(mut x: __m128i) -> __m128i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(xmm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

/// The last three words of one quad and the first of the next. Not by the intrinsic: the compiler
/// makes a blend and a shuffle of it, where one instruction does.
#[inline]
#[target_feature(enable = "avx")]
fn align_by_a_word(x: __m128i, next: __m128i) -> __m128i {
    let aligned;
    // SAFETY: the instruction is AVX's, which this function is declared to need; it touches
    // registers only.
    unsafe {
        asm!(
            "vpalignr {aligned}, {next}, {x}, 4",
            aligned = lateout(xmm_reg) aligned,
            next = in(xmm_reg) next,
            x = in(xmm_reg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    aligned
}
