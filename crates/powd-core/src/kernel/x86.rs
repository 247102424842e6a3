//! The kernels of x86-64: what each one needs of the CPU, and the functions in which its
//! instructions may be used. All that a scan does is inlined into one of these, so it is dispatched
//! once.
#![allow(
    unsafe_code,
    reason = "functions of an instruction set, called with its witness in hand"
)]

use super::{Backend, Entry, Heads, Lacking, lanes, split};
use crate::sha256::Template;
use crate::simd::{Avx2, Avx512, Avx512Vl, ShaNi, Twice};

/// A kernel with the witnesses that it may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum X86 {
    Avx512Sha(Avx512Vl, ShaNi),
    Avx2Sha(Avx2, ShaNi),
    Avx512(Avx512),
    Avx512X2(Twice<Avx512>),
    ShaNi(ShaNi),
    Avx2(Avx2),
}

/// Every kernel. Where two are about equally fast, the first is taken: those come first that use
/// all of a processor, and before `sha-ni`, which is 3 % faster than `avx512` on Zen 4, those by
/// vectors of 512 bits, which are twice as fast as `sha-ni` where the first two are slow (Intel).
pub(super) const KERNELS: [Entry; 6] = [
    Entry {
        name: "avx512-sha",
        detect: || both(Avx512Vl::detect(), ShaNi::detect(), X86::Avx512Sha),
    },
    Entry {
        name: "avx2-sha",
        detect: || both(Avx2::detect(), ShaNi::detect(), X86::Avx2Sha),
    },
    Entry {
        name: "avx512",
        detect: || Ok(Backend::X86(X86::Avx512(Avx512::detect()?))),
    },
    Entry {
        name: "avx512x2",
        detect: || Ok(Backend::X86(X86::Avx512X2(Twice(Avx512::detect()?)))),
    },
    Entry {
        name: "sha-ni",
        detect: || Ok(Backend::X86(X86::ShaNi(ShaNi::detect()?))),
    },
    Entry {
        name: "avx2",
        detect: || Ok(Backend::X86(X86::Avx2(Avx2::detect()?))),
    },
];

/// A kernel that needs two instruction sets, or what is lacking of either.
fn both<S, T>(
    first: Result<S, Lacking>,
    second: Result<T, Lacking>,
    kernel: fn(S, T) -> X86,
) -> Result<Backend, Lacking> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok(Backend::X86(kernel(first, second))),
        (first, second) => Err([first.err(), second.err()]
            .into_iter()
            .flatten()
            .flatten()
            .collect()),
    }
}

impl X86 {
    /// The next head whose first state word is at most `bound`.
    pub(super) fn next_at_most(
        self,
        template: &Template,
        heads: &mut Heads<'_>,
        bound: u32,
    ) -> Option<u32> {
        match self {
            // SAFETY: the witnesses prove AVX-512F, AVX-512VL, AVX2 and SHA.
            X86::Avx512Sha(simd, sha) => unsafe { avx512_sha(simd, sha, template, heads, bound) },
            // SAFETY: the witnesses prove AVX2 and SHA.
            X86::Avx2Sha(simd, sha) => unsafe { avx2_sha(simd, sha, template, heads, bound) },
            // SAFETY: the witness proves AVX-512F.
            X86::Avx512(simd) => unsafe { avx512(simd, template, heads, bound) },
            // SAFETY: the witness proves AVX-512F.
            X86::Avx512X2(simd) => unsafe { avx512x2(simd, template, heads, bound) },
            // SAFETY: the witness proves SHA and AVX.
            X86::ShaNi(sha) => unsafe { sha_ni(sha, template, heads, bound) },
            // SAFETY: the witness proves AVX2.
            X86::Avx2(simd) => unsafe { avx2(simd, template, heads, bound) },
        }
    }
}

entry_points! {
    "avx512f,avx512vl,avx2,sha" fn avx512_sha(simd: Avx512Vl, sha: ShaNi) = split::next_at_most_by_lanes;
    "avx2,sha" fn avx2_sha(simd: Avx2, sha: ShaNi) = split::next_at_most_by_lanes;
    "avx512f" fn avx512(simd: Avx512) = lanes::next_at_most;
    "avx512f" fn avx512x2(simd: Twice<Avx512>) = lanes::next_at_most;
    "sha,avx" fn sha_ni(sha: ShaNi) = split::next_at_most_by_quads;
    "avx2" fn avx2(simd: Avx2) = lanes::next_at_most;
}
