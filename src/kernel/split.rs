//! The split kernel: the message schedule in vectors, the rounds by SHA-NI, woven together.
//!
//! A batch is eight messages, one per lane.
//!
//! 1. Lane-wise, compute the schedule words 16 to 63 of all eight, add the round constants, and store them as
//!    pairs (`W[t] + K[t]`, `W[t+1] + K[t+1]`), eight pairs to a cache line.
//! 2. For each pair of rounds, and each message: load its pair into `xmm0`, `sha256rnds2`.
//!
//! Neither uses the units of the other. So the first step for the *next* batch is cut into pieces, which are
//! spread among the rounds of *this* batch; two buffers take turns. `sha256msg1` and `sha256msg2` are not
//! used at all. Blocks after the first have no seed in them: rounds only.

use std::ops::Range;

use super::heads::{Batch, Batches};
use crate::sha256::{Hoisted, INITIAL_STATE, K, Schedule, Template, is_constant};
use crate::simd::{Low, Pairs, Quartet, ShaNi, Weave};

/// Pairs of rounds in a block.
const PAIRS: usize = 32;
/// Two rounds of a quartet are a slot: behind each one stand some pieces of the schedule.
const SLOTS: usize = 2 * PAIRS;
/// Each word of the schedule is two pieces: what is ready early, and the rest.
const PIECES: usize = 2 * (64 - 16);

/// Calls a macro with each number of a slot, in order.
macro_rules! for_each_slot {
    ($slot:ident) => {
        $slot!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        $slot!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        $slot!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        $slot!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    };
}

/// The pieces behind slot `s` are those from `PLAN[s]` to before `PLAN[s + 1]`: as evenly as their
/// cost allows.
const PLAN: [usize; SLOTS + 1] = {
    let mut total = 0;
    let mut piece = 0;
    while piece < PIECES {
        total += cost(piece);
        piece += 1;
    }
    let mut plan = [0; SLOTS + 1];
    let (mut slot, mut piece, mut spent) = (1, 0, 0);
    while slot <= SLOTS {
        // A piece is behind the slot in which its middle falls.
        while piece < PIECES && (2 * spent + cost(piece)) * SLOTS <= 2 * total * slot {
            spent += cost(piece);
            piece += 1;
        }
        plan[slot] = piece;
        slot += 1;
    }
    plan[SLOTS] = PIECES;
    plan
};

/// Vector instructions of a piece, about.
const fn cost(piece: usize) -> usize {
    let t = 16 + piece / 2;
    let sigma = 4;
    if piece.is_multiple_of(2) {
        let terms = !is_constant(t - 7) as usize + !is_constant(t - 16) as usize;
        if is_constant(t - 15) {
            terms
        } else {
            terms + sigma
        }
    } else {
        let interleave_and_store = if t.is_multiple_of(2) { 0 } else { 4 };
        let sum = if is_constant(t - 2) { 1 } else { 2 + sigma };
        if is_constant(t) {
            interleave_and_store
        } else {
            interleave_and_store + sum
        }
    }
}

/// The schedule of a batch, piece by piece.
struct Pieces<'a, S: Weave> {
    simd: S,
    hoisted: &'a Hoisted,
    schedule: Schedule<'a, S>,
    early: Option<S::Words>,
    /// `W + K` of the last even word.
    even: S::Words,
    pairs: &'a mut Pairs,
}

impl<'a, S: Weave> Pieces<'a, S> {
    /// The pair (0, 1), which is all that varies of the words before 16, and nothing yet of the rest.
    #[inline(always)]
    fn new(simd: S, template: &'a Template, batch: &Batch, pairs: &'a mut Pairs) -> Self {
        let hoisted = template.hoisted();
        let word0 = simd.with_upper_halves(batch.row, batch.upper);
        let even = simd.add(word0, simd.splat(K[0]));
        pairs.set(0, simd.pairs(even, simd.splat(hoisted.words_plus_k[1])));
        let schedule = Schedule::new(simd, hoisted, word0);
        Pieces {
            simd,
            hoisted,
            schedule,
            early: None,
            even,
            pairs,
        }
    }

    /// The pieces behind a slot.
    #[inline(always)]
    fn slot(&mut self, slot: usize) {
        macro_rules! pieces {
            ($($i:literal)*) => {
                $( if PLAN[slot] + $i < PLAN[slot + 1] { self.piece(PLAN[slot] + $i); } )*
            };
        }
        const { assert!(most_in_a_slot() <= 8) };
        pieces!(0 1 2 3 4 5 6 7);
    }

    /// The pieces of all slots.
    #[inline(always)]
    fn all(mut self) {
        macro_rules! slots {
            ($($slot:literal)*) => { $( self.slot($slot); )* };
        }
        for_each_slot!(slots);
    }

