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
use std::mem::MaybeUninit;

use super::avx512::Avx512Vl;
use super::sha_ni::{ShaNi, State};

/// Four states in registers of their own.
pub trait Quartet: Copy {
    /// Two rounds, all four states with the same `W + K`: the pair number `PAIR` of `words`.
    fn rounds_alike<const PAIR: usize, const WORDS: usize>(&mut self, words: &[u32; WORDS]);
    /// Two rounds, each state with its own `W + K` from the line `PAIR`: `QUARTET` 0 is lanes 0 to 3,
    /// 1 is lanes 4 to 7. The line must be set.
    fn rounds_apart<const PAIR: usize, const QUARTET: usize>(&mut self, words: &Pairs);
    /// The four states, after an even number of pairs of rounds.
    fn states(&self) -> [State; 4];
    /// The same quartet with other states.
    fn with(self, states: [State; 4]) -> Self;
}

/// `W + K` of eight messages, in pairs as two rounds take them: a cache line for each pair.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Pairs([[MaybeUninit<std::arch::x86_64::__m256i>; 2]; 32]);

impl Pairs {
    /// Lines without content.
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "nothing about it is a default")]
    pub fn new() -> Pairs {
        Pairs([[MaybeUninit::uninit(); 2]; 32])
    }

    /// Fills a line, lanes in the order of [`Weave::pairs`](super::Weave::pairs).
    #[inline(always)]
    pub fn set(&mut self, pair: usize, line: [std::arch::x86_64::__m256i; 2]) {
        self.0[pair] = line.map(MaybeUninit::new);
    }
}

/// `xmm0`, where the instruction takes its `W + K`, from an offset into the words, or as it is.
macro_rules! load {
    () => {
        ""
    };
    ($offset:literal) => {
        concat!("vmovq xmm0, qword ptr [{words} + {start} + ", $offset, "]")
    };
}

/// A quartet in the registers 1 to 8.
#[derive(Clone, Copy, Debug)]
pub struct Low {
    registers: [__m128i; 8],
}

