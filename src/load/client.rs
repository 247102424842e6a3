//! One thread of the load client: its connections and its poll loop.
//!
//! Per wake-up and connection: one read, one write, two looks at the clock, however many requests
//! are in flight; and with several connections one `sched_yield` per wake-up. The thread's counts
//! are behind a mutex that only it and the progress display touch; it is held from one wait to the
//! next, so that it costs nothing per reply.

use std::borrow::Cow;
use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::connect::connect;
use super::connection::{Connection, NEVER, Shared, State};
use super::flight::Lost;
use super::lock;
use super::message::Shape;
use super::options::Error;
use super::pace::Pace;
use super::part::{Part, RETRY};
use super::stats::{Stats, error_name};
use powd_core::Difficulty;

/// Between two looks over all connections for those to be reopened or given up.
const SWEEP: Duration = Duration::from_millis(10);
/// The poller counts in milliseconds: what is due sooner is waited for by polling again and again.
const SPIN: Duration = Duration::from_millis(1);
/// Events taken from the poller at a time, at most.
const EVENTS: usize = 1024;
/// What one read takes at most, beside one message: hundreds of replies.
const INPUT: usize = 64 * 1024;

/// One thread's part of a run over lines.
#[derive(Debug)]
pub(super) struct Client<'a> {
    part: Part<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    shared: Shared,
    pace: Option<Pace>,
    /// Before it looks for replies, let a server on the same CPU go on: it finds several then,
    /// where the two would change places for each (100 connections at difficulty 3: 35,000
    /// replies/s, 31,500 otherwise; 2 CPUs of Zen 4, a virtual machine, 2026-11). In the open loop
    /// it would count as latency.
    gives_way: bool,
    connecting: usize,
    next_sweep: Duration,
}

impl<'a> Client<'a> {
    pub(super) fn new(part: Part<'a>) -> Result<Client<'a>, Error> {
        let options = part.options;
        let shape = Shape::new(&options.messages, options.connections);
        let pace = part.pace();
        let numbers = part.numbers();
        let connections: Vec<_> = numbers
            .map(|number| Connection::new(&shape, number))
            .collect();
        Ok(Client {
            part,
            poll: Poll::new().map_err(Error::Poll)?,
            gives_way: pace.is_none() && connections.len() > 1,
            connections,
            shared: Shared {
                input: vec![0; INPUT + shape.bytes()],
                output: Vec::new(),
                difficulty: options.difficulty.unwrap_or(Difficulty::NONE),
                shape,
            },
            pace,
            connecting: 0,
            next_sweep: Duration::ZERO,
        })
    }

    /// Keeps the connections busy until the window closes.
    pub(super) fn run(mut self, stats: &Mutex<Stats>) {
        self.part.pin(stats);
        let mut events = Events::with_capacity(EVENTS.min(self.connections.len()));
        loop {
            let now = self.part.window.now();
            if self.part.window.is_over(now) {
                break;
            }
            if self.gives_way {
                thread::yield_now();
            }
            if let Err(error) = self.poll.poll(&mut events, Some(self.patience(now)))
                && error.kind() != io::ErrorKind::Interrupted
            {
                lock(stats).error(error_name(&error));
                break;
            }
            let stats = &mut *lock(stats);
            for event in &events {
                self.handle(event, stats);
            }
            self.send_what_is_due(stats);
            self.sweep(stats);
        }
        self.count_unanswered(&mut lock(stats));
    }

    /// How long the poller may wait.
    fn patience(&self, now: Duration) -> Duration {
        let due = self.pace.as_ref().and_then(Pace::first_due);
        // An interrupt may have closed the window since `now` was read.
        let to_end = self.part.window.end().saturating_sub(now);
        let to_sweep = self.next_sweep.saturating_sub(now).max(SPIN);
        // The poller rounds up to whole milliseconds, and what is due must not be late.
        let to_due = due.map_or(NEVER, |due| due.saturating_sub(now).saturating_sub(SPIN));
        to_sweep.min(to_end).min(to_due)
    }

    fn handle(&mut self, event: &Event, stats: &mut Stats) {
        let index = event.token().0;
        let done = match self.connections[index].state {
            State::Down { .. } => return,
            State::Connecting(_) => self.connected(index, stats),
            State::Open(_) => self.exchange(index, event, stats),
        };
        if let Err(name) = done {
            self.lost(index, name, stats);
        }
    }

    /// Reads what came, asks for more: on this connection or, with `reconnect`, on the next one.
    fn exchange(&mut self, index: usize, event: &Event, stats: &mut Stats) -> Result<(), Lost> {
        let connection = &mut self.connections[index];
        if connection.full && event.is_writable() {
            connection.drained(self.part.window.now());
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed() || event.is_error(), stats)?;
        }
        self.refill(index, stats)
    }

