//! A request that is being answered.

use std::time::{Duration, Instant};

/// A request whose message lies at the front of the input.
#[derive(Debug)]
pub(super) struct Request<T> {
    /// Bytes of the message.
    pub(super) length: usize,
    /// Bytes to take from the input when it is answered.
    pub(super) taken: usize,
    pub(super) since: Instant,
    pub(super) task: T,
    /// Whether it waits for helpers.
    pub(super) stalled: bool,
}

impl<T> Request<T> {
    /// How long ago it was received. Most are answered in the round that they came in, which is
    /// what the clock is read in; that takes a comparison, a difference of times a call.
    #[inline]
    pub(super) fn age(&self, now: Instant) -> Duration {
        if self.since == now {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.since)
        }
    }
}
