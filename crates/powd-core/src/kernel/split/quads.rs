//! The schedule by SHA-NI's own instructions: four words of one message at a time.
//!
//! `sha256msg1` and `sha256msg2` are two and four operations of the units that vectors use too, and
//! neither waits for the unit of the rounds (Zen 4). What makes them slow is to stand in one chain
//! with the rounds that wait for their words; here those are the rounds of the batch before.

use std::arch::x86_64::__m128i;

use super::pairs::QuadPairs;
use super::plan::{Plan, Spread};
use super::quartet::Xmm1To8;
use super::{Batch, MESSAGES, Weaver};
use crate::sha256::{K, Template};
use crate::simd::{ShaNi, State};

/// A piece is a quad of words of one message: quads 4 to 15. Four messages take turns, because each
/// quad of a message waits for the one before; then the other four.
const PIECES: usize = 12 * MESSAGES;

/// Makes schedules by quads.
#[derive(Clone, Copy)]
pub(super) struct Quads {
    sha: ShaNi,
    /// `W + K` of words 0 to 3, with zero for word 0.
    first_plus_k: __m128i,
    /// The words 12 to 15.
    last: __m128i,
    /// What no head changes of words 16 to 27. First: words 16 to 19 but for word 0 and
    /// `small_sigma1`. Second: words 20 to 23 but for word 16 and `small_sigma1`. Third: `W[t-16] +
    /// small_sigma0(W[t-15])` of words 24 to 27.
    early: [__m128i; 3],
}

impl Quads {
    #[inline(always)]
    pub(super) fn new(sha: ShaNi, template: &Template) -> Quads {
        let mut words = *template.words();
        words[0] = 0;
        let (quads, _) = words.as_chunks();
        let [first, second, third, last] = [0, 1, 2, 3].map(|quad| sha.words(quads[quad]));
        let none = sha.words([0; 4]);
        Quads {
            sha,
            first_plus_k: sha.add(first, round_constants(sha, 0)),
            last,
            early: [
                sha.add(
                    sha.schedule_early(first, second),
                    sha.schedule_back7(third, last),
                ),
                sha.add(
                    sha.schedule_early(second, third),
                    sha.schedule_back7(last, none),
                ),
                sha.schedule_early(third, last),
            ],
        }
    }
}

/// The schedules of a batch, and how far they are.
pub(super) struct Progress {
    quads: Quads,
    first_words: [u32; 8],
    /// The last four quads of the four messages that are at work.
    ring: [[__m128i; 4]; 4],
}

// SAFETY: the plan has room for every piece, or does not compile. The pieces are quads 4 to 15,
// pairs 8 to 31, of each of eight messages, and the first one of a message sets its pair 0, with
// quad 0.
unsafe impl Weaver for Quads {
    type Upper = Xmm1To8;
    type Pairs = QuadPairs;
    type Progress = Progress;
    /// Eight states and the schedule do not fit into 16 registers.
    const SIDE_BY_SIDE: bool = false;
    const PLAN: &'static Plan = &Plan::even([1; PIECES], Spread::SINGLY);

    #[inline(always)]
    fn upper(self, sha: ShaNi, state: State) -> Xmm1To8 {
        Xmm1To8::new(sha, state)
    }

    #[inline(always)]
    fn unset() -> QuadPairs {
        QuadPairs::unset()
    }

    #[inline(always)]
    fn begin(self, batch: &Batch, _: &mut QuadPairs) -> Progress {
        Progress {
            quads: self,
            first_words: std::array::from_fn(|message| batch.word0(message)),
            ring: [[self.last; 4]; 4],
        }
    }

    #[inline(always)]
    fn piece(progress: &mut Progress, pairs: &mut QuadPairs, piece: usize) {
        let Quads {
            sha,
            first_plus_k,
            last,
            early,
        } = progress.quads;
        let (message, quad, turn) = (piece / 48 * 4 + piece % 4, 4 + piece % 48 / 4, piece % 4);
        let ring = &mut progress.ring[turn];
        let back = |quads: usize| ring[(quad + 4 - quads) % 4];
        let (sum, before) = match quad {
            4 => {
                let word0 = sha.word(progress.first_words[message]);
                pairs.set(message, 0, sha.add(word0, first_plus_k));
                (sha.add(word0, early[0]), last)
            }
            5 => (sha.add(sha.first_as_last(back(1)), early[1]), back(1)),
            6 => (
                sha.add(sha.schedule_back7(back(2), back(1)), early[2]),
                back(1),
            ),
            _ => {
                let oldest = if quad == 7 { last } else { back(4) };
                let early = sha.schedule_early(oldest, back(3));
                (
                    sha.add(early, sha.schedule_back7(back(2), back(1))),
                    back(1),
                )
            }
        };
        let words = sha.pin(sha.schedule_finish(sum, before));
        ring[quad % 4] = words;
        let plus_k = sha.add(words, round_constants(sha, quad));
        pairs.set(message, quad, sha.pin(plus_k));
    }
}

#[inline(always)]
fn round_constants(sha: ShaNi, quad: usize) -> __m128i {
    sha.words(K.as_chunks().0[quad])
}
