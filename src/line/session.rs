//! The line protocol of one connection, without its socket and without a clock.
//!
//! Bytes go in, time goes in, bytes come out. A session says in each turn what its connection is to
//! do with the socket ([`Step`]), takes in what came of it, and answers requests in order. It reads
//! only when it has no whole request at hand, so what a client can make it hold is one read's
//! worth; and it does nothing at all while its client does not take what was written.
//!
//! It must not know sockets, polls or threads: the simulation beside it is all three.

mod answer;
mod reading;
mod request;
mod timeouts;

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use powd_core::Difficulty;

use super::buffers::{Buffer, Pool};
use super::counters::Counters;
use super::options::{Limits, Options};
use crate::engine::{Cancel, Class, Drain, Durations, Host, Next, Standing, Urgency};
use crate::protocol::Cutter;
use reading::Unread;
pub(crate) use request::Rooms;
use request::{Request, Slot};

/// How long a client may take to end its stream after powd has ended its own. Closing at once would
/// reset the connection if the client has sent more, and could cost it the last reply.
const LINGER: Duration = Duration::from_secs(1);

/// How long a drain waits for the first request of a client that has only just connected: it asks
/// at once, and its connection was accepted in between. To end it then would lose that request.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// What the sessions of one worker share.
#[derive(Debug)]
pub(crate) struct Shelf<'a, T> {
    pub(crate) options: &'a Options,
    pub(crate) counters: &'a Counters,
    pub(crate) durations: &'a Durations,
    pub(crate) pool: &'a mut Pool,
    pub(crate) rooms: &'a mut Rooms<T>,
}

/// What is known of the client's end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// It may send more.
    Open,
    /// It has ended its stream: it wants its replies, or has gone; the two look the same.
    HalfClosed {
        /// When that was heard of.
        since: Instant,
        /// All that it sent was read.
        eof_read: bool,
    },
    /// The connection was reset, or a read or write failed.
    Lost,
}

/// What the session does with its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Requests are read and answered.
    Open,
    /// What is in the output is written, then the stream is ended.
    Closing,
    /// The stream is ended. The client has until then to end its own.
    Lingering { until: Instant },
}

/// What the poll says of a socket, or has said and no operation has contradicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// It may have bytes, or the end of the stream.
    pub(crate) readable: bool,
    /// It may take bytes.
    pub(crate) writable: bool,
    /// Urgent data may be among the bytes.
    pub(crate) urgent: bool,
}

/// What an event says besides [`Readiness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The client's direction has ended.
    pub(crate) read: bool,
    /// Both directions have.
    pub(crate) write: bool,
    /// With an error.
    pub(crate) error: bool,
}

/// What a connection is to do first in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Close: it is over.
    Close,
    /// Write what an earlier turn has left; nothing else before.
    Write,
    /// Nothing, until the socket takes bytes.
    Wait,
    /// Read, and forget what comes.
    Discard,
    /// Read into [`Session::room`], then answer.
    Read,
    /// Find out whether the stream ends here, then answer.
    Peek,
    /// Answer what is at hand.
    Answer,
}

/// What a connection is to do at the end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Tell the worker.
    Next(Next),
    /// End powd's side of the stream.
    EndStream,
}

/// One connection's requests and replies. `T` is a search of the [`Host`].
#[derive(Debug)]
pub(crate) struct Session<T> {
    difficulty: Difficulty,
    peer: Peer,
    stage: Stage,
    readiness: Readiness,
    unread: Unread,
    input: Option<Buffer>,
    output: Option<Buffer>,
    cutter: Cutter,
    request: Slot<T>,
    /// The input holds no whole request.
    needs_input: bool,
    /// Nothing has been read yet.
    is_new: bool,
    /// When bytes last moved, in or out; at first, when it came.
    moved: Instant,
    /// Its time was over when this turn was asked for: it tries once more what it waits for.
    last_try: bool,
}

impl<T> Session<T> {
    /// A new connection, whose requests have `difficulty`.
    pub(crate) fn new(difficulty: Difficulty, options: &Options, now: Instant) -> Session<T> {
        Session {
            difficulty,
            peer: Peer::Open,
            stage: Stage::Open,
            readiness: Readiness {
                writable: true,
                ..Readiness::default()
            },
            unread: Unread::All,
            input: None,
            output: None,
            cutter: Cutter::new(options.framing, options.limits.max_message_bytes.get()),
            request: Slot::EMPTY,
            needs_input: true,
            is_new: true,
            moved: now,
            last_try: false,
        }
    }

