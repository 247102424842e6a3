//! Reading: how much is taken in, what came of it, and where a client's requests end.

use std::io;
use std::time::Instant;

use super::{Peer, Session, Shelf};
use crate::engine::Next;

/// The bytes that are still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// All that come.
    All,
    /// In a drain, those that had arrived when it began.
    Arrived(usize),
    /// In a drain, those of one read: none had arrived, and the client is new.
    First,
}

impl<T> Session<T> {
    /// Takes in that a drain begins: the `arrived` bytes that the socket holds are still read. Not
    /// what comes later, or a client that always has a request on its way would hold up the drain.
    pub(crate) fn begin_drain(&mut self, arrived: usize) {
        self.unread = match arrived {
            0 if self.is_new => Unread::First,
            _ => Unread::Arrived(arrived),
        };
        // The poll may not have told of it yet.
        self.readiness.readable = true;
        self.readiness.urgent = true;
    }

    /// Where to read to, for [`Step::Read`](super::Step::Read).
    pub(crate) fn room(&mut self, shelf: &mut Shelf<'_, T>) -> &mut [u8] {
        let held = self.input.take();
        let input = self.input.insert(shelf.pool.input(held));
        let most = match self.unread {
            Unread::All | Unread::First => usize::MAX,
            Unread::Arrived(bytes) => bytes,
        };
        let most = most.min(shelf.options.framing.read_limit());
        let room = input.spare().min(most);
        &mut input.spare_mut()[..room]
    }

    /// Takes in what a read into all of `room` bytes came to.
    pub(crate) fn received(&mut self, read: io::Result<usize>, room: usize, now: Instant) {
        match read {
            Ok(0) => self.reach_eof(now),
            Ok(count) => {
                if let Some(input) = &mut self.input {
                    let kept = self.cutter.received(&mut input.spare_mut()[..count]);
                    input.added(kept);
                }
                self.needs_input = false;
                self.is_new = false;
                self.moved = now;
                // A short read has emptied the socket (epoll(7)): the next bytes come with an
                // event. The end of the stream may have come with this one; and urgent data cuts a
                // read short.
                self.readiness.readable =
                    count == room || self.peer != Peer::Open || self.readiness.urgent;
                match &mut self.unread {
                    Unread::All => {}
                    Unread::Arrived(bytes) => *bytes = bytes.saturating_sub(count),
                    Unread::First => {
                        self.unread = Unread::Arrived(0);
                        // The end may be behind it.
                        self.readiness.readable = true;
                    }
                }
            }
            Err(error) => {
                self.readiness.readable = self.outlives(&error);
                self.readiness.urgent &= self.readiness.readable;
            }
        }
    }

    /// Takes in whether the stream ends behind the last byte that is read: then that makes the
    /// message before it whole.
    pub(crate) fn peeked(&mut self, is_end: bool, now: Instant) {
        if is_end {
            self.reach_eof(now);
        }
        self.readiness.readable = false;
    }

    fn reach_eof(&mut self, now: Instant) {
        self.half_close(now);
        if let Peer::HalfClosed { eof_read, .. } = &mut self.peer {
            *eof_read = true;
        }
        // It may make what is there a whole request.
        self.needs_input = false;
        self.readiness.readable = false;
    }

    pub(super) fn has_read_eof(&self) -> bool {
        matches!(self.peer, Peer::HalfClosed { eof_read: true, .. })
    }

    /// Takes in what a read that is to be forgotten came to.
    pub(crate) fn discarded(&mut self, read: io::Result<usize>) -> Next {
        match read {
            Ok(0) => Next::Close,
            Ok(_) => Next::Soon,
            Err(error) if self.outlives(&error) => Next::Soon,
            Err(_) if self.peer == Peer::Lost => Next::Close,
            Err(_) => Next::Event,
        }
    }
}
