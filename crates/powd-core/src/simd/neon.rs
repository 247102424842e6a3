//! NEON: four lanes, 32 registers, no rotation.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{ArmSha, Simd};

witness! {
    /// Proof that this CPU has NEON, which Arm calls Advanced SIMD.
    Neon: "neon"
}

impl From<ArmSha> for Neon {
    /// What proves SHA2 proves NEON too.
    #[inline(always)]
    fn from(_: ArmSha) -> Neon {
        Neon(())
    }
}

impl Simd for Neon {
    type Words = uint32x4_t;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, word: u32) -> uint32x4_t {
        intrinsic!(self, vdupq_n_u32(word))
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> uint32x4_t {
        let halves = halves[..4].as_ptr();
        // SAFETY: `self` is a witness: this CPU has NEON. The slice has four halves of 16 bits to
        // read.
        let halves = unsafe { vld1_u16(halves) };
        let upper = intrinsic!(self, vshll_n_u16::<16>(halves));
        let lower = self.splat(lower);
        intrinsic!(self, vorrq_u32(upper, lower))
    }

    #[inline(always)]
    fn add(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, vaddq_u32(a, b))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, x: uint32x4_t) -> uint32x4_t {
        // The count is a constant: this becomes a shift by an immediate.
        let count = intrinsic!(self, vdupq_n_s32(32 - N));
        let wrapped = intrinsic!(self, vshlq_u32(x, count));
        intrinsic!(self, vsriq_n_u32::<N>(wrapped, x))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, vshrq_n_u32::<N>(x))
    }

    #[inline(always)]
    fn xor3(self, a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t {
        let ab = intrinsic!(self, veorq_u32(a, b));
        intrinsic!(self, veorq_u32(ab, c))
    }

    #[inline(always)]
    fn ch(self, x: uint32x4_t, y: uint32x4_t, z: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, vbslq_u32(x, y, z))
    }

    #[inline(always)]
    fn maj(self, x: uint32x4_t, y: uint32x4_t, z: uint32x4_t) -> uint32x4_t {
        // Where x and y differ z decides, elsewhere y.
        let differ = intrinsic!(self, veorq_u32(x, y));
        intrinsic!(self, vbslq_u32(differ, z, y))
    }

    #[inline(always)]
    fn pin(self, x: uint32x4_t) -> uint32x4_t {
        // SAFETY: `self` is a witness: this CPU has NEON.
        unsafe { pin(x) }
    }

    #[inline(always)]
    fn lanes_at_most(self, x: uint32x4_t, bound: u32) -> u32 {
        const BITS: [u32; 4] = [1, 2, 4, 8];
        let bound = self.splat(bound);
        let at_most = intrinsic!(self, vcleq_u32(x, bound));
        // SAFETY: `self` is a witness: this CPU has NEON. There are four words to read.
        let bits = unsafe { vld1q_u32(BITS.as_ptr()) };
        let bits = intrinsic!(self, vandq_u32(at_most, bits));
        intrinsic!(self, vaddvq_u32(bits))
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn pin(mut x: uint32x4_t) -> uint32x4_t {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0:v} */", inout(vreg) x, options(nomem, nostack, preserves_flags)) };
    x
}
