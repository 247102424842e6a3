//! Loops of the rounds' instruction and others, in assembly: here the order is what is measured.
//!
//! A pass of a loop is [`ROUNDS`] times `sha256rnds2`, each behind a load of its words, as the
//! kernels have it. They belong to eight chains, so that the next one never waits for the result of
//! the last. What stands beside them never waits for them.

#![allow(
    unsafe_code,
    reason = "assembly: the order and the choice of its instructions are the question"
)]

use std::arch::asm;
use std::hint::black_box;

/// How often a pass has `sha256rnds2`.
pub(crate) const ROUNDS: u64 = 32;

/// What of memory the loops read and write: a cache line each.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lines([u8; 128]);

/// A loop that this CPU can run: only [`pairs`] and [`sequences`] hand one out.
#[derive(Clone, Copy)]
pub(crate) struct Loop(unsafe fn(u64, *mut Lines));

impl Loop {
    /// Runs it, `passes` times.
    pub(crate) fn run(self, passes: u64) {
        let mut lines = Lines([0; 128]);
        // SAFETY: `Needs::are_met` was asked before this was handed out. The lines are there to
        // read and to write.
        unsafe { self.0(passes.max(1), &raw mut lines) };
        black_box(lines.0);
    }
}

/// Loops that belong together: a row of a table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    needs: Needs,
    pub(crate) loops: &'static [Loop],
}

/// The instructions of a loop.
#[derive(Clone, Copy)]
enum Needs {
    /// SHA-NI and AVX2.
    Avx2,
    /// AVX-512VL as well.
    Avx512,
}

impl Needs {
    /// Whether this CPU has them.
    fn are_met(self) -> bool {
        let avx2 = is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx2");
        match self {
            Needs::Avx2 => avx2,
            Needs::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
            }
        }
    }
}

/// `sha256rnds2` with an instruction once behind each, and twice: those that this CPU has.
pub(crate) fn pairs() -> impl Iterator<Item = &'static Row> {
    PAIRS.iter().filter(|row| row.needs.are_met())
}

/// `sha256rnds2` and others in an order: those that this CPU has.
pub(crate) fn sequences() -> impl Iterator<Item = &'static Row> {
    SEQUENCES.iter().filter(|row| row.needs.are_met())
}

/// How often [`additions`] adds.
pub(crate) const ADDITIONS: u64 = 64;

/// The clock: additions of which each waits for the one before, one cycle each. (Of registers: some
/// CPUs add constants ahead of time.)
pub(crate) fn additions(passes: u64) {
    // SAFETY: it reads and writes the two registers that it was given.
    unsafe {
        asm!(
            ".p2align 6",
            "2:",
            ".rept 64",
            "add {sum}, {term}",
            ".endr",
            "dec {passes}",
            "jnz 2b",
            passes = inout(reg) passes.max(1) => _,
            sum = inout(reg) 0u64 => _,
            term = in(reg) passes,
            options(nomem, nostack),
        );
    }
}

/// A loop of what is given four times.
///
/// The rounds have `xmm1` to `xmm8` for their chains, `xmm9` to read, `xmm0` for words. The others
/// have `ymm10` to write, `ymm11` and `ymm12` to read; with AVX-512 `ymm21` to `ymm28` to write,
/// `ymm29` and `ymm30` to read. In memory, `rsi` is a line to read and `rsi + 64` one to write.
macro_rules! passes {
    ($body:expr) => {{
        /// # Safety
        ///
        /// This CPU has the instructions; `lines` are there to read and to write.
        unsafe fn run(passes: u64, lines: *mut Lines) {
            // SAFETY: by the promise of the caller. All registers are named that anything is
            // written to. No upper half is left that would slow down what follows.
            unsafe {
                asm!(
                    "vzeroupper",
                    ".p2align 6",
                    "2:",
                    ".rept 4",
                    $body,
                    ".endr",
                    "dec rcx",
                    "jnz 2b",
                    "vzeroupper",
                    inout("rcx") passes => _,
                    in("rsi") lines,
                    clobber_abi("sysv64"),
                    options(nostack),
                );
            }
        }
        Loop(run)
    }};
}