/// Two rounds in the registers 1 to 8: for each state its load and its registers.
macro_rules! low_rounds {
    ($quartet:ident, $words:expr, $start:expr,
     $([$($offset:literal)?] $cdgh:literal $abef:literal,)*) => {{
        let [a, b, c, d, e, f, g, h] = &mut $quartet.registers;
        // SAFETY: the quartet was made with a witness of SHA and AVX; the words are there to read.
        unsafe {
            asm!(
                $(load!($($offset)?), concat!("sha256rnds2 ", $cdgh, ", ", $abef),)*
                words = in(reg) $words,
                start = const $start,
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
    pub(super) fn new(_: ShaNi, state: State) -> Low {
        Low {
            registers: registers([state; 4]),
        }
    }
}

impl Quartet for Low {
    #[inline(always)]
    fn rounds_alike<const PAIR: usize, const WORDS: usize>(&mut self, words: &[u32; WORDS]) {
        assert!(2 * PAIR + 2 <= WORDS);
        if PAIR.is_multiple_of(2) {
            low_rounds!(self, words, 8 * PAIR,
                ["0"] "xmm1" "xmm2", [] "xmm3" "xmm4", [] "xmm5" "xmm6", [] "xmm7" "xmm8",);
        } else {
            low_rounds!(self, words, 8 * PAIR,
                ["0"] "xmm2" "xmm1", [] "xmm4" "xmm3", [] "xmm6" "xmm5", [] "xmm8" "xmm7",);
        }
    }

    #[inline(always)]
    fn rounds_apart<const PAIR: usize, const QUARTET: usize>(&mut self, words: &Pairs) {
        assert!(PAIR < 32 && QUARTET < 2);
        if PAIR.is_multiple_of(2) {
            low_rounds!(self, words, 64 * PAIR + 16 * QUARTET,
                ["0"] "xmm1" "xmm2", ["8"] "xmm3" "xmm4", ["32"] "xmm5" "xmm6", ["40"] "xmm7" "xmm8",);
        } else {
            low_rounds!(self, words, 64 * PAIR + 16 * QUARTET,
                ["0"] "xmm2" "xmm1", ["8"] "xmm4" "xmm3", ["32"] "xmm6" "xmm5", ["40"] "xmm8" "xmm7",);
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

/// Two rounds in the registers 9 to 15. `xmm10` is shared by the first and the last state: what it holds
/// is parked, and what was parked comes in, before the last of the four instructions.
macro_rules! parked_rounds {
    ($quartet:ident, $words:expr, $start:expr, $from:tt => $to:tt,
     [$($offset0:literal)?] $cdgh0:literal $abef0:literal,
     [$($offset1:literal)?] $cdgh1:literal $abef1:literal,
     [$($offset2:literal)?] $cdgh2:literal $abef2:literal,
     [$($offset3:literal)?] $cdgh3:literal $abef3:literal,) => {{
        let [a, b, c, d, e, f, g, parked] = &mut $quartet.registers;
        // SAFETY: the quartet was made with witnesses of SHA, AVX and AVX-512VL; the words are there to read.
        unsafe {
            asm!(
                load!($($offset0)?), concat!("sha256rnds2 ", $cdgh0, ", ", $abef0),
                load!($($offset1)?), concat!("sha256rnds2 ", $cdgh1, ", ", $abef1),
                load!($($offset2)?), concat!("sha256rnds2 ", $cdgh2, ", ", $abef2),
                concat!("vmovdqa64 ", $to, ", xmm10"),
                concat!("vmovdqa64 xmm10, ", $from),
                load!($($offset3)?), concat!("sha256rnds2 ", $cdgh3, ", ", $abef3),
                words = in(reg) $words,
                start = const $start,
                inout("xmm9") *a, inout("xmm10") *b, inout("xmm11") *c, inout("xmm12") *d,
                inout("xmm13") *e, inout("xmm14") *f, inout("xmm15") *g,
                in($from) *parked, lateout($to) *parked,
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
    fn rounds_alike<const PAIR: usize, const WORDS: usize>(&mut self, words: &[u32; WORDS]) {
        assert!(2 * PAIR + 2 <= WORDS);
        // SAFETY: no quartet of this kind was made without a witness of AVX-512VL.
        unsafe { parked_alike::<PAIR>(self, words.as_ptr()) }
    }

    #[inline(always)]
    fn rounds_apart<const PAIR: usize, const QUARTET: usize>(&mut self, words: &Pairs) {
        assert!(PAIR < 32 && QUARTET < 2);
        // SAFETY: no quartet of this kind was made without a witness of AVX-512VL.
        unsafe { parked_apart::<PAIR, QUARTET>(self, words) }
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
fn parked_alike<const PAIR: usize>(quartet: &mut Parked, words: *const u32) {
    if PAIR.is_multiple_of(2) {
        parked_rounds!(quartet, words, 8 * PAIR, "xmm16" => "xmm17",
            ["0"] "xmm9" "xmm10", [] "xmm11" "xmm12", [] "xmm13" "xmm14", [] "xmm15" "xmm10",);
    } else {
        parked_rounds!(quartet, words, 8 * PAIR, "xmm17" => "xmm16",
            ["0"] "xmm10" "xmm15", [] "xmm12" "xmm11", [] "xmm14" "xmm13", [] "xmm10" "xmm9",);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn parked_apart<const PAIR: usize, const QUARTET: usize>(quartet: &mut Parked, words: &Pairs) {
    if PAIR.is_multiple_of(2) {
        parked_rounds!(quartet, words, 64 * PAIR + 16 * QUARTET, "xmm16" => "xmm17",
            ["0"] "xmm9" "xmm10", ["8"] "xmm11" "xmm12", ["32"] "xmm13" "xmm14", ["40"] "xmm15" "xmm10",);
    } else {
        parked_rounds!(quartet, words, 64 * PAIR + 16 * QUARTET, "xmm17" => "xmm16",
            ["40"] "xmm10" "xmm15", ["8"] "xmm12" "xmm11", ["32"] "xmm14" "xmm13", ["0"] "xmm10" "xmm9",);
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