    #[inline(always)]
    fn piece(&mut self, piece: usize) {
        let simd = self.simd;
        let t = 16 + piece / 2;
        if piece.is_multiple_of(2) {
            if !is_constant(t) {
                self.early = self.schedule.early(t).map(|word| simd.pin(word));
            }
            return;
        }
        let word_plus_k = match self.hoisted.word_plus_k(t) {
            Some(word_plus_k) => simd.splat(word_plus_k),
            None => {
                let word = self.schedule.finish(t, self.early);
                simd.pin(simd.add(word, simd.splat(K[t])))
            }
        };
        if t.is_multiple_of(2) {
            self.even = word_plus_k;
        } else {
            let line = simd.pairs(self.even, word_plus_k);
            self.pairs.set(t / 2, line.map(|half| simd.pin(half)));
        }
    }
}

const fn most_in_a_slot() -> usize {
    let (mut most, mut slot) = (0, 0);
    while slot < SLOTS {
        let pieces = PLAN[slot + 1] - PLAN[slot];
        if pieces > most {
            most = pieces;
        }
        slot += 1;
    }
    most
}

/// The lowest head of the range whose first state word is at most `bound`.
#[inline(always)]
pub(super) fn scan<S: Weave>(
    simd: S,
    sha: ShaNi,
    template: &Template,
    heads: Range<u32>,
    bound: u32,
) -> Option<u32> {
    let mut buffers = [Pairs::new(), Pairs::new()];
    let [this, next] = &mut buffers;
    let (mut this, mut next) = (this, next);
    let mut batches = Batches::new(template, heads, S::LANES);
    let mut batch = batches.next()?;
    Pieces::new(simd, template, &batch, this).all();
    loop {
        let following = batches.next();
        // Without a next batch the rounds stand alone: a short range pays for no more than it has.
        let mut states = match &following {
            Some(following) => {
                let pieces = Pieces::new(simd, template, following, next);
                first_block(simd, sha, template, this, Some(pieces))
            }
            None => first_block(simd, sha, template, this, None),
        };
        let mut add = INITIAL_STATE[0];
        if template.blocks() > 1 {
            add = 0;
            let initial = simd.quartets(sha, sha.state(INITIAL_STATE));
            states = sum(sha, states, initial);
            for words in template.later_words_plus_k() {
                states = later_block::<S>(sha, words, states);
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

/// The rounds of block 0 of one batch, and the schedule of the next.
#[inline(always)]
fn first_block<S: Weave>(
    simd: S,
    sha: ShaNi,
    template: &Template,
    pairs: &Pairs,
    mut next: Option<Pieces<S>>,
) -> (Low, S::Upper) {
    let constant = &template.hoisted().words_plus_k;
    let (mut lower, mut upper) = simd.quartets(sha, sha.state(INITIAL_STATE));
    macro_rules! rounds {
        ($quartet:ident, $number:literal, $pair:expr) => {
            // Words 2 to 15 are the same in all lanes.
            if matches!($pair, 1..=7) {
                $quartet.rounds_alike::<{ $pair }, _>(constant);
            } else {
                $quartet.rounds_apart::<{ $pair }, $number>(pairs);
            }
        };
    }
    macro_rules! slots {
        ($($slot:literal)*) => {
            $(
                match S::SIDE_BY_SIDE {
                    true if $slot % 2 == 0 => rounds!(lower, 0, $slot / 2),
                    true => rounds!(upper, 1, $slot / 2),
                    false if $slot < PAIRS => rounds!(lower, 0, $slot % PAIRS),
                    false => rounds!(upper, 1, $slot % PAIRS),
                }
                if let Some(pieces) = &mut next {
                    pieces.slot($slot);
                }
            )*
        };
    }
    for_each_slot!(slots);
    (lower, upper)
}

/// The states after a block that is the same for all messages.
#[inline(always)]
fn later_block<S: Weave>(
    sha: ShaNi,
    words: &[u32; 64],
    before: (Low, S::Upper),
) -> (Low, S::Upper) {
    let (mut lower, mut upper) = before;
    macro_rules! slots {
        ($($slot:literal)*) => {
            $(
                match S::SIDE_BY_SIDE {
                    true if $slot % 2 == 0 => lower.rounds_alike::<{ $slot / 2 }, _>(words),
                    true => upper.rounds_alike::<{ $slot / 2 }, _>(words),
                    false if $slot < PAIRS => lower.rounds_alike::<{ $slot % PAIRS }, _>(words),
                    false => upper.rounds_alike::<{ $slot % PAIRS }, _>(words),
                }
            )*
        };
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
