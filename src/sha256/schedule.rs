//! The message schedule of block 0 in lanes, while only word 0 differs between them.

use super::template::{CONSTANT_TERMS_END, Hoisted, is_constant};
use crate::simd::Simd;

/// The last 16 schedule words of as many messages as there are lanes. Constant words are left out: their part
/// in the others is in [`Hoisted::terms`].
///
/// Every `t` in a call must be known at compile time once the call is inlined; only then do the words stay in
/// registers.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'t, S: Simd> {
    simd: S,
    hoisted: &'t Hoisted,
    ring: [S::Words; 16],
}

impl<'t, S: Simd> Schedule<'t, S> {
    /// Before word 16.
    #[inline(always)]
    pub fn new(simd: S, hoisted: &'t Hoisted, word0: S::Words) -> Self {
        Schedule {
            simd,
            hoisted,
            ring: [word0; 16],
        }
    }

    /// The part of `W[t]` that is ready early: all terms but that of `W[t-2]`.
    #[inline(always)]
    pub fn early(&self, t: usize) -> Option<S::Words> {
        let simd = self.simd;
        let constant = (t < CONSTANT_TERMS_END && has_constant_term(t))
            .then(|| simd.splat(self.hoisted.terms[t]));
        let terms = [
            constant,
            self.varying(t - 7),
            self.varying(t - 15).map(|w| small_sigma0(simd, w)),
            self.varying(t - 16),
        ];
        sum(simd, terms)
    }

    /// `W[t]`, which becomes part of the schedule, from its early part.
    #[inline(always)]
    pub fn finish(&mut self, t: usize, early: Option<S::Words>) -> S::Words {
        let simd = self.simd;
        let late = self.varying(t - 2).map(|w| small_sigma1(simd, w));
        let word = sum(simd, [early, late, None, None]).unwrap_or(self.ring[0]);
        self.ring[t % 16] = word;
        word
    }

    /// `W[t]`, one of the last 16, unless it is constant.
    #[inline(always)]
    fn varying(&self, t: usize) -> Option<S::Words> {
        (!is_constant(t)).then_some(self.ring[t % 16])
    }
}

/// Whether one of the terms of `W[t]` is constant.
const fn has_constant_term(t: usize) -> bool {
    is_constant(t - 2) || is_constant(t - 7) || is_constant(t - 15) || is_constant(t - 16)
}

/// The sum of the terms that there are.
#[inline(always)]
fn sum<S: Simd>(simd: S, [a, b, c, d]: [Option<S::Words>; 4]) -> Option<S::Words> {
    let add = |a, b| match (a, b) {
        (Some(a), Some(b)) => Some(simd.add(a, b)),
        (one, None) | (None, one) => one,
    };
    add(add(a, b), add(c, d))
}

#[inline(always)]
fn small_sigma0<S: Simd>(simd: S, x: S::Words) -> S::Words {
    simd.xor3(simd.rotr::<7>(x), simd.rotr::<18>(x), simd.shr::<3>(x))
}

#[inline(always)]
fn small_sigma1<S: Simd>(simd: S, x: S::Words) -> S::Words {
    simd.xor3(simd.rotr::<17>(x), simd.rotr::<19>(x), simd.shr::<10>(x))
}
