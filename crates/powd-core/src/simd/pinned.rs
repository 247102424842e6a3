//! Vectors whose instructions stay where they were written.

use super::Simd;

/// The same vectors, each result [pinned](Simd::pin): the instructions keep the order in which they
/// are written, among pieces of assembly too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned<S>(pub(crate) S);

impl<S: Simd> Simd for Pinned<S> {
    type Words = S::Words;
    const LANES: usize = S::LANES;

    /// Not pinned: so it can be an operand in memory.
    #[inline(always)]
    fn splat(self, word: u32) -> S::Words {
        self.0.splat(word)
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> S::Words {
        self.0.pin(self.0.with_upper_halves(lower, halves))
    }

    #[inline(always)]
    fn add(self, a: S::Words, b: S::Words) -> S::Words {
        self.0.pin(self.0.add(a, b))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, x: S::Words) -> S::Words {
        self.0.pin(self.0.rotr::<N>(x))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: S::Words) -> S::Words {
        self.0.pin(self.0.shr::<N>(x))
    }

    #[inline(always)]
    fn xor3(self, a: S::Words, b: S::Words, c: S::Words) -> S::Words {
        self.0.pin(self.0.xor3(a, b, c))
    }

    #[inline(always)]
    fn ch(self, x: S::Words, y: S::Words, z: S::Words) -> S::Words {
        self.0.pin(self.0.ch(x, y, z))
    }

    #[inline(always)]
    fn maj(self, x: S::Words, y: S::Words, z: S::Words) -> S::Words {
        self.0.pin(self.0.maj(x, y, z))
    }

    #[inline(always)]
    fn pin(self, x: S::Words) -> S::Words {
        self.0.pin(x)
    }

    #[inline(always)]
    fn lanes_at_most(self, x: S::Words, bound: u32) -> u32 {
        self.0.lanes_at_most(x, bound)
    }
}
