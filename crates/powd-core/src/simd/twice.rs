//! Two vectors in place of one.

use super::Simd;

/// Vectors of twice as many lanes: each operation is done on two vectors, one after the other. Two
/// computations that do not wait for each other fill units that one leaves idle; they take twice
/// the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twice<S>(pub(crate) S);

impl<S: Simd> Simd for Twice<S> {
    type Words = [S::Words; 2];
    const LANES: usize = 2 * S::LANES;

    #[inline(always)]
    fn splat(self, word: u32) -> Self::Words {
        [self.0.splat(word); 2]
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> Self::Words {
        let (first, second) = halves.split_at(S::LANES);
        [
            self.0.with_upper_halves(lower, first),
            self.0.with_upper_halves(lower, second),
        ]
    }

    #[inline(always)]
    fn add(self, [a0, a1]: Self::Words, [b0, b1]: Self::Words) -> Self::Words {
        [self.0.add(a0, b0), self.0.add(a1, b1)]
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, [x0, x1]: Self::Words) -> Self::Words {
        [self.0.rotr::<N>(x0), self.0.rotr::<N>(x1)]
    }

    #[inline(always)]
    fn shr<const N: i32>(self, [x0, x1]: Self::Words) -> Self::Words {
        [self.0.shr::<N>(x0), self.0.shr::<N>(x1)]
    }

    #[inline(always)]
    fn xor3(
        self,
        [a0, a1]: Self::Words,
        [b0, b1]: Self::Words,
        [c0, c1]: Self::Words,
    ) -> Self::Words {
        [self.0.xor3(a0, b0, c0), self.0.xor3(a1, b1, c1)]
    }

    #[inline(always)]
    fn ch(
        self,
        [x0, x1]: Self::Words,
        [y0, y1]: Self::Words,
        [z0, z1]: Self::Words,
    ) -> Self::Words {
        [self.0.ch(x0, y0, z0), self.0.ch(x1, y1, z1)]
    }

    #[inline(always)]
    fn maj(
        self,
        [x0, x1]: Self::Words,
        [y0, y1]: Self::Words,
        [z0, z1]: Self::Words,
    ) -> Self::Words {
        [self.0.maj(x0, y0, z0), self.0.maj(x1, y1, z1)]
    }

    #[inline(always)]
    fn pin(self, [x0, x1]: Self::Words) -> Self::Words {
        [self.0.pin(x0), self.0.pin(x1)]
    }

    #[inline(always)]
    fn lanes_at_most(self, [x0, x1]: Self::Words, bound: u32) -> u32 {
        self.0.lanes_at_most(x0, bound) | self.0.lanes_at_most(x1, bound) << S::LANES
    }
}
