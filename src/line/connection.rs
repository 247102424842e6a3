//! A session with its socket: at most one read and one write a turn, however many requests the read
//! brought.

use std::io;
use std::time::Instant;

use mio::event::Event;
use mio::{Interest, Registry, Token};

use super::door::LineDoor;
use super::options::{Limits, Options};
use super::session::{After, Closed, Readiness, Session, Shelf, Step};
use super::stream::Stream;
use crate::admission::Permit;
use crate::engine::{Budget, Client, Context, Host, Next, Task, TurnKind, Urgency};
use powd_core::Difficulty;

/// One connection. `S` is its socket, `T` a search of the [`Host`].
#[derive(Debug)]
pub(crate) struct Connection<S, T> {
    stream: S,
    session: Session<T>,
    /// None in a simulation.
    _permit: Option<Permit>,
}

impl<S: Stream, T> Connection<S, T> {
    pub(crate) fn new(
        stream: S,
        difficulty: Difficulty,
        permit: Permit,
        options: &Options,
        now: Instant,
    ) -> Self {
        Connection {
            stream,
            session: Session::new(difficulty, options, now),
            _permit: Some(permit),
        }
    }

    /// One that nobody had to admit.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn simulated(stream: S, options: &Options, now: Instant) -> Self {
        Connection {
            stream,
            session: Session::new(Difficulty::NONE, options, now),
            _permit: None,
        }
    }

    /// Whether output of an earlier turn is still to be written.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn has_output(&self) -> bool {
        self.session.output().is_some()
    }

    pub(crate) fn on_ready(
        &mut self,
        ready: Readiness,
        closed: Closed,
        host: &mut impl Host<Task = T>,
        limits: &Limits,
    ) -> Urgency {
        self.session.on_ready(ready, closed, host, limits)
    }

    pub(crate) fn begin_drain(&mut self) {
        // Where it fails the connection is lost, and ending it will say so.
        self.session.begin_drain(self.stream.arrived().unwrap_or(0));
    }

    pub(crate) fn turn(
        &mut self,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
        budget: &mut Budget,
    ) -> Next {
        host.charge_turn(budget);
        let now = host.now();
        match self.session.step(now, &shelf.options.limits) {
            Step::Close => return Next::Close,
            Step::Wait => return Next::Event,
            Step::Write => return self.flush(host, shelf),
            Step::Discard => {
                let mut nowhere = shelf.pool.input(None);
                let read = self.stream.read(nowhere.spare_mut());
                shelf.pool.keep_input(nowhere);
                return self.session.discarded(read);
            }
            Step::Read => {
                let room = self.session.room(shelf);
                let size = room.len();
                let read = self.stream.read(room);
                self.session.received(read, size, now);
            }
            Step::Peek => self.session.peeked(self.stream.is_at_end(), now),
            Step::Answer => {}
        }
        self.session.answer(host, shelf, budget);
        if self.session.writes_later(host) {
            return Next::Flush;
        }
        // Who was not answered in a turn that it waited for is still at the same search.
        let resumes = self.session.output().is_none() && budget.kind() != TurnKind::New;
        self.write(host, shelf, resumes)
    }

    /// The end of a turn: writes what was answered.
    pub(crate) fn flush(
        &mut self,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
    ) -> Next {
        self.write(host, shelf, false)
    }

    fn write(
        &mut self,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
        resumes: bool,
    ) -> Next {
        if let Some(output) = self.session.output() {
            let written = self.stream.write(output);
            self.session.sent(written, host.now());
        }
        match self.session.end_turn(host, shelf, resumes) {
            After::Next(next) => next,
            After::EndStream => {
                let is_ended = self.stream.end().is_ok();
                self.session.ended_stream(is_ended, host.now())
            }
        }
    }

    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        self.session.due(limits)
    }

    pub(crate) fn on_due(&mut self) {
        self.session.on_due();
    }

    pub(crate) fn close(self, host: &mut impl Host<Task = T>, shelf: &mut Shelf<'_, T>) {
        // Last: who sees that it is closed sees its search cancelled, too.
        self.session.close(host, shelf);
        shelf.counters.connections_closed.add(1);
    }
}

/// A connection is a client of its worker.
impl<S: Stream + mio::event::Source> Client<LineDoor> for Connection<S, Task> {
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        // Both for the whole life of the connection: edges cost nothing, changes of interest cost a
        // call.
        let interest = Interest::READABLE | Interest::WRITABLE;
        // Urgent data cuts reads short. Other systems' polls do not tell of it; there the next
        // packet has to come.
        #[cfg(target_os = "linux")]
        let interest = interest | Interest::PRIORITY;
        registry.register(&mut self.stream, token, interest)
    }

    fn on_ready(&mut self, event: &Event, context: &mut Context, door: &mut LineDoor) -> Urgency {
        let ready = Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            urgent: event.is_priority(),
        };
        let closed = Closed {
            read: event.is_read_closed(),
            write: event.is_write_closed(),
            error: event.is_error(),
        };
        let limits = &door.options.limits;
        Connection::on_ready(self, ready, closed, context, limits)
    }

    fn begin_drain(&mut self) {
        Connection::begin_drain(self);
    }

    fn turn(&mut self, context: &mut Context, door: &mut LineDoor, budget: &mut Budget) -> Next {
        Connection::turn(self, context, &mut door.shelf(), budget)
    }

    fn flush(&mut self, context: &mut Context, door: &mut LineDoor) -> Next {
        Connection::flush(self, context, &mut door.shelf())
    }

    fn due(&self, _: &Context, door: &LineDoor) -> Option<Instant> {
        Connection::due(self, &door.options.limits)
    }

    fn on_due(&mut self) {
        Connection::on_due(self);
    }

    fn close(self, context: &mut Context, door: &mut LineDoor) {
        Connection::close(self, context, &mut door.shelf());
    }
}