/// The rounds' instruction for the chains `$chains`, with `$beside` behind each, and `$behind`
/// behind them all.
macro_rules! rounds {
    ($chains:literal, $beside:expr, $behind:expr) => {
        concat!(
            ".irp i, ",
            $chains,
            "\n",
            "vmovq xmm0, qword ptr [rsi]\n",
            "sha256rnds2 xmm\\i, xmm9\n",
            $beside,
            "\n",
            ".endr\n",
            $behind,
            "\n",
        )
    };
}

/// Of eight chains, `$behind` behind each one, two, four or eight.
macro_rules! groups {
    (1, $behind:expr) => {
        rounds!("1,2,3,4,5,6,7,8", $behind, "")
    };
    (2, $behind:expr) => {
        groups!($behind, $behind, $behind, $behind)
    };
    (4, $behind:expr) => {
        groups!("", $behind, "", $behind)
    };
    (8, $behind:expr) => {
        rounds!("1,2,3,4,5,6,7,8", "", $behind)
    };
    ($a:expr, $b:expr, $c:expr, $d:expr) => {
        concat!(
            rounds!("1,2", "", $a),
            rounds!("3,4", "", $b),
            rounds!("5,6", "", $c),
            rounds!("7,8", "", $d),
        )
    };
}

/// Pairs, in which `\\i` is the number of the chain.
macro_rules! pairs {
    ($($needs:ident $name:literal $instruction:literal)*) => {
        &[$(
            Row {
                name: $name,
                needs: Needs::$needs,
                loops: &[
                    passes!(groups!(1, $instruction)),
                    passes!(groups!(1, concat!($instruction, "\n", $instruction))),
                ],
            },
        )*]
    };
}

static PAIRS: &[Row] = pairs! {
    Avx2 "nothing" ""
    Avx2 "nop" "nop"
    Avx2 "vmovdqa xmm, xmm" "vmovdqa xmm10, xmm11"
    Avx2 "vmovdqa xmm, [m]" "vmovdqa xmm10, xmmword ptr [rsi]"
    Avx2 "vmovdqa [m], xmm" "vmovdqa xmmword ptr [rsi + 64], xmm11"
    Avx2 "vpaddd xmm" "vpaddd xmm10, xmm11, xmm12"
    Avx2 "vpalignr xmm" "vpalignr xmm10, xmm11, xmm12, 4"
    Avx2 "vmovdqa, sha256msg1" "vmovdqa xmm10, xmm11\nsha256msg1 xmm10, xmm12"
    Avx2 "vmovdqa, sha256msg2" "vmovdqa xmm10, xmm11\nsha256msg2 xmm10, xmm12"
    Avx2 "vpaddd ymm" "vpaddd ymm10, ymm11, ymm12"
    Avx2 "vpxor ymm" "vpxor ymm10, ymm11, ymm12"
    Avx2 "vpor ymm" "vpor ymm10, ymm11, ymm12"
    Avx2 "vpsrld ymm" "vpsrld ymm10, ymm11, 3"
    Avx2 "vpslld ymm" "vpslld ymm10, ymm11, 3"
    Avx2 "vpunpckldq ymm" "vpunpckldq ymm10, ymm11, ymm12"
    // Upper halves in use slow SHA-NI down on some CPUs, but not those that `vzeroupper` leaves
    // alone.
    Avx512 "vpaddd ymm16+" "vpaddd ymm2\\i, ymm29, ymm30"
    Avx512 "vpxord ymm16+" "vpxord ymm2\\i, ymm29, ymm30"
    Avx512 "vpternlogd ymm16+" "vpternlogd ymm2\\i, ymm29, ymm30, 150"
    Avx512 "vpsrld ymm16+" "vpsrld ymm2\\i, ymm29, 3"
    Avx512 "vprord ymm16+" "vprord ymm2\\i, ymm29, 7"
    Avx512 "vpunpckldq ymm16+" "vpunpckldq ymm2\\i, ymm29, ymm30"
};