    /// Takes in what the poll says of the socket.
    pub(crate) fn on_ready(
        &mut self,
        ready: Readiness,
        closed: Closed,
        host: &mut impl Host<Task = T>,
        limits: &Limits,
    ) -> Urgency {
        self.readiness.readable |= ready.readable || closed.read;
        self.readiness.writable |= ready.writable;
        self.readiness.urgent |= ready.urgent;
        // A reset shows as an error and as both directions closed. The latter alone is the orderly
        // end of a client whose own direction powd has closed before: what it has sent is still to
        // be read, or closing would reset the connection, and replies on their way would be lost.
        let is_lingering = matches!(self.stage, Stage::Lingering { .. });
        if closed.error || (closed.write && !is_lingering) {
            self.peer = Peer::Lost;
        }
        if closed.read {
            self.half_close(host.now());
        }
        if self.peer == Peer::Open {
            return Urgency::Routine;
        }
        // Now, not in its turn: while it waits for that, others would help with the search.
        if self.peer == Peer::Lost || self.is_abandoned(host.now(), limits) {
            self.cancel(host);
        } else if let Some(request) = self.request.get() {
            // Helpers come back when nobody else wants them.
            host.withdraw(&request.task);
        }
        Urgency::Urgent
    }

    fn half_close(&mut self, now: Instant) {
        if self.peer == Peer::Open {
            self.peer = Peer::HalfClosed {
                since: now,
                eof_read: false,
            };
        }
    }

    /// What to do first in a turn.
    pub(crate) fn step(&self, now: Instant, limits: &Limits) -> Step {
        if self.peer == Peer::Lost {
            return Step::Close;
        }
        if self.output.is_some() {
            // Of an earlier turn: nothing more is answered before it is written. A client that
            // takes bytes slowly counts neither as idle nor as gone before one more try, for the
            // poll tells of room only when a third of the socket's buffer is free. That try comes
            // when its time is over, not in a turn for another reason.
            return match self.readiness.writable {
                true => Step::Write,
                false => Step::Wait,
            };
        }
        match self.stage {
            _ if self.is_abandoned(now, limits) => Step::Close,
            Stage::Lingering { until } if now >= until => Step::Close,
            Stage::Lingering { .. } => Step::Discard,
            Stage::Open if self.needs_input && self.readiness.readable => match self.unread {
                Unread::Arrived(0) => Step::Peek,
                Unread::All | Unread::Arrived(_) | Unread::First => Step::Read,
            },
            Stage::Open | Stage::Closing => Step::Answer,
        }
    }

