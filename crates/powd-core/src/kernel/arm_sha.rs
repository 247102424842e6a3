//! Arm's SHA2 extension: four messages side by side, schedule and rounds by its instructions.
//!
//! `sha256h` and `sha256h2` do four rounds of one message, and the next four wait for both, four
//! cycles and more: one message alone leaves their unit idle most of the time. Two keep it busy
//! where their schedules fill the gaps; four do without, and where the latency is longer.
//!
//! `sha256su0` and `sha256su1` make four words of the schedule. Most processors have them wait for
//! the unit of the rounds. So what no head changes of the schedule is computed ahead of the scan,
//! which leaves nine of twelve `sha256su0`. Where there are four vector pipes (Neoverse V1, V2), it
//! is faster to do every other one of these nine by plain instructions of NEON, nine in place of
//! one; where there are two, slower.

use std::arch::aarch64::uint32x4_t;

use super::heads::{Batches, Heads, MAX_LANES};
use crate::sha256::{INITIAL_STATE, K, Template};
use crate::simd::{ArmSha, Neon, Simd, State};

/// Messages side by side. Three or four are the same for the first block; later ones, which have no
/// schedule, take 33 cycles with four and 49 with two (LLVM's model of Neoverse N1).
const MESSAGES: usize = 4;

/// The next head whose first state word is at most `bound`; with some of the schedule by NEON, or
/// without.
#[inline(always)]
pub(super) fn next_at_most<const BY_NEON: bool>(
    sha: ArmSha,
    template: &Template,
    heads: &mut Heads<'_>,
    bound: u32,
) -> Option<u32> {
    const { assert!(MESSAGES <= MAX_LANES) }
    let first = FirstBlock::new(sha, template);
    let initial = [sha.state(INITIAL_STATE); MESSAGES];
    // A loop, not an iterator's method: a closure is a function of its own, without the instruction
    // set.
    for batch in Batches::new(template, heads, MESSAGES) {
        let words0 = [0, 1, 2, 3].map(|message| batch.word0(message));
        let first_words = match template.later_words_plus_k() {
            // Apart from the next arm, which needs all of the state: here the last `sha256h2` falls
            // away.
            [] => first_words(
                sha,
                sum(sha, initial, first.rounds::<BY_NEON>(sha, words0, initial)),
            ),
            later => {
                let rounds = first.rounds::<BY_NEON>(sha, words0, initial);
                let mut states = sum(sha, initial, rounds);
                for words_plus_k in later {
                    states = sum(sha, states, later_rounds(sha, words_plus_k, states));
                }
                first_words(sha, states)
            }
        };
        let mut at_most = 0;
        for (message, word) in first_words.into_iter().enumerate() {
            at_most |= u32::from(word <= bound) << message;
        }
        if let Some(head) = batch.lowest(at_most) {
            return Some(head);
        }
    }
    None
}

/// Calls a macro with the number of each four rounds, in order.
macro_rules! for_each_quad {
    ($quads:ident) => {
        $quads!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    };
}

/// Block 0 while only word 0 varies, in quads of words, with zero for that word.
#[derive(Clone, Copy, Debug)]
struct FirstBlock {
    /// The words 0 to 15.
    words: [uint32x4_t; 4],
    /// The same, each with its round constant added.
    words_plus_k: [uint32x4_t; 4],
    /// `W[t-16] + small_sigma0(W[t-15])` of the words 16 to 27.
    early: [uint32x4_t; 3],
}

impl FirstBlock {
    #[inline(always)]
    fn new(sha: ArmSha, template: &Template) -> FirstBlock {
        let mut words = *template.words();
        words[0] = 0;
        let (quads, _) = words.as_chunks();
        let words = [0, 1, 2, 3].map(|quad| sha.words(quads[quad]));
        FirstBlock {
            words,
            words_plus_k: [0, 1, 2, 3].map(|quad| sha.add(words[quad], round_constants(sha, quad))),
            early: [0, 1, 2].map(|quad| sha.schedule_early(words[quad], words[quad + 1])),
        }
    }

    /// The states after the rounds of block 0, before they are added to those before it.
    #[inline(always)]
    fn rounds<const BY_NEON: bool>(
        &self,
        sha: ArmSha,
        words0: [u32; MESSAGES],
        mut states: [State; MESSAGES],
    ) -> [State; MESSAGES] {
        // The last four quads of each message.
        let mut rings = [self.words; MESSAGES];
        macro_rules! quads {
            ($($quad:literal)*) => {
                $(
                    for message in 0..MESSAGES {
                        let word0 = sha.word(words0[message]);
                        let words_plus_k = match $quad {
                            0 => sha.add(self.words_plus_k[0], word0),
                            1..=3 => self.words_plus_k[$quad % 4],
                            _ => {
                                let words = self.quad::<BY_NEON, $quad>(sha, word0, rings[message]);
                                rings[message][$quad % 4] = words;
                                sha.add(words, round_constants(sha, $quad))
                            }
                        };
                        states[message] = sha.four_rounds(states[message], words_plus_k);
                    }
                )*
            };
        }
        for_each_quad!(quads);
        states
    }

    /// A quad from the fifth on, of the message that begins with `word0`, from the four before it.
    #[inline(always)]
    fn quad<const BY_NEON: bool, const QUAD: usize>(
        &self,
        sha: ArmSha,
        word0: uint32x4_t,
        ring: [uint32x4_t; 4],
    ) -> uint32x4_t {
        let back = |quads: usize| ring[(QUAD - quads) % 4];
        let early = match QUAD {
            4 => sha.add(self.early[0], word0),
            5 | 6 => self.early[QUAD % 4],
            _ if BY_NEON && QUAD % 2 == 1 => early_by_neon(sha, back(4), back(3)),
            _ => sha.schedule_early(back(4), back(3)),
        };
        sha.schedule_late(early, back(2), back(1))
    }
}

/// What [`ArmSha::schedule_early`] does, by other instructions.
#[inline(always)]
fn early_by_neon(sha: ArmSha, back16: uint32x4_t, back12: uint32x4_t) -> uint32x4_t {
    let simd = Neon::from(sha);
    let back15 = sha.behind_the_first(back16, back12);
    let small_sigma0 = simd.xor3(
        simd.rotr::<7>(back15),
        simd.rotr::<18>(back15),
        simd.shr::<3>(back15),
    );
    simd.add(back16, small_sigma0)
}

/// The states after the rounds of a block that is the same for all messages, before they are added
/// to those before it.
#[inline(always)]
fn later_rounds(
    sha: ArmSha,
    words_plus_k: &[u32; 64],
    mut states: [State; MESSAGES],
) -> [State; MESSAGES] {
    let (quads, _) = words_plus_k.as_chunks();
    macro_rules! quads {
        ($($quad:literal)*) => {
            $(
                let words_plus_k = sha.words(quads[$quad]);
                for state in &mut states {
                    *state = sha.four_rounds(*state, words_plus_k);
                }
            )*
        };
    }
    for_each_quad!(quads);
    states
}

/// Word-wise addition of all states.
#[inline(always)]
fn sum(sha: ArmSha, x: [State; MESSAGES], y: [State; MESSAGES]) -> [State; MESSAGES] {
    [0, 1, 2, 3].map(|message| sha.add_states(x[message], y[message]))
}

/// The word `a` of each state.
#[inline(always)]
fn first_words(sha: ArmSha, states: [State; MESSAGES]) -> [u32; MESSAGES] {
    states.map(|state| sha.first_word(state))
}

#[inline(always)]
fn round_constants(sha: ArmSha, quad: usize) -> uint32x4_t {
    sha.words(K.as_chunks().0[quad])
}
