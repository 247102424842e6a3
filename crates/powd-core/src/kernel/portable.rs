//! The kernel of every processor: one seed at a time through the block function of the `sha2`
//! crate, which picks its own instructions.
//!
//! It also completes digests for the other kernels, which look at no more than the first word.

use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

use super::heads::{Batches, Heads};
use crate::pow::Digest;
use crate::sha256::{INITIAL_STATE, Template};

/// The next head whose first state word is at most `bound`.
pub(super) fn next_at_most(template: &Template, heads: &mut Heads<'_>, bound: u32) -> Option<u32> {
    let mut block = first_block(template);
    Batches::new(template, heads, 1).find_map(|batch| {
        block[..4].copy_from_slice(&batch.word0(0).to_be_bytes());
        batch.lowest(u32::from(state(&block, template)[0] <= bound))
    })
}

/// The digest of one head with the template's tail and message; nothing if there is no such head.
pub(super) fn digest(template: &Template, head: u32) -> Option<Digest> {
    let mut heads = Heads::from(head..head.checked_add(1)?);
    let batch = Batches::new(template, &mut heads, 1).next()?;
    let mut block = first_block(template);
    block[..4].copy_from_slice(&batch.word0(0).to_be_bytes());
    let mut digest = [0; 32];
    for (bytes, word) in digest
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip(state(&block, template))
    {
        *bytes = word.to_be_bytes();
    }
    Some(Digest::from(digest))
}

fn first_block(template: &Template) -> [u8; 64] {
    let mut block = [0; 64];
    for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip(template.words()) {
        *bytes = word.to_be_bytes();
    }
    block
}

#[inline]
fn state(first_block: &[u8; 64], template: &Template) -> [u32; 8] {
    let mut state = INITIAL_STATE;
    compress256(
        &mut state,
        std::slice::from_ref(GenericArray::from_slice(first_block)),
    );
    for block in template.later_blocks() {
        compress256(
            &mut state,
            std::slice::from_ref(GenericArray::from_slice(block)),
        );
    }
    state
}
