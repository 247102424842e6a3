//! The rounds of four states at a time by SHA-NI, in assembly: the order in which independent states
//! take turns is the whole point, and neither the compiler's scheduler nor its register allocator keeps it.
//!
//! `sha256rnds2` does two rounds of one state. On Zen 4 it starts every cycle and takes four, so that
//! four states keep it busy if nothing ever delays one of them, and eight if something does. It overwrites the
//! half of the state that held `cdgh` with the new `abef`; the old `abef` is the new `cdgh`. So the halves swap
//! roles after each pair of rounds, and here a pair of rounds with an even number finds `abef` in the second
//! register of each state, one with an odd number in the first.

use std::arch::asm;
use std::arch::x86_64::__m128i;

use super::avx512::Avx512Vl;
use super::pairs::Pairs;
use super::sha_ni::{ShaNi, State};

/// Four states in registers of their own.
pub trait Quartet: Copy {
    /// Two rounds of two of the states: those whose turn comes first (`HALF` 0) or last (1). Each takes the pair
    /// number `PAIR` of its message; the messages are those from `FIRST` on.
    ///
    /// # Safety
    ///
    /// That pair of each message is there, and set.
    unsafe fn two_rounds<P: Pairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    );
    /// The four states, after an even number of pairs of rounds.
    fn states(&self) -> [State; 4];
    /// The same quartet with other states.
    fn with(self, states: [State; 4]) -> Self;
}

/// A quartet in the registers 1 to 8.
#[derive(Clone, Copy, Debug)]
pub struct Low {
    registers: [__m128i; 8],
}

/// Two rounds of two states in registers 1 to 8: for each the place of its words, and its halves.
macro_rules! low_rounds {
    ($quartet:ident, $pairs:ident,
     [$offset0:expr] $cdgh0:literal $abef0:literal, [$offset1:expr] $cdgh1:literal $abef1:literal) => {{
        let [a, b, c, d, e, f, g, h] = &mut $quartet.registers;
        // SAFETY: `ShaNi`, by which alone a quartet is made, proves the instructions; the words are there to
        // read by the promises of the caller and of `Pairs`; no memory is written.
        unsafe {
            asm!(
                "vmovq xmm0, qword ptr [{pairs} + {offset0}]",
                concat!("sha256rnds2 ", $cdgh0, ", ", $abef0),
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

impl Low {
    /// Four equal states.
    #[inline(always)]
    pub fn new(_: ShaNi, state: State) -> Low {
        Low {
            registers: registers([state; 4]),
        }
    }
}

impl Quartet for Low {
    #[inline(always)]
    unsafe fn two_rounds<P: Pairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    ) {
        match (PAIR % 2, HALF) {
            (0, 0) => low_rounds!(self, pairs,
                [P::OFFSETS[FIRST][PAIR]] "xmm1" "xmm2", [P::OFFSETS[FIRST + 1][PAIR]] "xmm3" "xmm4"),
            (0, _) => low_rounds!(self, pairs,
                [P::OFFSETS[FIRST + 2][PAIR]] "xmm5" "xmm6", [P::OFFSETS[FIRST + 3][PAIR]] "xmm7" "xmm8"),
            (_, 0) => low_rounds!(self, pairs,
                [P::OFFSETS[FIRST][PAIR]] "xmm2" "xmm1", [P::OFFSETS[FIRST + 1][PAIR]] "xmm4" "xmm3"),
            (_, _) => low_rounds!(self, pairs,
                [P::OFFSETS[FIRST + 2][PAIR]] "xmm6" "xmm5", [P::OFFSETS[FIRST + 3][PAIR]] "xmm8" "xmm7"),
        }
    }

    #[inline(always)]
    fn states(&self) -> [State; 4] {
        states(self.registers)
    }

    #[inline(always)]
    fn with(self, states: [State; 4]) -> Low {
        Low {
            registers: registers(states),
        }
    }
}

/// A quartet that runs beside one in the registers 1 to 8, in 9 to 15 and one more.
///
/// The instruction reaches 16 registers; eight states have 16 halves, and `xmm0` is taken: one half too
/// many. AVX-512 has 16 more registers to park it in. It changes twice in two pairs of rounds: after a pair with
/// an even number the half that the first state needs last is parked, after an odd one the `abef` of
/// the last state, and a move between registers costs no more than its place in the queue. Left to find
/// such an exchange, the compiler made several hundred moves a batch in place of 64.
#[derive(Clone, Copy, Debug)]
pub struct Parked {
    registers: [__m128i; 8],
}

/// Two rounds of two states in registers 9 to 15. `xmm10` is shared by the first and the last state: before the
/// last of their turns, what it holds is parked, and what was parked comes in.
macro_rules! parked_rounds {
    ($quartet:ident, $pairs:ident, $(park $from:tt => $to:tt,)?
     [$offset0:expr] $cdgh0:literal $abef0:literal, [$offset1:expr] $cdgh1:literal $abef1:literal) => {{
        let [a, b, c, d, e, f, g, _parked] = &mut $quartet.registers;
        // SAFETY: `ShaNi` and `Avx512Vl`, by which alone a quartet is made, prove the instructions; the words are
        // there to read by the promises of the caller and of `Pairs`; no memory is written.
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

impl Parked {
    /// Four equal states.
    #[inline(always)]
    pub(super) fn new(_: ShaNi, _: Avx512Vl, state: State) -> Parked {
        Parked {
            registers: registers([state; 4]),
        }
    }
}

impl Quartet for Parked {
    #[inline(always)]
    unsafe fn two_rounds<P: Pairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
        &mut self,
        pairs: &P,
    ) {
        // SAFETY: no quartet of this kind was made without a witness of AVX-512VL; the rest is the caller's.
        unsafe { parked_two_rounds::<P, FIRST, PAIR, HALF>(self, pairs) }
    }

    #[inline(always)]
    fn states(&self) -> [State; 4] {
        states(self.registers)
    }

    #[inline(always)]
    fn with(self, states: [State; 4]) -> Parked {
        Parked {
            registers: registers(states),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn parked_two_rounds<P: Pairs, const FIRST: usize, const PAIR: usize, const HALF: usize>(
    quartet: &mut Parked,
    pairs: &P,
) {
    match (PAIR % 2, HALF) {
        (0, 0) => parked_rounds!(quartet, pairs,
            [P::OFFSETS[FIRST][PAIR]] "xmm9" "xmm10", [P::OFFSETS[FIRST + 1][PAIR]] "xmm11" "xmm12"),
        (0, _) => parked_rounds!(quartet, pairs, park "xmm16" => "xmm17",
            [P::OFFSETS[FIRST + 2][PAIR]] "xmm13" "xmm14", [P::OFFSETS[FIRST + 3][PAIR]] "xmm15" "xmm10"),
        (_, 0) => parked_rounds!(quartet, pairs,
            [P::OFFSETS[FIRST + 3][PAIR]] "xmm10" "xmm15", [P::OFFSETS[FIRST + 1][PAIR]] "xmm12" "xmm11"),
        (_, _) => parked_rounds!(quartet, pairs, park "xmm17" => "xmm16",
            [P::OFFSETS[FIRST + 2][PAIR]] "xmm14" "xmm13", [P::OFFSETS[FIRST][PAIR]] "xmm10" "xmm9"),
    }
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
