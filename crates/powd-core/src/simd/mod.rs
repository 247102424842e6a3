//! A small vocabulary of vector words, implemented once per instruction set.
//!
//! Each instruction set has a *witness*: a value that only detection makes, so that holding one
//! proves that this CPU has the instructions. Code that is generic over [`Simd`] therefore needs no
//! `unsafe`; it only has to end up inlined into a function with the right `#[target_feature]`.
//!
//! These are words of 32 bits and what one does with them. What is computed is not known here, but
//! for SHA-NI and Arm's SHA2, whose instructions are parts of SHA-256.
#![allow(
    unsafe_code,
    reason = "intrinsics; each call stands behind a witness of its instruction set"
)]

/// Whether this CPU has a feature.
#[cfg(target_arch = "x86_64")]
macro_rules! is_detected {
    ($feature:tt) => {
        std::arch::is_x86_feature_detected!($feature)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! is_detected {
    ($feature:tt) => {
        std::arch::is_aarch64_feature_detected!($feature)
    };
}

/// A call of an intrinsic, with the witness of its instruction set. Its arguments are evaluated
/// outside of `unsafe`. Those that read or write memory are called by themselves.
macro_rules! intrinsic {
    ($witness:expr, $name:ident $(::<$constant:tt>)? ($a:expr)) => {{
        let _: Self = $witness;
        let a = $a;
        // SAFETY: who has a witness of the set runs on a CPU that has it.
        unsafe { $name $(::<$constant>)? (a) }
    }};
    ($witness:expr, $name:ident $(::<$constant:tt>)? ($a:expr, $b:expr)) => {{
        let _: Self = $witness;
        let (a, b) = ($a, $b);
        // SAFETY: who has a witness of the set runs on a CPU that has it.
        unsafe { $name $(::<$constant>)? (a, b) }
    }};
    ($witness:expr, $name:ident $(::<$constant:tt>)? ($a:expr, $b:expr, $c:expr)) => {{
        let _: Self = $witness;
        let (a, b, c) = ($a, $b, $c);
        // SAFETY: who has a witness of the set runs on a CPU that has it.
        unsafe { $name $(::<$constant>)? (a, b, c) }
    }};
    ($witness:expr, $name:ident $(::<$constant:tt>)? ($a:expr, $b:expr, $c:expr, $d:expr)) => {{
        let _: Self = $witness;
        let (a, b, c, d) = ($a, $b, $c, $d);
        // SAFETY: who has a witness of the set runs on a CPU that has it.
        unsafe { $name $(::<$constant>)? (a, b, c, d) }
    }};
}

/// Defines a witness: the type, its documentation, and the CPU features that it stands for.
macro_rules! witness {
    ($(#[$doc:meta])* $name:ident: $($feature:tt),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl $name {
            /// The witness, or the features that this CPU lacks, as rustc calls them.
            pub(crate) fn detect() -> Result<$name, Vec<&'static str>> {
                let mut lacks = Vec::new();
                $(if !is_detected!($feature) { lacks.push($feature); })+
                if lacks.is_empty() { Ok($name(())) } else { Err(lacks) }
            }
        }
    };
}

#[cfg(target_arch = "aarch64")]
mod arm_sha;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod pinned;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
mod twice;

pub(crate) use twice::Twice;
#[cfg(target_arch = "aarch64")]
pub(crate) use {
    arm_sha::{ArmSha, State},
    neon::Neon,
};
#[cfg(target_arch = "x86_64")]
pub(crate) use {
    avx2::Avx2,
    avx512::{Avx512, Avx512Vl},
    pinned::Pinned,
    sha_ni::{ShaNi, State},
};

/// Vectors of 32-bit words, all lanes alike. The implementor is the witness.
pub(crate) trait Simd: Copy {
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
    /// The same value, but computed here: an empty piece of assembly. The compiler does not move it
    /// past others, so that independent computations stay interleaved as they were written; nor
    /// does it know how the value was made, so that it cannot order the additions before and behind
    /// it anew.
    fn pin(self, x: Self::Words) -> Self::Words;
    /// The lanes whose word is at most `bound`, lane 0 in bit 0.
    fn lanes_at_most(self, x: Self::Words, bound: u32) -> u32;
}