/// As many rotations and additions.
macro_rules! rotations_and_additions {
    ($number:literal) => {
        concat!(
            ".rept ",
            $number,
            "\n",
            "vprord ymm21, ymm29, 7\n",
            ".endr\n",
            ".rept ",
            $number,
            "\n",
            "vpaddd ymm22, ymm29, ymm30\n",
            ".endr\n",
        )
    };
}

/// Half of a schedule word: one of the two `small_sigma`, its exclusive or as given, and two
/// additions.
macro_rules! half_a_word {
    ($xor3:expr) => {
        concat!(
            "vprord ymm21, ymm29, 7\n",
            "vprord ymm22, ymm29, 18\n",
            "vpsrld ymm23, ymm29, 3\n",
            $xor3,
            "vpaddd ymm21, ymm21, ymm30\n",
            "vpaddd ymm21, ymm21, ymm30\n",
        )
    };
}

macro_rules! one_vpternlogd {
    () => {
        "vpternlogd ymm21, ymm22, ymm23, 150\n"
    };
}

macro_rules! two_vpxord {
    () => {
        "vpxord ymm21, ymm21, ymm22\nvpxord ymm21, ymm21, ymm23\n"
    };
}

/// Two words interleaved and stored.
macro_rules! stores {
    () => {
        concat!(
            "vpunpckldq ymm24, ymm29, ymm30\n",
            "vmovdqa64 ymmword ptr [rsi + 64], ymm24\n",
            "vpunpckhdq ymm25, ymm29, ymm30\n",
            "vmovdqa64 ymmword ptr [rsi + 96], ymm25\n",
        )
    };
}

/// About what of the schedule falls to eight of the rounds' instructions in `avx512-sha`.
macro_rules! share {
    ($xor3:expr) => {
        concat!(
            half_a_word!($xor3),
            half_a_word!($xor3),
            half_a_word!($xor3),
            stores!(),
        )
    };
}

macro_rules! sequences {
    ($($name:literal $body:expr;)*) => {
        &[$(Row { name: $name, needs: Needs::Avx512, loops: &[passes!($body)] },)*]
    };
}

static SEQUENCES: &[Row] = sequences! {
    "1 of the rounds, 1 rotation, 1 addition" groups!(1, rotations_and_additions!(1));
    "the same, and a nop" groups!(1, concat!(rotations_and_additions!(1), "nop\n"));
    "2 of the rounds, 2 rotations, 2 additions" groups!(2, rotations_and_additions!(2));
    "the same, and a nop" groups!(2, concat!(rotations_and_additions!(2), "nop\n"));
    "4 of the rounds, 4 rotations, 4 additions" groups!(4, rotations_and_additions!(4));
    "the same, and a nop" groups!(4, concat!(rotations_and_additions!(4), "nop\n"));
    "a share of the schedule spread over 8 of the rounds, with vpternlogd" groups!(
        half_a_word!(one_vpternlogd!()),
        half_a_word!(one_vpternlogd!()),
        half_a_word!(one_vpternlogd!()),
        stores!()
    );
    "the same share behind the 8" groups!(8, share!(one_vpternlogd!()));
    "spread, with two vpxord in place of each vpternlogd" groups!(
        half_a_word!(two_vpxord!()),
        half_a_word!(two_vpxord!()),
        half_a_word!(two_vpxord!()),
        stores!()
    );
    "behind the 8, with two vpxord" groups!(8, share!(two_vpxord!()));
    "behind the 8, with two vpxord, and a nop behind each 2 of the rounds" groups!(
        "nop",
        "nop",
        "nop",
        concat!("nop\n", share!(two_vpxord!()))
    );
};