    /// Reads what came; with `reconnect`, goes on to the next connection after an answer.
    fn read(&mut self, index: usize, to_the_end: bool, stats: &mut Stats) -> Result<(), Lost> {
        let (window, connection) = (self.part.window, &mut self.connections[index]);
        let asked = connection.flight.requests();
        let received = connection.receive(&mut self.shared, stats, to_the_end, || {
            let now = window.now();
            (now, window.counts(now))
        });
        let answered = asked - connection.flight.requests();
        self.part.finish(answered);
        if self.part.options.reconnect && answered > 0 {
            // Also if the server has closed it by itself.
            return self.reconnect(index, stats);
        }
        received
    }

    /// Closes a connection whose request was answered, and opens one for the next.
    fn reconnect(&mut self, index: usize, stats: &mut Stats) -> Result<(), Lost> {
        let now = self.part.window.now();
        let connection = &mut self.connections[index];
        connection.state = State::Down { retry_at: NEVER };
        connection.forget();
        stats.open -= 1;
        match &mut self.pace {
            None => self.open(index, now, stats),
            Some(pace) => {
                pace.wait(index);
                Ok(())
            }
        }
    }

    /// Asks as often as there is room for (and, in the open loop, as is due), and writes what there
    /// is.
    fn refill(&mut self, index: usize, stats: &mut Stats) -> Result<(), Lost> {
        if !matches!(self.connections[index].state, State::Open(_)) {
            return Ok(());
        }
        let room = self.part.options.pipeline - self.connections[index].flight.requests();
        if room > 0 {
            let now = self.part.window.now();
            if self.pace.is_some() {
                self.ask_what_is_due(index, room, now);
            } else if self.part.options.reconnect {
                // Since it began to connect.
                let connection = &mut self.connections[index];
                let requests = usize::from(connection.standing.reserved.take());
                let began = connection.standing.began.take();
                connection.ask(requests, began.unwrap_or(now), now);
            } else {
                let requests = self.part.granted(room);
                self.connections[index].ask(requests, now, now);
            }
        }
        let sent = self.connections[index].send(&mut self.shared);
        if sent.is_err() {
            // Over a socket file that the server has closed; what it said before tells why.
            let ended = self.read(index, true, stats);
            if !matches!(self.connections[index].state, State::Open(_)) {
                return ended;
            }
        }
        sent
    }

    /// Asks up to `room` times, as often as the timetable says and the quota allows.
    fn ask_what_is_due(&mut self, index: usize, room: usize, now: Duration) {
        let (Some(pace), connection) = (&mut self.pace, &mut self.connections[index]) else {
            return;
        };
        for _ in 0..room {
            if pace.is_due(index, now)
                && !connection.standing.reserved.take()
                && self.part.granted(1) == 0
            {
                return;
            }
            match pace.take(index, now) {
                Some(due) => connection.ask(1, due, now),
                None => return pace.wait(index),
            }
        }
    }

    /// Serves the connections that waited for their time on the open loop's timetable.
    fn send_what_is_due(&mut self, stats: &mut Stats) {
        let now = self.part.window.now();
        while let Some(index) = self.pace.as_mut().and_then(|pace| pace.pop(now)) {
            let done = match self.connections[index].state {
                State::Open(_) => self.refill(index, stats),
                State::Down { .. } if self.part.options.reconnect => self.open(index, now, stats),
                State::Down { .. } | State::Connecting(_) => Ok(()),
            };
            if let Err(name) = done {
                self.lost(index, name, stats);
            }
        }
    }

