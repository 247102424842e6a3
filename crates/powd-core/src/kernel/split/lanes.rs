//! The schedule in vectors of 256 bits: one message per lane.

use std::arch::x86_64::__m256i;

use super::pairs::LanePairs;
use super::plan::{Plan, Spread};
use super::quartet::{Quartet, Xmm1To8, Xmm9To17};
use super::{Batch, MESSAGES, Weaver};
use crate::sha256::{Hoisted, K, Schedule, Step, Template};
use crate::simd::{Avx2, Avx512Vl, Pinned, ShaNi, Simd, State};

/// How a schedule in vectors of 256 bits is best woven into the rounds.
pub(in crate::kernel) trait Tuning: Simd<Words = __m256i> + Into<Avx2> {
    /// The quartet for the upper four lanes.
    type Upper: Quartet;
    /// Whether there are registers for the rounds of both quartets at once.
    const SIDE_BY_SIDE: bool;
    /// Instructions of a rotation.
    const COST_OF_ROTATION: usize;
    /// Where the pieces best stand among the rounds: by measurement.
    const SPREAD: Spread;

    /// Four equal states for the upper four lanes.
    fn upper(self, sha: ShaNi, state: State) -> Self::Upper;
}

impl Tuning for Avx2 {
    type Upper = Xmm1To8;
    /// Eight states and the schedule do not fit into 16 registers.
    const SIDE_BY_SIDE: bool = false;
    const COST_OF_ROTATION: usize = 3;
    const SPREAD: Spread = Spread::SINGLY;

    #[inline(always)]
    fn upper(self, sha: ShaNi, state: State) -> Xmm1To8 {
        Xmm1To8::new(sha, state)
    }
}

impl Tuning for Avx512Vl {
    type Upper = Xmm9To17;
    const SIDE_BY_SIDE: bool = true;
    const COST_OF_ROTATION: usize = 1;
    /// Behind each pair of rounds of all eight messages, but for the first two pairs. With a
    /// [`nop`](super::quartet::nop) behind each slot a prototype of this loop did 106 to 110
    /// million hashes/s on Zen 4, without these 92 to 100; five instructions behind each slot, the
    /// best before, 96 (2026-11).
    const SPREAD: Spread = Spread { bare: 8, group: 4 };

    #[inline(always)]
    fn upper(self, sha: ShaNi, state: State) -> Xmm9To17 {
        Xmm9To17::new(sha, self, state)
    }
}

/// A piece of the schedule, about one instruction.
#[derive(Clone, Copy)]
enum Piece {
    /// A step towards `W[t]`.
    Step(Step),
    /// `W[t] + K[t]`.
    AddK,
    /// Half 0 or 1 of the pairs of an odd word and the one before it:
    /// [interleaved](Avx2::interleave) and stored.
    Store(usize),
}

/// The piece number `i` of the word `W[t]`, if it needs that one.
const fn piece_of_word(t: usize, i: usize) -> Option<Piece> {
    const ADD_K: usize = Step::ALL.len();
    if i < ADD_K {
        return match Step::ALL[i].is_needed(t) {
            true => Some(Piece::Step(Step::ALL[i])),
            false => None,
        };
    }
    match i - ADD_K {
        0 => Some(Piece::AddK),
        half @ (1 | 2) if !t.is_multiple_of(2) => Some(Piece::Store(half - 1)),
        _ => None,
    }
}

/// Calls of [`piece_of_word`] for a word.
const CANDIDATES: usize = Step::ALL.len() + 3;

/// How many pieces there are.
const PIECES: usize = {
    let (mut count, mut i) = (0, 0);
    while i < 48 * CANDIDATES {
        count += piece_of_word(16 + i / CANDIDATES, i % CANDIDATES).is_some() as usize;
        i += 1;
    }
    count
};

