//! One connection: bytes in, requests answered in order, bytes out.
//!
//! A connection gets turns from its worker. In a turn it does at most one read and one write, however many
//! requests the read brought, and as much searching as its budget allows. It reads only when it has no
//! whole request at hand, so what a client can make it hold is one read's worth; and it does nothing at
//! all while its client does not take what was written.

mod timeouts;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;
use timeouts::LINGER;

use super::admission::Permit;
use super::buffers::Buffer;
use super::kit::Kit;
use super::pace::{REQUEST_COST, seeds};
use super::reply::{ERROR_MAX, ErrorLine, REPLY_OVERHEAD, push_error, push_reply};
use super::request::Request;
use crate::protocol::{Cut, Framing, LineCutter, without_newlines};
use powd_core::{Difficulty, Progress};

/// The original server reads this much at a time, and `--framing reads` makes each read a message.
const READ_FRAME: usize = 8192;

/// What a connection needs after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn.
    Turn,
    /// The end of its turn, by [`Connection::write`], with those of other connections.
    Write,
    /// Another turn, but not at once: helpers must finish first.
    Later,
    /// A turn when its socket has news.
    Event,
    /// Nothing more: it is over.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests are read and answered.
    Open,
    /// What is in the output is written, then powd ends its stream.
    Closing,
    /// powd has ended its stream and waits, until then at most, for the client to end its own.
    Lingering(Instant),
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    difficulty: Difficulty,
    _permit: Permit,
    input: Option<Buffer>,
    output: Option<Buffer>,
    cutter: LineCutter,
    request: Option<Request>,
    phase: Phase,
    /// The socket may have bytes, or the end of the stream, for us.
    readable: bool,
    /// Urgent data may be among them.
    urgent: bool,
    /// The socket may take bytes.
    writable: bool,
    /// The input holds no whole request.
    hungry: bool,
    /// The end of the stream was read.
    ended: bool,
    /// Its request waits for helpers to finish their chunks.
    stalled: bool,
    /// The connection was reset, or a read or write failed.
    gone: bool,
    /// In a drain: the bytes that had arrived when it began and are still to be read.
    last_bytes: Option<u64>,
    /// When the client's end of stream arrived, read or not.
    half_closed: Option<Instant>,
    /// When bytes last moved, in or out.
    moved: Instant,
    /// Whether it waits for a turn.
    pub(super) queued: bool,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        difficulty: Difficulty,
        permit: Permit,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            difficulty,
            _permit: permit,
            input: None,
            output: None,
            cutter: LineCutter::default(),
            request: None,
            phase: Phase::Open,
            readable: false,
            urgent: false,
            writable: true,
            hungry: true,
            ended: false,
            stalled: false,
            gone: false,
            last_bytes: None,
            half_closed: None,
            moved: now,
            queued: false,
        }
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Takes in what the poll says of the socket; a turn must follow.
    pub(super) fn notice(&mut self, event: &Event, kit: &mut Kit) {
        // A reset shows as an error and as both directions closed. The latter alone is the orderly end of a
        // client whose own direction powd has closed before: what it has sent is still to be read, or closing
        // would reset the connection, and replies on their way would be lost.
        let lingering = matches!(self.phase, Phase::Lingering(_));
        if event.is_error() || (event.is_write_closed() && !lingering) {
            self.gone = true;
            // Not in its turn: while it waits for that, others would help with the search.
            self.cancel(kit);
        }
        if event.is_read_closed() {
            self.half_closed.get_or_insert(kit.now);
            if self.is_abandoned(kit) {
                // Nor with that of one whose end of stream means that it is gone.
                self.cancel(kit);
            }
        }
        self.readable |= event.is_readable() || event.is_read_closed();
        self.urgent |= event.is_priority();
        self.writable |= event.is_writable();
    }

    /// Has a drain begin: what has arrived by now is still answered. Not what comes later, or a client that always
    /// has a request on its way would hold up the drain.
    pub(super) fn begin_drain(&mut self) {
        // Where it fails the connection is lost, and ending it will say so.
        self.last_bytes = Some(rustix::io::ioctl_fionread(&self.stream).unwrap_or(0));
        self.readable = true;
        // The poll may not have told of it yet.
        self.urgent = true;
    }

    /// One turn: reads, answers, writes. Takes what it used from `budget`, in blocks.
    ///
    /// Replies that took a search to find wait for those of other connections in the same round. To write
    /// one wakes its client; on a machine that the two share, each by itself would have them take turns on the
    /// same core for every reply (100 connections at difficulty 4 with the client beside: 19 µs of system time
    /// for a reply, 30 without; Zen 4, 2026-11).
    pub(super) fn turn(&mut self, kit: &mut Kit, budget: &mut u64) -> Next {
        *budget = budget.saturating_sub(kit.pace.turn);
        if self.gone {
            return Next::Close;
        }
        if self.output.is_some() {
            // Of an earlier turn. Nothing more is answered before it is written, and it is tried before its
            // client counts as gone: that may have taken bytes all the time, and the poll tells of room only
            // when a third of the socket's buffer is free.
            return if self.writable {
                self.write(kit)
            } else if self.is_abandoned(kit) {
                Next::Close
            } else {
                // Not closed as idle either: the sweep has it tried once more first.
                Next::Event
            };
        }
        if self.is_abandoned(kit) || self.has_lingered(kit) {
            return Next::Close;
        }
        if matches!(self.phase, Phase::Lingering(_)) {
            return self.discard(kit);
        }
        self.stalled = false;
        if self.phase == Phase::Open {
            if self.hungry && self.readable {
                self.read(kit);
            }
            self.stalled = self.answer(kit, budget);
        }
        if self.output.is_some() && kit.pace.outlasts_a_write(self.difficulty) {
            Next::Write
        } else {
            self.write(kit)
        }
    }

    /// The end of a turn: writes what was answered.
    pub(super) fn write(&mut self, kit: &mut Kit) -> Next {
        self.send(kit);
        self.settle(kit);
        if self.output.is_some() && !self.writable {
            self.pause(kit);
        }
        self.next(kit)
    }

    /// Lets no core go on for a client that does not take its replies.
    fn pause(&mut self, kit: &mut Kit) {
        if let Some(request) = &mut self.request {
            request.stop_sharing(kit);
            self.stalled = false;
        }
    }

    /// Gives back what was lent, and cancels its search.
    pub(super) fn close(mut self, kit: &mut Kit) {
        kit.counters.connections_closed.add(1);
        self.cancel(kit);
        if let Some(input) = self.input.take() {
            kit.pool.keep_input(input);
        }
        if let Some(output) = self.output.take() {
            kit.pool.keep_output(output);
        }
    }

    /// Stops its search, on every core.
    fn cancel(&mut self, kit: &mut Kit) {
        if let Some(mut request) = self.request.take() {
            kit.counters.cancelled_searches.add(1);
            request.stop_sharing(kit);
        }
    }

    fn read(&mut self, kit: &mut Kit) {
        if self.last_bytes == Some(0) {
            // If the stream ends here, that makes the message before it whole.
            self.ended = matches!(self.stream.peek(&mut [0]), Ok(0));
            self.readable = false;
            return;
        }
        let allowed = self.last_bytes.and_then(|left| left.try_into().ok());
        let mut input = kit.pool.input(self.input.take());
        let before = input.len();
        let room = match kit.options.framing {
            Framing::Lines => input.spare(),
            Framing::Reads => input.spare().min(READ_FRAME),
        }
        .min(allowed.unwrap_or(usize::MAX));
        match self.stream.read(&mut input.spare_mut()[..room]) {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
                self.half_closed.get_or_insert(kit.now);
            }
            Ok(count) => {
                input.added(count);
                self.last_bytes = self
                    .last_bytes
                    .map(|left| left.saturating_sub(count as u64));
                self.hungry = false;
                self.moved = kit.now;
                // A short read has emptied the socket (epoll(7)): the next bytes come with an event. The
                // end of the stream may have come with this one; and urgent data cuts a read short.
                self.readable = count == room || self.half_closed.is_some() || self.urgent;
                if kit.options.framing == Framing::Reads {
                    let kept = without_newlines(input.filled_mut(before));
                    input.truncate(before + kept);
                }
            }
            Err(error) => {
                self.readable = self.outlives(&error);
                self.urgent &= self.readable;
            }
        }
        self.input = Some(input);
    }

    /// Whether an operation that failed so may be tried again at once; notes a connection that is lost.
    fn outlives(&mut self, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => false,
            ErrorKind::Interrupted => true,
            _ => {
                self.gone = true;
                false
            }
        }
    }

    /// Answers requests, in order, until none is whole, the output is full or the budget spent. Says
    /// whether it stopped to wait for helpers.
    fn answer(&mut self, kit: &mut Kit, budget: &mut u64) -> bool {
        while *budget > 0 && self.has_room(kit) {
            let Some(mut request) = self.request.take().or_else(|| self.cut(kit)) else {
                return false;
            };
            let deadline = kit.options.limits.deadline;
            if deadline.is_some_and(|limit| request.is_late(kit.now, limit)) {
                // Before it gets another slice: when there are more searches than time for them, those that
                // come to nothing must not take half of it.
                kit.counters.errors_deadline.add(1);
                self.refuse(kit, ErrorLine::Deadline);
                self.finish(&request);
                request.stop_sharing(kit);
                *budget = budget.saturating_sub(REQUEST_COST);
                continue;
            }
            let blocks = request.blocks(kit);
            let message = self
                .input
                .as_ref()
                .map_or(&[][..], |input| &input.filled()[..request.length]);
            let seeds = seeds(*budget, blocks);
            let (outcome, tally) = request.advance(kit, message, self.difficulty, seeds);
            *budget = budget.saturating_sub(tally.hashes * blocks + REQUEST_COST);
            match outcome {
                Progress::Found(solution) => {
                    let output = self.output.get_or_insert_with(|| kit.pool.output());
                    push_reply(output, message, &solution);
                    kit.counters.replies.add(1);
                    self.finish(&request);
                }
                Progress::Exhausted => {
                    kit.counters.errors_exhausted.add(1);
                    self.refuse(kit, ErrorLine::Exhausted);
                    self.finish(&request);
                }
                Progress::Pending => self.request = Some(request),
                Progress::Stalled => {
                    self.request = Some(request);
                    return true;
                }
            }
        }
        false
    }

    /// The next request of the input, if there is a whole one.
    fn cut(&mut self, kit: &mut Kit) -> Option<Request> {
        let max = kit.options.limits.max_message_bytes;
        let input = self.input.as_ref().map_or(&[][..], Buffer::filled);
        let cut = match kit.options.framing {
            Framing::Lines => self.cutter.cut(input, self.ended, max),
            // A read that brought only newlines is an empty message.
            Framing::Reads if self.hungry => Cut::Incomplete,
            Framing::Reads if input.len() > max => Cut::TooLong,
            Framing::Reads => Cut::Message {
                length: input.len(),
                taken: input.len(),
            },
        };
        match cut {
            Cut::Message { length, taken } => {
                kit.counters.requests.add(1);
                Some(Request::new(kit, length, taken))
            }
            Cut::Incomplete => {
                self.hungry = true;
                None
            }
            Cut::TooLong => {
                kit.counters.errors_too_long.add(1);
                self.refuse(kit, ErrorLine::TooLong { max });
                self.phase = Phase::Closing;
                if let Some(input) = self.input.take() {
                    kit.pool.keep_input(input);
                }
                None
            }
        }
    }

    /// Whether the output has room for the next reply, whichever it is.
    fn has_room(&self, kit: &Kit) -> bool {
        let longest = kit.options.limits.max_message_bytes + REPLY_OVERHEAD + ERROR_MAX;
        let Some(output) = &self.output else {
            return true;
        };
        // The next message is not cut yet; it is no longer than the input.
        let input = self.input.as_ref().map_or(0, Buffer::len);
        output.spare() >= longest.min(input + REPLY_OVERHEAD + ERROR_MAX)
    }

    fn refuse(&mut self, kit: &mut Kit, error: ErrorLine) {
        push_error(self.output.get_or_insert_with(|| kit.pool.output()), error);
    }

    /// Takes an answered request from the input.
    fn finish(&mut self, request: &Request) {
        if let Some(input) = &mut self.input {
            input.take(request.taken);
        }
        // One read, one message: the next message needs a read.
        self.hungry = self.input.as_ref().is_none_or(Buffer::is_empty);
    }

    fn send(&mut self, kit: &Kit) {
        let Some(output) = &mut self.output else {
            return;
        };
        match self.stream.write(output.filled()) {
            Ok(count) => {
                // A short write has filled the socket (epoll(7)).
                self.writable = count == output.len();
                output.take(count);
                self.moved = kit.now;
            }
            Err(error) => self.writable = self.outlives(&error),
        }
    }

    /// Gives back the buffers that are empty, and changes a large one for a small one where that holds all.
    fn settle(&mut self, kit: &mut Kit) {
        if let Some(output) = self.output.take_if(|output| output.is_empty()) {
            kit.pool.keep_output(output);
        }
        if let Some(output) = &mut self.output {
            output.compact();
        }
        if let Some(input) = self.input.take() {
            self.input = kit.pool.settle_input(input);
        }
    }

    fn next(&mut self, kit: &Kit) -> Next {
        if self.gone || self.is_abandoned(kit) {
            return Next::Close;
        }
        if self.is_idle(kit) {
            kit.counters.closed_idle.add(1);
            return Next::Close;
        }
        if self.output.is_some() {
            return if self.writable {
                Next::Turn
            } else {
                Next::Event
            };
        }
        if self.phase == Phase::Closing {
            return self.end_stream(kit);
        }
        if self.stalled {
            return Next::Later;
        }
        if self.request.is_some() || !self.hungry {
            return Next::Turn;
        }
        if self.ended {
            return Next::Close;
        }
        if self.readable {
            return Next::Turn;
        }
        if kit.draining {
            // Everything received is answered.
            return self.end_stream(kit);
        }
        Next::Event
    }

    /// Ends powd's side of the stream, and waits for the client to end its own.
    fn end_stream(&mut self, kit: &Kit) -> Next {
        if self.ended || self.stream.shutdown(Shutdown::Write).is_err() {
            return Next::Close;
        }
        self.phase = Phase::Lingering(kit.now + LINGER);
        self.readable = true;
        Next::Turn
    }

    /// Reads what a client still sends after the end of powd's stream, and forgets it.
    fn discard(&mut self, kit: &mut Kit) -> Next {
        let mut nowhere = kit.pool.input(self.input.take());
        nowhere.clear();
        let read = self.stream.read(nowhere.spare_mut());
        kit.pool.keep_input(nowhere);
        match read {
            Ok(0) => Next::Close,
            Ok(_) => Next::Turn,
            Err(error) if self.outlives(&error) => Next::Turn,
            Err(_) if self.gone => Next::Close,
            Err(_) => Next::Event,
        }
    }
}
