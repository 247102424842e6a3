//! SHA-NI alone: four messages side by side, because one leaves the unit idle for three of four cycles.
//!
//! Schedule words go four at a time here. Of block 0's, those from 1 to 15 are constant, and so is what
//! words 20 to 27 take from 4 to 15: it is computed once per scan for all messages.

use std::ops::Range;

use super::heads::Batches;
use crate::sha256::{INITIAL_STATE, K, Template};
use crate::simd::{ShaNi, State};

/// Messages side by side.
const STREAMS: usize = 4;

/// The lowest head of the range whose first state word is at most `bound`.
#[inline(always)]
pub(super) fn scan(sha: ShaNi, template: &Template, heads: Range<u32>, bound: u32) -> Option<u32> {
    let initial = sha.state(INITIAL_STATE);
    // A loop, not an iterator's method: a closure is a function of its own, without the instruction set.
    for batch in Batches::new(template, heads, STREAMS) {
        let first_words = std::array::from_fn(|i| batch.row | u32::from(batch.upper[i]) << 16);
        let mut states = first_block(sha, template, first_words);
        let mut add = INITIAL_STATE[0];
        if template.blocks() > 1 {
            add = 0;
            states = states.map(|state| sha.add_states(state, initial));
            for words in template.later_words_plus_k() {
                states = later_block(sha, words, states);
            }
        }
        if let Some(head) = batch.lowest(sha.first_words_at_most(states, add, bound)) {
            return Some(head);
        }
    }
    None
}

/// The working variables after the rounds of block 0.
#[inline(always)]
fn first_block(sha: ShaNi, template: &Template, first_words: [u32; STREAMS]) -> [State; STREAMS] {
    let (quads, _) = template.words().as_chunks();
    let (round_constants, _) = K.as_chunks();
    let constant = [0, 1, 2, 3].map(|quad| sha.words(quads[quad]));
    let mut states = [sha.state(INITIAL_STATE); STREAMS];
    // The last four quads of words of each message.
    let mut ring = first_words.map(|word| {
        let [_, b, c, d] = quads[0];
        [
            sha.words([word, b, c, d]),
            constant[1],
            constant[2],
            constant[3],
        ]
    });
    macro_rules! quads {
        ($($quad:literal)*) => {
            $(
                let k = sha.words(round_constants[$quad]);
                for stream in 0..STREAMS {
                    let ring = &mut ring[stream];
                    if $quad >= 4 {
                        let back = |quads: usize| ring[($quad + 4 - quads) % 4];
                        let early = sha.schedule_early(back(4), back(3));
                        let sum = sha.add(early, sha.schedule_back7(back(2), back(1)));
                        ring[$quad % 4] = sha.schedule_finish(sum, back(1));
                    }
                    states[stream] = sha.four_rounds(states[stream], sha.add(ring[$quad % 4], k));
                }
            )*
        };
    }
    quads!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    states
}

/// The states after a block that is the same for all messages.
#[inline(always)]
fn later_block(sha: ShaNi, words: &[u32; 64], before: [State; STREAMS]) -> [State; STREAMS] {
    let mut states = before;
    for &quad in words.as_chunks().0 {
        let quad = sha.words(quad);
        states = states.map(|state| sha.four_rounds(state, quad));
    }
    std::array::from_fn(|stream| sha.add_states(states[stream], before[stream]))
}