    /// Opens what is to be opened and gives up what has been silent for too long, every few
    /// milliseconds.
    fn sweep(&mut self, stats: &mut Stats) {
        let now = self.part.window.now();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            let silent = connection.standing.silence(now) > self.part.options.timeout;
            match connection.state {
                State::Down { retry_at } if retry_at > now => {
                    self.next_sweep = self.next_sweep.min(retry_at);
                }
                State::Down { .. } if self.part.options.reconnect && self.pace.is_some() => {
                    self.wait_to_open(index, stats);
                }
                State::Down { .. } => {
                    if let Err(name) = self.open(index, now, stats) {
                        self.lost(index, name, stats);
                    }
                }
                State::Connecting(_) if silent => {
                    self.lost(index, Cow::Borrowed("connect timeout"), stats);
                }
                State::Open(_) if silent && connection.flight.requests() > 0 => {
                    self.lost(index, Cow::Borrowed("timeout"), stats);
                }
                State::Connecting(_) | State::Open(_) => {}
            }
        }
    }

    /// Lets a connection wait for the moment at which its request is due.
    fn wait_to_open(&mut self, index: usize, stats: &mut Stats) {
        let connection = &mut self.connections[index];
        connection.state = State::Down { retry_at: NEVER };
        // As good as open: nothing is to be waited for.
        connection.standing.settle(true, stats);
        if let Some(pace) = &mut self.pace {
            self.part.join(pace, index);
            pace.wait(index);
        }
    }

    /// Begins to connect; later if too many do at the moment, not at all if there is nothing to
    /// ask.
    fn open(&mut self, index: usize, now: Duration, stats: &mut Stats) -> Result<(), Lost> {
        if self.part.options.reconnect && !self.connections[index].standing.reserved.get() {
            let granted = self.part.granted(1) > 0;
            let connection = &mut self.connections[index];
            connection.standing.reserved.set(granted);
            if !granted {
                connection.state = State::Down { retry_at: NEVER };
                connection.standing.settle(false, stats);
                return Ok(());
            }
        }
        if self.connecting >= self.part.connecting_at_most() {
            return self.open_later(index, now);
        }
        let registry = self.poll.registry();
        let connected = connect(&self.part.options.target, registry, Token(index));
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return self.open_later(index, now + RETRY);
            }
            Err(error) => return Err(error_name(&error)),
        };
        let connection = &mut self.connections[index];
        connection.state = State::Connecting(stream);
        connection.standing.begin(now);
        self.connecting += 1;
        Ok(())
    }

    fn open_later(&mut self, index: usize, retry_at: Duration) -> Result<(), Lost> {
        self.connections[index].state = State::Down { retry_at };
        self.next_sweep = self.next_sweep.min(retry_at);
        Ok(())
    }

    /// Goes on after an answer to `connect`, if it was one.
    fn connected(&mut self, index: usize, stats: &mut Stats) -> Result<(), Lost> {
        let connection = &mut self.connections[index];
        let down = State::Down {
            retry_at: Duration::ZERO,
        };
        let State::Connecting(stream) = std::mem::replace(&mut connection.state, down) else {
            return Ok(());
        };
        let answered = stream.is_connected();
        if let Ok(false) = answered {
            connection.state = State::Connecting(stream);
            return Ok(());
        }
        self.connecting -= 1;
        answered.map_err(|error| error_name(&error))?;
        connection.state = State::Open(stream);
        stats.open += 1;
        connection.standing.settle(true, stats);
        if let Some(pace) = &mut self.pace {
            self.part.join(pace, index);
        }
        self.refill(index, stats)
    }

    /// Counts an error, unless the server has given its reason, and closes the connection; it is
    /// opened again at once the first time, later and later while no right reply comes.
    fn lost(&mut self, index: usize, name: Lost, stats: &mut Stats) {
        let now = self.part.window.now();
        let connection = &mut self.connections[index];
        if !connection.flight.was_told() {
            stats.error(name);
        }
        let retry_at = now + connection.standing.fail();
        // One that was never answered is not refused: it may be that the queue is full.
        let reached = !matches!(connection.state, State::Down { .. });
        match std::mem::replace(&mut connection.state, State::Down { retry_at }) {
            State::Open(_) => stats.open -= 1,
            State::Connecting(_) => self.connecting -= 1,
            State::Down { .. } => {}
        }
        connection.standing.settle(reached, stats);
        if self.part.window.counts(now) {
            connection.flight.count(now, &mut stats.lost);
        }
        let went_down = connection.flight.requests();
        connection.forget();
        self.next_sweep = self.next_sweep.min(retry_at);
        self.part.finish(went_down);
    }

    fn count_unanswered(&self, stats: &mut Stats) {
        let (end, waits) = (self.part.window.now(), &mut stats.unanswered);
        for (index, connection) in self.connections.iter().enumerate() {
            connection.flight.count(end, waits);
            let (standing, pace) = (&connection.standing, self.pace.as_ref());
            self.part.count_unmade(index, standing, pace, end, waits);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::load::Options;
    use crate::load::window::Window;

    /// The first of so many.
    fn part<'a>(options: &'a Options, threads: usize, window: &'a Window) -> Part<'a> {
        Part {
            options,
            window,
            quota: None,
            thread: 0,
            threads,
        }
    }

    #[test]
    fn a_window_closed_from_outside_leaves_nothing_to_wait_for() {
        let options = Options::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let window = Window::new();
        let client = Client::new(part(&options, 1, &window)).expect("a poller");
        let now = window.now();
        assert!(client.patience(now) > Duration::ZERO);
        window.end_at(now);
        assert_eq!(
            client.patience(now + Duration::from_nanos(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn all_threads_together_do_not_overflow_a_listen_queue() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let options = Options {
            connections: 1000,
            ..Options::new(listener.local_addr().expect("bound"))
        };
        for (threads, at_a_time) in [(1, 128), (4, 32), (500, 1)] {
            let window = Window::new();
            let mut client = Client::new(part(&options, threads, &window)).expect("a poller");
            client.sweep(&mut Stats::new());
            assert_eq!(client.connecting, at_a_time, "{threads} threads");
        }
    }
}
