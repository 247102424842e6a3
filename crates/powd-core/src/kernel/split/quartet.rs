//! The rounds of four states at a time by SHA-NI, in assembly: the order in which independent
//! states take turns is the whole point, and neither the compiler's scheduler nor its register
//! allocator keeps it.
//!
//! `sha256rnds2` does two rounds of one state. On Zen 4 it starts every cycle and takes four, so
//! that four states keep it busy if nothing ever delays one of them, and eight if something does.
//! It overwrites the half of the state that held `cdgh` with the new `abef`; the old `abef` is the
//! new `cdgh`. So the halves swap roles after each pair of rounds, and here a pair of rounds with
//! an even number finds `abef` in the second register of each state, one with an odd number in the
//! first.

use std::arch::asm;
use std::arch::x86_64::__m128i;

use super::pairs::WordPairs;
use crate::simd::{Avx512Vl, ShaNi, State};

/// Four states in registers of their own. Only witnesses make one.
pub(in crate::kernel) trait Quartet: Copy {
    /// Two rounds of two of the states: those whose turn comes first (`HALF` 0) or last (1) in the
    /// pair of rounds number `PAIR`. The states are those of the messages from `FIRST` on.
    ///
    /// # Safety
    ///
    /// Of each of these four messages, `pairs` has the pair of words number `PAIR`, and it is set.
    unsafe fn two_rounds<P: WordPairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    );
    /// The four states, after an even number of pairs of rounds.
    fn states(&self) -> [State; 4];
    /// The same quartet with other states.
    fn with(self, states: [State; 4]) -> Self;
}

/// A quartet in the registers `xmm1` to `xmm8`.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct Xmm1To8 {
    registers: [__m128i; 8],
}

/// Two rounds of two states in `xmm1` to `xmm8`: for each the place of its words, and its halves.
macro_rules! rounds_in_1_to_8 {
    ($quartet:ident, $pairs:ident,
     [$offset0:expr] $cdgh0:literal $abef0:literal, [$offset1:expr] $cdgh1:literal $abef1:literal) => {{
        let [a, b, c, d, e, f, g, h] = &mut $quartet.registers;
        // SAFETY: `ShaNi`, by which alone a quartet is made, proves the instructions; the words are
        // there to read by the promises of the caller and of `WordPairs`; no memory is written.
        unsafe {
            asm!(
                "vmovq xmm0, qword ptr [{pairs} + {offset0}]",
                concat!("sha256rnds2 ", $cdgh0, ", ", $abef0),
                // Decided by the assembler: words that are alike are loaded once for both states.
                ".ifeq {alike}",
                "vmovq xmm0, qword ptr [{pairs} + {offset1}]",
                ".endif",
                concat!("sha256rnds2 ", $cdgh1, ", ", $abef1),
                pairs = in(reg) $pairs,
                offset0 = const $offset0,
                offset1 = const $offset1,
                alike = const P::ALIKE as i32,
                inout("xmm1") *a, inout("xmm2") *b, inout("xmm3") *c, inout("xmm4") *d,
                inout("xmm5") *e, inout("xmm6") *f, inout("xmm7") *g, inout("xmm8") *h,
                out("xmm0") _,
                options(nostack, preserves_flags, readonly),
            );
        }
    }};
}

impl Xmm1To8 {
    /// Four equal states.
    #[inline(always)]
    pub(super) fn new(_: ShaNi, state: State) -> Xmm1To8 {
        Xmm1To8 {
            registers: registers([state; 4]),
        }
    }
}

impl Quartet for Xmm1To8 {
    #[inline(always)]
    unsafe fn two_rounds<P: WordPairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    ) {
        match (PAIR % 2, HALF) {
            (0, 0) => rounds_in_1_to_8!(self, pairs,
                [P::OFFSETS[FIRST][PAIR]] "xmm1" "xmm2", [P::OFFSETS[FIRST + 1][PAIR]] "xmm3" "xmm4"),
            (0, _) => rounds_in_1_to_8!(self, pairs,
                [P::OFFSETS[FIRST + 2][PAIR]] "xmm5" "xmm6", [P::OFFSETS[FIRST + 3][PAIR]] "xmm7" "xmm8"),
            (_, 0) => rounds_in_1_to_8!(self, pairs,
                [P::OFFSETS[FIRST][PAIR]] "xmm2" "xmm1", [P::OFFSETS[FIRST + 1][PAIR]] "xmm4" "xmm3"),
            (_, _) => rounds_in_1_to_8!(self, pairs,
                [P::OFFSETS[FIRST + 2][PAIR]] "xmm6" "xmm5", [P::OFFSETS[FIRST + 3][PAIR]] "xmm8" "xmm7"),
        }
    }

    #[inline(always)]
    fn states(&self) -> [State; 4] {
        states(self.registers)
    }

    #[inline(always)]
    fn with(self, states: [State; 4]) -> Xmm1To8 {
        Xmm1To8 {
            registers: registers(states),
        }
    }
}

/// A quartet that runs beside one in `xmm1` to `xmm8`: in `xmm9` to `xmm15`, and `xmm16` or
/// `xmm17`.
///
/// The instruction reaches 16 registers; eight states have 16 halves, and `xmm0` is taken: one half
/// too many. AVX-512 has 16 more registers to park it in. Behind a pair of rounds with an even
/// number that is `cdgh` of the first state, in `xmm17`; behind one with an odd number, and before
/// all, `abef` of the last state, in `xmm16`. The two share `xmm10`: whichever had the first turn
/// in one pair of rounds has the last in the next.
///
/// A move between registers costs no more than its place in the queue. Left to find such an
/// exchange, the compiler made several hundred moves a batch in place of 64.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct Xmm9To17 {
    /// The last one is the parked half.
    registers: [__m128i; 8],
}

