//! The plain way to use vectors: one message per lane, everything in lanes.

use super::heads::{Batches, Heads, MAX_LANES};
use crate::sha256::{Template, compress_first, compress_later};
use crate::simd::Simd;

/// The next head whose first state word is at most `bound`.
#[inline(always)]
pub(super) fn next_at_most<S: Simd>(
    simd: S,
    template: &Template,
    heads: &mut Heads<'_>,
    bound: u32,
) -> Option<u32> {
    const { assert!(S::LANES <= MAX_LANES) }
    // A loop, not an iterator's method: a closure is a function of its own, without the instruction
    // set.
    for batch in Batches::new(template, heads, S::LANES) {
        let word0 = simd.with_upper_halves(batch.row, batch.upper_halves);
        let first = match template.later_words_plus_k() {
            // Apart from the next arm, which needs all eight words: here only one is computed to
            // its end.
            [] => compress_first(simd, template.hoisted(), word0)[0],
            later => {
                let mut state = compress_first(simd, template.hoisted(), word0);
                for words in later {
                    state = compress_later(simd, words, state);
                }
                state[0]
            }
        };
        if let Some(head) = batch.lowest(simd.lanes_at_most(first, bound)) {
            return Some(head);
        }
    }
    None
}
