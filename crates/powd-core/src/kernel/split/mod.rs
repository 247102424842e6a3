//! The split kernel: the message schedule by one set of instructions, the rounds by SHA-NI, woven
//! together.
//!
//! A batch is eight messages.
//!
//! 1. Compute the schedule words 16 to 63 of all eight, add the round constants, and store them as
//!    pairs (`W[t] + K[t]`, `W[t+1] + K[t+1]`).
//! 2. For each pair of rounds, and each message: load its pair into `xmm0`, `sha256rnds2`.
//!
//! The rounds wait for one unit, the schedule has the others. So the first step for the *next*
//! batch is cut into pieces, which are spread among the rounds of *this* batch; two buffers take
//! turns. How the first step is done is a [`Weaver`]'s: [`lanes`] uses vectors, [`quads`] the
//! instructions that SHA-NI has for it. Blocks after the first have no seed in them: rounds only.
#![allow(
    unsafe_code,
    reason = "the rounds read pairs that must have been made: by a `Weaver`, in the order of things here"
)]

mod lanes;
mod pairs;
mod plan;
mod quads;
mod quartet;

use self::lanes::Tuning;
use self::pairs::WordPairs;
use self::plan::{MOST, Plan};
use self::quartet::{Quartet, Xmm1To8, nop};
use super::heads::{Batch, Batches, Heads};
use crate::sha256::{INITIAL_STATE, Template};
use crate::simd::{ShaNi, State};

/// Messages in a batch.
const MESSAGES: usize = 8;
/// Pairs of rounds in a block.
const ROUND_PAIRS: usize = 32;

/// A way to make the schedules of a batch, piece by piece.
///
/// # Safety
///
/// After [`begin`](Weaver::begin) and then each piece of the [`PLAN`](Weaver::PLAN) in its order,
/// all on the same progress and the same pairs, pair 0 and the pairs 8 to 31 of each message are
/// set. (Pairs 1 to 7 are the same for all messages, and not read from there.)
unsafe trait Weaver: Copy {
    /// The quartet of the upper four messages; that of the lower four is an [`Xmm1To8`].
    type Upper: Quartet;
    /// Where the schedules go.
    type Pairs: WordPairs;
    /// The schedules of a batch, and how far they are.
    type Progress;
    /// Whether there are registers for the rounds of both quartets at once.
    const SIDE_BY_SIDE: bool;
    /// Behind which rounds the pieces stand.
    const PLAN: &'static Plan;

    /// Four equal states for the upper four messages.
    fn upper(self, sha: ShaNi, state: State) -> Self::Upper;
    /// Memory for the schedules of a batch, without content.
    fn unset() -> Self::Pairs;
    /// What comes before the first piece.
    fn begin(self, batch: &Batch, pairs: &mut Self::Pairs) -> Self::Progress;
    /// One of the pieces, which are done in the order of their numbers.
    fn piece(progress: &mut Self::Progress, pairs: &mut Self::Pairs, piece: usize);
}