/// Two rounds of two states in `xmm9` to `xmm15`. Before the last turn of a pair of rounds, what
/// `xmm10` holds is parked, and what was parked comes in.
macro_rules! rounds_in_9_to_17 {
    ($quartet:ident, $pairs:ident, $(park $from:tt => $to:tt,)?
     [$offset0:expr] $cdgh0:literal $abef0:literal, [$offset1:expr] $cdgh1:literal $abef1:literal) => {{
        let [a, b, c, d, e, f, g, _parked] = &mut $quartet.registers;
        // SAFETY: `ShaNi` and `Avx512Vl`, by which alone a quartet is made, prove the instructions;
        // the words are there to read by the promises of the caller and of `WordPairs`; no memory
        // is written.
        unsafe {
            asm!(
                "vmovq xmm0, qword ptr [{pairs} + {offset0}]",
                concat!("sha256rnds2 ", $cdgh0, ", ", $abef0),
                $(
                    concat!("vmovdqa64 ", $to, ", xmm10"),
                    concat!("vmovdqa64 xmm10, ", $from),
                )?
                ".ifeq {alike}",
                "vmovq xmm0, qword ptr [{pairs} + {offset1}]",
                ".endif",
                concat!("sha256rnds2 ", $cdgh1, ", ", $abef1),
                pairs = in(reg) $pairs,
                offset0 = const $offset0,
                offset1 = const $offset1,
                alike = const P::ALIKE as i32,
                inout("xmm9") *a, inout("xmm10") *b, inout("xmm11") *c, inout("xmm12") *d,
                inout("xmm13") *e, inout("xmm14") *f, inout("xmm15") *g,
                $(in($from) *_parked, out($to) *_parked,)?
                out("xmm0") _,
                options(nostack, preserves_flags, readonly),
            );
        }
    }};
}

impl Xmm9To17 {
    /// Four equal states.
    #[inline(always)]
    pub(super) fn new(_: ShaNi, _: Avx512Vl, state: State) -> Xmm9To17 {
        Xmm9To17 {
            registers: registers([state; 4]),
        }
    }
}

impl Quartet for Xmm9To17 {
    #[inline(always)]
    unsafe fn two_rounds<P: WordPairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    ) {
        // SAFETY: `Avx512Vl`, by which alone a quartet of this kind is made, proves AVX-512F and
        // AVX-512VL; the caller makes the same promise about the words.
        unsafe { two_rounds_in_9_to_17::<P, FIRST, PAIR, HALF>(self, pairs) }
    }

    #[inline(always)]
    fn states(&self) -> [State; 4] {
        states(self.registers)
    }

    #[inline(always)]
    fn with(self, states: [State; 4]) -> Xmm9To17 {
        Xmm9To17 {
            registers: registers(states),
        }
    }
}

/// [`Quartet::two_rounds`], where assembly may name the registers of AVX-512.
///
/// # Safety
///
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn two_rounds_in_9_to_17<
    P: WordPairs,
    const FIRST: usize,
    const PAIR: usize,
    const HALF: usize,
>(
    quartet: &mut Xmm9To17,
    pairs: &P,
) {
    match (PAIR % 2, HALF) {
        (0, 0) => rounds_in_9_to_17!(quartet, pairs,
            [P::OFFSETS[FIRST][PAIR]] "xmm9" "xmm10", [P::OFFSETS[FIRST + 1][PAIR]] "xmm11" "xmm12"),
        (0, _) => rounds_in_9_to_17!(quartet, pairs, park "xmm16" => "xmm17",
            [P::OFFSETS[FIRST + 2][PAIR]] "xmm13" "xmm14", [P::OFFSETS[FIRST + 3][PAIR]] "xmm15" "xmm10"),
        (_, 0) => rounds_in_9_to_17!(quartet, pairs,
            [P::OFFSETS[FIRST + 3][PAIR]] "xmm10" "xmm15", [P::OFFSETS[FIRST + 1][PAIR]] "xmm12" "xmm11"),
        (_, _) => rounds_in_9_to_17!(quartet, pairs, park "xmm17" => "xmm16",
            [P::OFFSETS[FIRST + 2][PAIR]] "xmm14" "xmm13", [P::OFFSETS[FIRST][PAIR]] "xmm10" "xmm9"),
    }
}

/// An instruction that does nothing but take its place among the others.
///
/// With one behind each slot, eight states side by side did 106 to 110 million hashes/s in a
/// prototype on Zen 4, without 92 to 100; which `nop` it is does not matter. Where the states take
/// turns by four, it costs a hundredth (2026-11).
#[inline(always)]
pub(super) fn nop() {
    // SAFETY: it does nothing.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
}

/// The halves in the order of the registers: `cdgh`, `abef`.
#[inline(always)]
fn registers([s, t, u, v]: [State; 4]) -> [__m128i; 8] {
    [
        s.cdgh, s.abef, t.cdgh, t.abef, u.cdgh, u.abef, v.cdgh, v.abef,
    ]
}

#[inline(always)]
fn states([c0, a0, c1, a1, c2, a2, c3, a3]: [__m128i; 8]) -> [State; 4] {
    [(c0, a0), (c1, a1), (c2, a2), (c3, a3)].map(|(cdgh, abef)| State { cdgh, abef })
}
