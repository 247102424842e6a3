//! Arm's SHA2 extension: four rounds, or a part of the message schedule, in one instruction.

use std::arch::aarch64::*;

witness! {
    /// Proof that this CPU has the SHA2 extension, and NEON, whose registers it uses.
    ArmSha: "neon", "sha2"
}

/// The state of one message as the instructions take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The words `a` to `d`, the first one least significant.
    pub(crate) abcd: uint32x4_t,
    /// The words `e` to `h`.
    pub(crate) efgh: uint32x4_t,
}

impl ArmSha {
    /// Four words, the first one least significant.
    #[inline(always)]
    pub(crate) fn words(self, words: [u32; 4]) -> uint32x4_t {
        // SAFETY: `self` is a witness: this CPU has NEON. There are four words to read.
        unsafe { vld1q_u32(words.as_ptr()) }
    }

    /// One word, and zeros behind it.
    #[inline(always)]
    pub(crate) fn word(self, word: u32) -> uint32x4_t {
        let zeros = intrinsic!(self, vdupq_n_u32(0));
        intrinsic!(self, vsetq_lane_u32::<0>(word, zeros))
    }

    /// A state from its eight words `a` to `h`.
    #[inline(always)]
    pub(crate) fn state(self, [a, b, c, d, e, f, g, h]: [u32; 8]) -> State {
        State {
            abcd: self.words([a, b, c, d]),
            efgh: self.words([e, f, g, h]),
        }
    }

    /// Word-wise addition.
    #[inline(always)]
    pub(crate) fn add(self, x: uint32x4_t, y: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, vaddq_u32(x, y))
    }

    /// Word-wise addition of two states.
    #[inline(always)]
    pub(crate) fn add_states(self, x: State, y: State) -> State {
        State {
            abcd: self.add(x.abcd, y.abcd),
            efgh: self.add(x.efgh, y.efgh),
        }
    }

    /// The last three words of one quad and the first of the next.
    #[inline(always)]
    pub(crate) fn behind_the_first(self, x: uint32x4_t, next: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, vextq_u32::<1>(x, next))
    }

    /// Four rounds.
    #[inline(always)]
    pub(crate) fn four_rounds(
        self,
        State { abcd, efgh }: State,
        words_plus_k: uint32x4_t,
    ) -> State {
        State {
            abcd: intrinsic!(self, sha256h(abcd, efgh, words_plus_k)),
            efgh: intrinsic!(self, sha256h2(efgh, abcd, words_plus_k)),
        }
    }

    /// The first part of four schedule words: `W[t-16] + small_sigma0(W[t-15])`, from the four
    /// words at `t - 16` and those behind them.
    #[inline(always)]
    pub(crate) fn schedule_early(self, back16: uint32x4_t, back12: uint32x4_t) -> uint32x4_t {
        intrinsic!(self, sha256su0(back16, back12))
    }

    /// Four schedule words: adds `W[t-7]` and `small_sigma1(W[t-2])` to the first part, from the
    /// four words at `t - 8` and those behind them.
    #[inline(always)]
    pub(crate) fn schedule_late(
        self,
        early: uint32x4_t,
        back8: uint32x4_t,
        back4: uint32x4_t,
    ) -> uint32x4_t {
        intrinsic!(self, sha256su1(early, back8, back4))
    }

    /// The word `a` of a state.
    #[inline(always)]
    pub(crate) fn first_word(self, state: State) -> u32 {
        intrinsic!(self, vgetq_lane_u32::<0>(state.abcd))
    }
}

/// Stamps a function of one instruction, by the name that the manual has for it. The intrinsics ask
/// to be inlined always, which only a function with the feature may be asked for.
macro_rules! instructions {
    ($($name:ident($($operand:ident),*) = $intrinsic:ident;)*) => {
        $(
            #[inline]
            #[target_feature(enable = "sha2")]
            fn $name($($operand: uint32x4_t),*) -> uint32x4_t {
                $intrinsic($($operand),*)
            }
        )*
    };
}

instructions! {
    sha256h(abcd, efgh, words_plus_k) = vsha256hq_u32;
    sha256h2(efgh, abcd, words_plus_k) = vsha256h2q_u32;
    sha256su0(back16, back12) = vsha256su0q_u32;
    sha256su1(early, back8, back4) = vsha256su1q_u32;
}