/// Calls a macro with each number of a slot, in order.
macro_rules! for_each_slot {
    ($slot:ident) => {
        $slot!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        $slot!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        $slot!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        $slot!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
        $slot!(64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        $slot!(80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95);
        $slot!(96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111);
        $slot!(112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127);
    };
}

/// The rounds of a slot: two of two states. Side by side, the quartets take turns within each pair
/// of rounds; else the upper one follows the lower. (Arms that are not taken are compiled too:
/// hence the remainders.)
macro_rules! rounds {
    ($weaver:ident, $slot:literal, $lower:ident, $upper:ident, $two_rounds:ident) => {
        match $weaver::SIDE_BY_SIDE {
            true if $slot / 2 % 2 == 0 => $two_rounds!($lower, 0, { $slot / 4 }, { $slot % 2 }),
            true => $two_rounds!($upper, 4, { $slot / 4 }, { $slot % 2 }),
            false if $slot / 2 < ROUND_PAIRS => {
                $two_rounds!($lower, 0, { $slot / 2 % ROUND_PAIRS }, { $slot % 2 })
            }
            false => $two_rounds!($upper, 4, { $slot / 2 % ROUND_PAIRS }, { $slot % 2 }),
        }
    };
}

/// The pieces behind a slot.
#[inline(always)]
fn pieces<W: Weaver>(progress: &mut W::Progress, pairs: &mut W::Pairs, slot: usize) {
    macro_rules! pieces {
        ($($i:literal)*) => {
            $( if let Some(piece) = W::PLAN.piece(slot, $i) { W::piece(progress, pairs, piece); } )*
        };
    }
    const { assert!(MOST == 24) };
    pieces!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
}

/// The whole schedule of a batch, on its own: sets every pair that [`first_block`] reads.
#[inline(always)]
fn all_pieces<W: Weaver>(weaver: W, batch: &Batch, pairs: &mut W::Pairs) {
    let mut progress = weaver.begin(batch, pairs);
    macro_rules! slots {
        ($($slot:literal)*) => { $( pieces::<W>(&mut progress, pairs, $slot); )* };
    }
    for_each_slot!(slots);
}

/// Schedules in lanes: the next head whose first state word is at most `bound`.
#[inline(always)]
pub(super) fn next_at_most_by_lanes<S: Tuning>(
    simd: S,
    sha: ShaNi,
    template: &Template,
    heads: &mut Heads<'_>,
    bound: u32,
) -> Option<u32> {
    next_at_most(lanes::Lanes { simd, template }, sha, template, heads, bound)
}

/// Schedules by quads: the next head whose first state word is at most `bound`.
#[inline(always)]
pub(super) fn next_at_most_by_quads(
    sha: ShaNi,
    template: &Template,
    heads: &mut Heads<'_>,
    bound: u32,
) -> Option<u32> {
    next_at_most(
        quads::Quads::new(sha, template),
        sha,
        template,
        heads,
        bound,
    )
}

#[inline(always)]
fn next_at_most<W: Weaver>(
    weaver: W,
    sha: ShaNi,
    template: &Template,
    heads: &mut Heads<'_>,
    bound: u32,
) -> Option<u32> {
    let mut buffers = [W::unset(), W::unset()];
    let [this, next] = &mut buffers;
    let (mut this, mut next) = (this, next);
    let mut batches = Batches::new(template, heads, MESSAGES);
    let mut batch = batches.next()?;
    all_pieces(weaver, &batch, this);
    loop {
        let following = batches.next();
        // Without a next batch the rounds stand alone: a short range pays for no more than it has.
        let mut states = match &following {
            // SAFETY: the pairs of `this` are set: for the first batch by `all_pieces`, for each
            // later one by the pieces among the rounds of the batch before, which had it as its
            // next.
            Some(following) => unsafe {
                first_block(weaver, sha, template, this, Some((following, &mut *next)))
            },
            // SAFETY: as in the arm before.
            None => unsafe { first_block(weaver, sha, template, this, None) },
        };
        let mut add = INITIAL_STATE[0];
        if template.blocks() > 1 {
            add = 0;
            states = sum(sha, states, initial(weaver, sha));
            for words in template.later_words_plus_k() {
                states = later_block::<W>(sha, words, states);
            }
        }
        let lower = sha.first_words_at_most(states.0.states(), add, bound);
        let upper = sha.first_words_at_most(states.1.states(), add, bound);
        if let Some(head) = batch.lowest(lower | upper << 4) {
            return Some(head);
        }
        batch = following?;
        std::mem::swap(&mut this, &mut next);
    }
}

/// The states of all messages before block 0.
#[inline(always)]
fn initial<W: Weaver>(weaver: W, sha: ShaNi) -> (Xmm1To8, W::Upper) {
    let state = sha.state(INITIAL_STATE);
    (Xmm1To8::new(sha, state), weaver.upper(sha, state))
}

/// The rounds of block 0 of one batch, and the whole schedule of the next.
///
/// # Safety
///
/// The pairs that the rounds read from `pairs` are set: pair 0 and the pairs 8 to 31 of each
/// message.
#[inline(always)]
unsafe fn first_block<W: Weaver>(
    weaver: W,
    sha: ShaNi,
    template: &Template,
    pairs: &W::Pairs,
    next: Option<(&Batch, &mut W::Pairs)>,
) -> (Xmm1To8, W::Upper) {
    let constant = &template.hoisted().words_plus_k;
    let (mut lower, mut upper) = initial(weaver, sha);
    let mut next = match next {
        Some((batch, pairs)) => Some((weaver.begin(batch, pairs), pairs)),
        None => None,
    };
    macro_rules! two_rounds {
        ($quartet:ident, $first:literal, $pair:expr, $half:expr) => {
            // Words 2 to 15 are the same in all messages.
            match $pair {
                // SAFETY: there are 11 pairs, all set, and 7 is the last one asked for.
                1..=7 => unsafe { $quartet.two_rounds::<_, $first, $pair, $half>(constant) },
                // SAFETY: the caller says that these, pair 0 and the pairs from 8 on, are set.
                _ => unsafe { $quartet.two_rounds::<_, $first, $pair, $half>(pairs) },
            }
        };
    }
    macro_rules! slots {
        ($($slot:literal)*) => {
            $(
                rounds!(W, $slot, lower, upper, two_rounds);
                if let Some((progress, pairs)) = &mut next {
                    if W::SIDE_BY_SIDE {
                        nop();
                    }
                    pieces::<W>(progress, pairs, $slot);
                }
            )*
        };
    }
    for_each_slot!(slots);
    (lower, upper)
}

/// The states after a block that is the same for all messages.
#[inline(always)]
fn later_block<W: Weaver>(
    sha: ShaNi,
    words: &[u32; 64],
    before: (Xmm1To8, W::Upper),
) -> (Xmm1To8, W::Upper) {
    let (mut lower, mut upper) = before;
    macro_rules! two_rounds {
        ($quartet:ident, $first:literal, $pair:expr, $half:expr) => {
            // SAFETY: a block has 64 words: 32 pairs, all set.
            unsafe { $quartet.two_rounds::<_, $first, $pair, $half>(words) }
        };
    }
    macro_rules! slots {
        ($($slot:literal)*) => { $( rounds!(W, $slot, lower, upper, two_rounds); )* };
    }
    for_each_slot!(slots);
    sum(sha, before, (lower, upper))
}

/// Word-wise addition of all states.
#[inline(always)]
fn sum<L: Quartet, U: Quartet>(sha: ShaNi, x: (L, U), y: (L, U)) -> (L, U) {
    #[inline(always)]
    fn one<Q: Quartet>(sha: ShaNi, x: Q, y: Q) -> Q {
        let (left, right) = (x.states(), y.states());
        x.with(std::array::from_fn(|i| sha.add_states(left[i], right[i])))
    }
    (one(sha, x.0, y.0), one(sha, x.1, y.1))
}
