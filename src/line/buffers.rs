//! Buffers, lent to a connection only while it has bytes in them.
//!
//! An idle connection owns none, so ten thousand of them cost little. A worker keeps the free ones:
//! after warm-up nothing is allocated. Rejected: one pair of buffers per connection (48 KiB, idle
//! or not); one size (a request waiting behind a hard one would hold 16 KiB for 20 bytes).

use std::convert::Infallible;
use std::fmt::{self, Write as _};

use powd_core::Solution;

use crate::protocol::{ErrorLine, Reply};

/// The room for what waits: bytes of unanswered requests that fit are moved here from a large
/// buffer.
const SMALL: usize = 2048;

/// Replies are gathered up to this size before they are written. 32 KiB: 300 short replies.
const OUTPUT: usize = 32 * 1024;

/// A large input buffer; more when one message needs more.
const INPUT: usize = 16 * 1024;

/// Free large buffers that a worker keeps. A burst of more connections than this, all with much to
/// say at once, allocates; what it allocated goes back to the system afterwards.
const KEPT: usize = 256;

/// Free small buffers that a worker keeps, 8 MiB: as many connections can wait for a hard search.
const KEPT_SMALL: usize = 4096;

/// Bytes in a fixed room: taken from the front, added at the end.
#[derive(Debug)]
pub(crate) struct Buffer {
    room: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn with_capacity(capacity: usize) -> Buffer {
        Buffer {
            room: vec![0; capacity].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// The bytes in it.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.room[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Room left behind the bytes in it.
    pub(crate) fn spare(&self) -> usize {
        self.room.len() - self.end
    }

    /// The room behind the bytes in it, to read into; see [`Buffer::added`].
    pub(crate) fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.end..]
    }

    /// Counts `count` bytes, written to [`Buffer::spare_mut`], as filled.
    pub(crate) fn added(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.room.len());
    }

    /// Takes `count` bytes from the front.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Adds `bytes`, for which there must be room.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Adds the reply line of `solution` to `message`, for which there must be room.
    #[inline(always)]
    pub(crate) fn push_reply(&mut self, message: &[u8], solution: &Solution) {
        let Ok(()) = Reply::write_solution(message, solution, |piece| {
            self.push(piece);
            Ok::<(), Infallible>(())
        });
    }

    /// Adds an error line, for which there must be room.
    pub(crate) fn push_error(&mut self, error: ErrorLine) {
        // It fails only without that room.
        let _ = write!(self, "{error}");
    }

    /// Moves the bytes to the front, so that all free room is behind them.
    pub(crate) fn compact(&mut self) {
        if self.start > 0 {
            self.room.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.spare() {
            return Err(fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}

/// The free buffers of one worker, last in, first out: the next one lent is warm in the cache.
#[derive(Debug)]
pub(crate) struct Pool {
    input_size: usize,
    output_size: usize,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
    smalls: Vec<Buffer>,
}

impl Pool {
    /// Buffers for requests of up to `longest_request` and replies of up to `longest_reply` bytes.
    pub(crate) fn new(longest_request: usize, longest_reply: usize) -> Pool {
        Pool {
            input_size: INPUT.max(longest_request),
            output_size: OUTPUT.max(longest_reply),
            inputs: Vec::with_capacity(KEPT),
            outputs: Vec::with_capacity(KEPT),
            smalls: Vec::with_capacity(KEPT_SMALL),
        }
    }

    /// An input buffer with room to read into: `held` with its bytes, if it has that room, else a
    /// larger one that they were moved to.
    pub(crate) fn input(&mut self, held: Option<Buffer>) -> Buffer {
        match held {
            Some(mut large) if large.room.len() == self.input_size => {
                large.compact();
                large
            }
            held => {
                let mut large = self
                    .inputs
                    .pop()
                    .unwrap_or_else(|| Buffer::with_capacity(self.input_size));
                if let Some(small) = held {
                    large.push(small.filled());
                    self.keep_small(small);
                }
                large
            }
        }
    }

    /// Takes an input buffer back, or exchanges it for a small one that holds what is left in it.
    pub(crate) fn settle_input(&mut self, held: Buffer) -> Option<Buffer> {
        if held.is_empty() {
            self.keep_input(held);
            return None;
        }
        if held.room.len() == self.input_size && held.len() <= SMALL {
            let mut small = self
                .smalls
                .pop()
                .unwrap_or_else(|| Buffer::with_capacity(SMALL));
            small.push(held.filled());
            self.keep_input(held);
            return Some(small);
        }
        Some(held)
    }

    /// Takes an input buffer back, with whatever is in it.
    pub(crate) fn keep_input(&mut self, buffer: Buffer) {
        if buffer.room.len() < self.input_size {
            self.keep_small(buffer);
        } else {
            keep(&mut self.inputs, buffer);
        }
    }

    fn keep_small(&mut self, mut buffer: Buffer) {
        if self.smalls.len() < KEPT_SMALL {
            buffer.clear();
            self.smalls.push(buffer);
        }
    }

    /// An empty output buffer.
    pub(crate) fn output(&mut self) -> Buffer {
        self.outputs
            .pop()
            .unwrap_or_else(|| Buffer::with_capacity(self.output_size))
    }

    /// Takes an output buffer back, with whatever is in it.
    pub(crate) fn keep_output(&mut self, buffer: Buffer) {
        keep(&mut self.outputs, buffer);
    }
}

fn keep(free: &mut Vec<Buffer>, mut buffer: Buffer) {
    if free.len() < KEPT {
        buffer.clear();
        free.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_order_through_every_exchange() {
        let mut pool = Pool::new(100, 100);
        let mut held = Some(pool.input(None));
        let mut expected = Vec::new();
        for round in 0..2000u32 {
            let mut buffer = pool.input(held.take());
            let bytes = round.to_le_bytes();
            buffer.push(&bytes);
            expected.extend_from_slice(&bytes);
            let taken = (round as usize % 7).min(buffer.len());
            assert_eq!(buffer.filled()[..taken], expected[..taken]);
            buffer.take(taken);
            expected.drain(..taken);
            held = pool.settle_input(buffer);
            assert_eq!(held.as_ref().map_or(&[][..], Buffer::filled), &expected[..]);
        }
    }

    #[test]
    fn what_is_small_is_held_small_and_what_is_empty_not_at_all() {
        let mut pool = Pool::new(100, 100);
        let buffer = pool.input(None);
        assert!(pool.settle_input(buffer).is_none());
        let mut buffer = pool.input(None);
        buffer.push(b"waiting");
        let held = pool.settle_input(buffer).expect("seven bytes");
        assert_eq!(held.room.len(), SMALL);
        let mut buffer = pool.input(Some(held));
        buffer.push(&[7; SMALL]);
        assert_eq!(
            pool.settle_input(buffer)
                .expect("more than small")
                .room
                .len(),
            INPUT
        );
    }
}