    /// Whether an operation that failed so may be tried again at once; notes a connection that is
    /// lost.
    fn outlives(&mut self, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => false,
            ErrorKind::Interrupted => true,
            _ => {
                self.peer = Peer::Lost;
                false
            }
        }
    }

    /// Whether what was answered is better written together with the replies of others.
    ///
    /// Replies that took a search to find wait for those of other connections in the same round. To
    /// write one wakes its client; on a machine that the two share, each by itself would have them
    /// take turns on the same core for every reply (100 connections at difficulty 4 with the client
    /// beside: 19 µs of system time for a reply, 30 without; Zen 4, 2026-11).
    pub(crate) fn writes_later(&self, host: &impl Host<Task = T>) -> bool {
        self.output.is_some() && host.outlasts_a_write(self.difficulty)
    }

    /// What is to be written.
    pub(crate) fn output(&self) -> Option<&[u8]> {
        self.output.as_ref().map(Buffer::filled)
    }

    /// Takes in what a write of all of the output came to.
    pub(crate) fn sent(&mut self, written: io::Result<usize>, now: Instant) {
        let Some(output) = &mut self.output else {
            return;
        };
        match written {
            Ok(count) => {
                // A short write has filled the socket (epoll(7)).
                self.readiness.writable = count == output.len();
                output.take(count);
                self.moved = now;
            }
            Err(error) => self.readiness.writable = self.outlives(&error),
        }
    }

    /// Ends a turn: gives back buffers that are empty, changes a large one for a small one where
    /// that holds all, and says what comes next.
    ///
    /// With `resumes`, a search that is not over keeps its place among its equals.
    pub(crate) fn end_turn(
        &mut self,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
        resumes: bool,
    ) -> After {
        if let Some(output) = self.output.take_if(|output| output.is_empty()) {
            shelf.pool.keep_output(output);
        }
        if let Some(output) = &mut self.output {
            output.compact();
        }
        if let Some(input) = self.input.take() {
            self.input = shelf.pool.settle_input(input);
        }
        self.request.settle(shelf.rooms);
        let is_blocked = self.output.is_some() && !self.readiness.writable;
        if is_blocked && let Some(request) = self.request.get_mut() {
            // No core goes on for a client that does not take its replies.
            host.pause(&mut request.task);
            request.stalled = false;
        }
        self.after(host, shelf, resumes)
    }

    fn after(&mut self, host: &impl Host<Task = T>, shelf: &Shelf<'_, T>, resumes: bool) -> After {
        let (now, limits) = (host.now(), &shelf.options.limits);
        let last_try = std::mem::take(&mut self.last_try);
        if self.peer == Peer::Lost || self.is_abandoned(now, limits) {
            return After::Next(Next::Close);
        }
        // Not in a turn for another reason: the poll may not have told yet of what has come. Not in
        // a drain, which ends the stream of who has nothing more to ask.
        let may_be_idle = self.output.is_some() || host.drain() == Drain::Serving;
        if last_try && may_be_idle && self.is_idle(now, limits) {
            shelf.counters.closed_idle.add(1);
            return After::Next(Next::Close);
        }
        if self.output.is_some() {
            return After::Next(match self.readiness.writable {
                true => Next::Soon,
                false => Next::Event,
            });
        }
        if self.stage == Stage::Closing {
            return After::EndStream;
        }
        if let Some(request) = self.request.get() {
            let class = self.class(host, request.length);
            return After::Next(match request.stalled {
                true => Next::Stalled(class),
                false => Next::Turn { class, resumes },
            });
        }
        if !self.needs_input {
            // Whether it has a whole request is not known yet, nor how long its message is.
            let class = self.class(host, 0);
            return After::Next(Next::Turn { class, resumes });
        }
        if self.has_read_eof() {
            return After::Next(Next::Close);
        }
        if self.readiness.readable {
            return After::Next(Next::Soon);
        }
        let may_ask = !last_try && self.first_by().is_some_and(|by| now < by);
        After::Next(match host.drain() {
            Drain::Serving => Next::Event,
            Drain::Draining if may_ask => Next::Event,
            // Everything received is answered.
            Drain::Draining | Drain::Expired => return After::EndStream,
        })
    }

    fn class(&self, host: &impl Host<Task = T>, bytes: usize) -> Class {
        Class {
            standing: match self.peer {
                Peer::Open => Standing::Open,
                Peer::HalfClosed { .. } | Peer::Lost => Standing::Background,
            },
            work: host.work(self.difficulty, bytes),
        }
    }

    /// Takes in whether powd's side of the stream could be ended; then the client is to end its
    /// own.
    pub(crate) fn ended_stream(&mut self, is_ended: bool, now: Instant) -> Next {
        if !is_ended || self.has_read_eof() {
            return Next::Close;
        }
        self.stage = Stage::Lingering {
            until: now + LINGER,
        };
        self.readiness.readable = true;
        Next::Soon
    }

    /// Stops its search, on every core.
    fn cancel(&mut self, host: &mut impl Host<Task = T>) {
        if let Some(request) = self.request.take() {
            host.cancel(request.task, Cancel::Abandoned);
        }
    }

    /// Cancels its search, and gives back what was lent.
    pub(crate) fn close(mut self, host: &mut impl Host<Task = T>, shelf: &mut Shelf<'_, T>) {
        self.cancel(host);
        self.request.settle(shelf.rooms);
        if let Some(input) = self.input.take() {
            shelf.pool.keep_input(input);
        }
        if let Some(output) = self.output.take() {
            shelf.pool.keep_output(output);
        }
    }
}
