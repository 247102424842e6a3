//! A small vocabulary of vector words, implemented once per instruction set.
//!
//! Each instruction set has a *witness*: a value that only detection makes, so that holding one proves
//! that this CPU has the instructions. Code that is generic over [`Simd`] therefore needs no `unsafe`; it
//! only has to end up inlined into a function with the right `#[target_feature]`.
//!
//! These are words of 32 bits and what one does with them. What is computed is not known here, but for SHA-NI, whose
//! instructions are SHA-256.
#![allow(
    unsafe_code,
    reason = "intrinsics; each call stands behind a witness of its instruction set"
)]

mod avx2;
mod avx512;
mod pairs;
mod quartet;
mod sha_ni;

pub use avx2::Avx2;
pub use avx512::{Avx512, Avx512Vl};
pub use pairs::{LanePairs, Pairs, QuadPairs};
pub use quartet::{Low, Parked, Quartet};
pub use sha_ni::{ShaNi, State};

use std::arch::x86_64::__m256i;

/// Vectors of 32-bit words, all lanes alike. The implementor is the witness.
pub trait Simd: Copy {
    /// A vector.
    type Words: Copy;
    /// How many words a vector has.
    const LANES: usize;

    /// The same word in all lanes.
    fn splat(self, word: u32) -> Self::Words;
    /// The halves, one per lane, as the upper halves of words, over `lower` in all lanes.
    ///
    /// # Panics
    ///
    /// When there are fewer halves than lanes.
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> Self::Words;
    /// Addition modulo 2^32.
    fn add(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Rotation right by `N` bits.
    fn rotr<const N: i32>(self, x: Self::Words) -> Self::Words;
    /// Shift right by `N` bits.
    fn shr<const N: i32>(self, x: Self::Words) -> Self::Words;
    /// Exclusive or of three.
    fn xor3(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words;
    /// Where `x` has a one, the bit of `y`, elsewhere that of `z`.
    fn ch(self, x: Self::Words, y: Self::Words, z: Self::Words) -> Self::Words;
    /// The bit that at least two of three have.
    fn maj(self, x: Self::Words, y: Self::Words, z: Self::Words) -> Self::Words;
    /// The same value, but computed here: an empty piece of assembly. The compiler does not move it past others,
    /// so that independent computations stay interleaved as they were written; nor does it know how the
    /// value was made, so that it cannot order the additions before and behind it anew.
    fn pin(self, x: Self::Words) -> Self::Words;
    /// The lanes whose word is at most `bound`, lane 0 in bit 0.
    fn lanes_at_most(self, x: Self::Words, bound: u32) -> u32;
}

/// Vectors of 256 bits whose work can be woven into that of SHA-NI.
pub trait Weave: Simd<Words = __m256i> {
    /// The quartet of states for the upper four lanes.
    type Upper: Quartet;
    /// Whether there are registers for both quartets at once.
    const SIDE_BY_SIDE: bool;
    /// Instructions of a rotation.
    const COST_OF_ROTATION: usize;
    /// Instructions of an exclusive or of three.
    const COST_OF_XOR3: usize;
    /// How many instructions best stand behind two rounds of two states, or as many as it takes to spread
    /// them evenly: by measurement.
    const MOST_BETWEEN_ROUNDS: Option<usize>;

    /// Two quartets of the same state, for the lower and for the upper four lanes.
    fn quartets(self, sha: ShaNi, state: State) -> (Low, Self::Upper);
    /// The pairs (a, b) of the lanes 0, 1, 4, 5 (`half` 0), or of 2, 3, 6, 7 (1).
    fn pairs(self, a: __m256i, b: __m256i, half: usize) -> __m256i;
}

/// The same vectors, each result [pinned](Simd::pin): the instructions stay in the order in which they are
/// written, among pieces of assembly too.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<S>(pub S);

impl<S: Weave> Simd for Pinned<S> {
    type Words = __m256i;
    const LANES: usize = S::LANES;

    /// Not pinned: so it can be an operand in memory.
    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        self.0.splat(word)
    }

    #[inline(always)]
    fn with_upper_halves(self, lower: u32, halves: &[u16]) -> __m256i {
        self.0.pin(self.0.with_upper_halves(lower, halves))
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        self.0.pin(self.0.add(a, b))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self, x: __m256i) -> __m256i {
        self.0.pin(self.0.rotr::<N>(x))
    }

    #[inline(always)]
    fn shr<const N: i32>(self, x: __m256i) -> __m256i {
        self.0.pin(self.0.shr::<N>(x))
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.0.pin(self.0.xor3(a, b, c))
    }

    #[inline(always)]
    fn ch(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        self.0.pin(self.0.ch(x, y, z))
    }

    #[inline(always)]
    fn maj(self, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        self.0.pin(self.0.maj(x, y, z))
    }

    #[inline(always)]
    fn pin(self, x: __m256i) -> __m256i {
        self.0.pin(x)
    }

    #[inline(always)]
    fn lanes_at_most(self, x: __m256i, bound: u32) -> u32 {
        self.0.lanes_at_most(x, bound)
    }
}

/// The features among these that this CPU lacks.
macro_rules! lacking {
    ($($feature:tt),* $(,)?) => {{
        let mut lacking = Vec::new();
        $(if !std::arch::is_x86_feature_detected!($feature) { lacking.push($feature); })*
        lacking
    }};
}
use lacking;
