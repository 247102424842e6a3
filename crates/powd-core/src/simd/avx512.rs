//! AVX-512: 32 registers, rotation, and any function of three bits in one instruction.
//!
//! Two witnesses: vectors of 512 bits need the foundation alone; those of 256 bits (the same
//! instructions at the narrower width) the VL extension.

use std::arch::asm;
use std::arch::x86_64::*;

use super::Simd;

witness! {
    /// Proof that this CPU has AVX-512F: vectors of 16 words.
    Avx512: "avx512f"
}

witness! {
    /// Proof that this CPU has AVX2, AVX-512F and AVX-512VL: vectors of 8 words.
    Avx512Vl: "avx2", "avx512f", "avx512vl"
}

/// Truth tables of three bits for `vpternlogd`: bit number xyz is the result for x, y, z.
const XOR3: i32 = 0b1001_0110;
const CH: i32 = 0b1100_1010;
const MAJ: i32 = 0b1110_1000;

impl Simd for Avx512 {
    type Words = __m512i;
    const LANES: usize = 16;

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        intrinsic!(self, _mm512_set1_epi32(word as i32))
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> __m512i {
        let halves = halves[..16].as_ptr().cast();
        // SAFETY: `self` is a witness: this CPU has AVX-512F, and with it AVX. The slice has 16
        // halves of 16 bits to read; no alignment is asked for.
        let halves = unsafe { _mm256_loadu_si256(halves) };
        let words = intrinsic!(self, _mm512_cvtepu16_epi32(halves));
        let upper = intrinsic!(self, _mm512_slli_epi32::<16>(words));
        let lower = self.splat(lower);
        intrinsic!(self, _mm512_or_si512(upper, lower))
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsic!(self, _mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, x: __m512i) -> __m512i {
        intrinsic!(self, _mm512_ror_epi32::<N>(x))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: __m512i) -> __m512i {
        // The count is a constant: this becomes a shift by an immediate. (The intrinsic for one
        // takes an unsigned constant here and a signed one in AVX2.)
        let count = intrinsic!(self, _mm_cvtsi32_si128(N));
        intrinsic!(self, _mm512_srl_epi32(x, count))
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        intrinsic!(self, _mm512_ternarylogic_epi32::<XOR3>(a, b, c))
    }

    #[inline(always)]
    fn ch(self, x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        intrinsic!(self, _mm512_ternarylogic_epi32::<CH>(x, y, z))
    }

    #[inline(always)]
    fn maj(self, x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        intrinsic!(self, _mm512_ternarylogic_epi32::<MAJ>(x, y, z))
    }

    #[inline(always)]
    fn pin(self, x: __m512i) -> __m512i {
        // SAFETY: `self` is a witness: this CPU has AVX-512F.
        unsafe { pin_512(x) }
    }

    #[inline(always)]
    fn lanes_at_most(self, x: __m512i, bound: u32) -> u32 {
        let bound = self.splat(bound);
        u32::from(intrinsic!(self, _mm512_cmple_epu32_mask(x, bound)))
    }
}

impl Simd for Avx512Vl {
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
        intrinsic!(self, _mm256_ror_epi32::<N>(x))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: __m256i) -> __m256i {
        intrinsic!(self, _mm256_srli_epi32::<N>(x))
    }

    /// By two instructions, kept apart, or the compiler makes one `vpternlogd` of them. Vectors of
    /// this width run beside the rounds of SHA-NI, and an instruction with three sources takes
    /// starts from these.
    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        let ab = self.pin(intrinsic!(self, _mm256_xor_si256(a, b)));
        intrinsic!(self, _mm256_xor_si256(ab, c))
    }

    #[inline(always)]
    fn ch(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        intrinsic!(self, _mm256_ternarylogic_epi32::<CH>(x, y, z))
    }

    #[inline(always)]
    fn maj(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        intrinsic!(self, _mm256_ternarylogic_epi32::<MAJ>(x, y, z))
    }

    #[inline(always)]
    fn pin(self, x: __m256i) -> __m256i {
        // SAFETY: `self` is a witness: this CPU has AVX-512F and AVX-512VL.
        unsafe { pin(x) }
    }

    #[inline(always)]
    fn lanes_at_most(self, x: __m256i, bound: u32) -> u32 {
        let bound = self.splat(bound);
        u32::from(intrinsic!(self, _mm256_cmple_epu32_mask(x, bound)))
    }
}

/// Any of the 32 registers: the class of the wider ones has no upper half forbidden, unlike
/// `ymm_reg`, whose 16 the SHA instructions need for themselves.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn pin(mut x: __m256i) -> __m256i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0:y} */", inout(zmm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pin_512(mut x: __m512i) -> __m512i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(zmm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}
