//! A simulated socket, and the client at its other end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

use super::super::session::{Closed, Readiness};
use super::super::stream::Stream;

/// What lies between powd and the client.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Sent by the client, not read by powd.
    inbound: VecDeque<u8>,
    /// Where in `inbound` a read stops short: at urgent data.
    mark: Option<usize>,
    /// The client's direction is ended behind `inbound`.
    ended: bool,
    reset: bool,
    /// Written by powd, not taken by the client.
    outbound: VecDeque<u8>,
    capacity: usize,
    /// A write has found too little room.
    full: bool,
    /// powd's direction is ended.
    pub(super) is_ended_by_powd: bool,
    /// What the poll has not told of yet.
    ready: Readiness,
    closed: Closed,
    has_event: bool,
    /// The next operation is interrupted.
    pub(super) interrupt: bool,
}

/// powd's end.
#[derive(Clone, Debug)]
pub(super) struct Socket(pub(super) Rc<RefCell<Wire>>);

impl Wire {
    pub(super) fn new(capacity: usize) -> Wire {
        Wire {
            capacity,
            ..Wire::default()
        }
    }

    /// The client sends.
    pub(super) fn send(&mut self, bytes: &[u8], urgent: bool) {
        if urgent && self.mark.is_none() {
            self.mark = Some(self.inbound.len());
            self.ready.urgent = true;
        }
        self.inbound.extend(bytes);
        self.ready.readable = true;
        self.has_event = true;
    }

    /// The client takes up to `most` bytes. The poll tells of room only when a third is free.
    pub(super) fn take(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.outbound.len());
        let bytes = self.outbound.drain(..count).collect();
        if self.full && 3 * (self.capacity - self.outbound.len()) >= self.capacity {
            self.full = false;
            self.ready.writable = true;
            self.has_event = true;
        }
        bytes
    }

    /// The client ends its direction.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.closed.read = true;
        self.closed.write |= self.is_ended_by_powd;
        self.has_event = true;
    }

    /// The client resets the connection.
    pub(super) fn reset(&mut self) {
        self.reset = true;
        self.inbound.clear();
        self.closed = Closed {
            read: true,
            write: true,
            error: true,
        };
        self.has_event = true;
    }

    /// What the poll tells, once.
    pub(super) fn event(&mut self) -> Option<(Readiness, Closed)> {
        if !std::mem::take(&mut self.has_event) {
            return None;
        }
        // Directions that are closed are told of each time (epoll(7)).
        Some((std::mem::take(&mut self.ready), self.closed))
    }

    pub(super) fn has_event(&self) -> bool {
        self.has_event
    }

    /// Whether a read would bring something, be it the end.
    pub(super) fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.ended || self.reset
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.inbound.is_empty()
    }

    /// How many bytes powd has not read.
    pub(super) fn unread(&self) -> usize {
        self.inbound.len()
    }

    /// Whether a write would take something, or fail.
    pub(super) fn is_writable(&self) -> bool {
        self.outbound.len() < self.capacity || self.reset
    }

    /// Whether a write has found too little room, and the poll has not told of more since.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_reset(&self) -> bool {
        self.reset
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wire = &mut *self.0.borrow_mut();
        if std::mem::take(&mut wire.interrupt) {
            return Err(ErrorKind::Interrupted.into());
        }
        if wire.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if wire.inbound.is_empty() && !wire.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut most = buffer.len().min(wire.inbound.len());
        match wire.mark {
            Some(0) | None => wire.mark = None,
            Some(mark) => {
                most = most.min(mark);
                wire.mark = Some(mark - most);
            }
        }
        for (place, byte) in buffer.iter_mut().zip(wire.inbound.drain(..most)) {
            *place = byte;
        }
        Ok(most)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wire = &mut *self.0.borrow_mut();
        assert!(
            !wire.is_ended_by_powd,
            "written behind the end of the stream"
        );
        if wire.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let most = bytes.len().min(wire.capacity - wire.outbound.len());
        wire.full = most < bytes.len();
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.outbound.extend(&bytes[..most]);
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Socket {
    fn end(&mut self) -> io::Result<()> {
        let wire = &mut *self.0.borrow_mut();
        if wire.reset {
            return Err(ErrorKind::NotConnected.into());
        }
        wire.is_ended_by_powd = true;
        wire.closed.write |= wire.ended;
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        let wire = self.0.borrow();
        wire.inbound.is_empty() && wire.ended && !wire.reset
    }

    fn arrived(&self) -> io::Result<usize> {
        Ok(self.0.borrow().inbound.len())
    }
}
