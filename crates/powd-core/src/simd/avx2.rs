//! AVX2: eight lanes, 16 registers, no rotation.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{Avx512Vl, Simd};

witness! {
    /// Proof that this CPU has AVX2.
    Avx2: "avx2"
}

impl From<Avx512Vl> for Avx2 {
    /// What proves AVX-512VL proves AVX2 too.
    #[inline(always)]
    fn from(_: Avx512Vl) -> Avx2 {
        Avx2(())
    }
}

impl Avx2 {
    /// The words of `a` and `b` in turn: those of the lanes 0, 1, 4, 5 (`half` 0), or of 2, 3, 6, 7
    /// (1).
    #[inline(always)]
    pub(crate) fn interleave(self, a: __m256i, b: __m256i, half: usize) -> __m256i {
        match half {
            0 => intrinsic!(self, _mm256_unpacklo_epi32(a, b)),
            _ => intrinsic!(self, _mm256_unpackhi_epi32(a, b)),
        }
    }
}

impl Simd for Avx2 {
    type Words = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        intrinsic!(self, _mm256_set1_epi32(word as i32))
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> __m256i {
        let halves = halves[..8].as_ptr().cast();
        // SAFETY: `self` is a witness: this CPU has AVX2, and with it SSE2. The slice has eight
        // halves of 16 bits to read; no alignment is asked for.
        let halves = unsafe { _mm_loadu_si128(halves) };
        let words = intrinsic!(self, _mm256_cvtepu16_epi32(halves));
        let upper = intrinsic!(self, _mm256_slli_epi32::<16>(words));
        let lower = self.splat(lower);
        intrinsic!(self, _mm256_or_si256(upper, lower))
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        intrinsic!(self, _mm256_add_epi32(a, b))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, x: __m256i) -> __m256i {
        // The count is a constant: this becomes a shift by an immediate.
        let count = intrinsic!(self, _mm_cvtsi32_si128(32 - N));
        let wrapped = intrinsic!(self, _mm256_sll_epi32(x, count));
        let shifted = self.shr::<N>(x);
        intrinsic!(self, _mm256_or_si256(shifted, wrapped))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: __m256i) -> __m256i {
        intrinsic!(self, _mm256_srli_epi32::<N>(x))
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        let ab = intrinsic!(self, _mm256_xor_si256(a, b));
        intrinsic!(self, _mm256_xor_si256(ab, c))
    }

    #[inline(always)]
    fn ch(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        let differ = intrinsic!(self, _mm256_xor_si256(y, z));
        let chosen = intrinsic!(self, _mm256_and_si256(x, differ));
        intrinsic!(self, _mm256_xor_si256(z, chosen))
    }

    #[inline(always)]
    fn maj(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        let outvoted = intrinsic!(self, _mm256_xor_si256(x, y));
        let differ = intrinsic!(self, _mm256_xor_si256(y, z));
        let changed = intrinsic!(self, _mm256_and_si256(outvoted, differ));
        intrinsic!(self, _mm256_xor_si256(y, changed))
    }

    #[inline(always)]
    fn pin(self, x: __m256i) -> __m256i {
        // SAFETY: `self` is a witness: this CPU has AVX2, and with it AVX.
        unsafe { pin(x) }
    }

    #[inline(always)]
    fn lanes_at_most(self, x: __m256i, bound: u32) -> u32 {
        // There is no unsigned comparison, but an unsigned minimum.
        let bound = self.splat(bound);
        let low = intrinsic!(self, _mm256_min_epu32(x, bound));
        let equal = intrinsic!(self, _mm256_cmpeq_epi32(low, x));
        let equal = intrinsic!(self, _mm256_castsi256_ps(equal));
        intrinsic!(self, _mm256_movemask_ps(equal)) as u32
    }
}

#[inline]
#[target_feature(enable = "avx")]
fn pin(mut x: __m256i) -> __m256i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}