/// All pieces in order, each with the word of which it is one.
const ALL_PIECES: [(usize, Piece); PIECES] = {
    let mut pieces = [(16, Piece::AddK); PIECES];
    let (mut count, mut i) = (0, 0);
    while i < 48 * CANDIDATES {
        let t = 16 + i / CANDIDATES;
        if let Some(piece) = piece_of_word(t, i % CANDIDATES) {
            pieces[count] = (t, piece);
            count += 1;
        }
        i += 1;
    }
    pieces
};

/// Instructions of an exclusive or of three: AVX2 has no single one, and AVX-512's is not used
/// here.
const COST_OF_XOR3: usize = 2;

/// Instructions of each piece.
const fn costs<S: Tuning>() -> [usize; PIECES] {
    let mut costs = [1; PIECES];
    let mut i = 0;
    while i < PIECES {
        costs[i] = match ALL_PIECES[i].1 {
            Piece::Step(step) if step.is_rotation() => S::COST_OF_ROTATION,
            Piece::Step(step) if step.is_xor() => COST_OF_XOR3,
            Piece::Step(_) | Piece::AddK => 1,
            Piece::Store(_) => 2,
        };
        i += 1;
    }
    costs
}

/// Makes schedules in lanes.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'t, S> {
    pub(super) simd: S,
    pub(super) template: &'t Template,
}

/// The schedule of a batch, and how far it is.
pub(super) struct Progress<'t, S: Tuning> {
    simd: Pinned<S>,
    hoisted: &'t Hoisted,
    schedule: Schedule<'t, Pinned<S>>,
    /// `W + K` of the last even word and of the one behind it.
    words_plus_k: [S::Words; 2],
}

// SAFETY: `begin` sets both halves of pair 0. `ALL_PIECES` has both halves of the pair of each odd
// word from 17 on, 8 to 31, and `costs` gives each of them a place in the plan, which has room for
// all or does not compile.
unsafe impl<'t, S: Tuning> Weaver for Lanes<'t, S> {
    type Upper = S::Upper;
    type Pairs = LanePairs;
    type Progress = Progress<'t, S>;
    const SIDE_BY_SIDE: bool = S::SIDE_BY_SIDE;
    const PLAN: &'static Plan = &Plan::even(costs::<S>(), S::SPREAD);

    #[inline(always)]
    fn upper(self, sha: ShaNi, state: State) -> S::Upper {
        self.simd.upper(sha, state)
    }

    #[inline(always)]
    fn unset() -> LanePairs {
        LanePairs::unset()
    }

    #[inline(always)]
    fn begin(self, batch: &Batch, pairs: &mut LanePairs) -> Progress<'t, S> {
        const { assert!(S::LANES == MESSAGES) }
        let simd = Pinned(self.simd);
        let hoisted = self.template.hoisted();
        let word0 = simd.with_upper_halves(batch.row, batch.upper_halves);
        let first = [
            simd.add(word0, simd.splat(K[0])),
            simd.splat(hoisted.words_plus_k[1]),
        ];
        let avx2: Avx2 = self.simd.into();
        for half in [0, 1] {
            pairs.set(0, half, avx2.interleave(first[0], first[1], half));
        }
        Progress {
            simd,
            hoisted,
            schedule: Schedule::new(simd, hoisted, word0),
            words_plus_k: first,
        }
    }

    #[inline(always)]
    fn piece(progress: &mut Progress<'t, S>, pairs: &mut LanePairs, number: usize) {
        let simd = progress.simd;
        let (t, piece) = ALL_PIECES[number];
        match piece {
            Piece::Step(step) => progress.schedule.step(t, step),
            Piece::AddK => {
                progress.words_plus_k[t % 2] = match progress.hoisted.word_plus_k(t) {
                    Some(word_plus_k) => simd.splat(word_plus_k),
                    None => simd.add(progress.schedule.finish(t), simd.splat(K[t])),
                };
            }
            Piece::Store(half) => {
                let [even, odd] = progress.words_plus_k;
                let avx2: Avx2 = simd.0.into();
                pairs.set(t / 2, half, simd.pin(avx2.interleave(even, odd, half)));
            }
        }
    }
}
