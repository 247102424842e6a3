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
use super::options::{Error, Options};
use super::pace::Pace;
use super::quota::Quota;
use super::stats::{Stats, error_name};
use super::window::Window;
use crate::cpus;
use powd_core::Difficulty;

/// Connections of all threads that wait for the answer to `connect` at a time: more would overflow
/// a listen queue.
pub(super) const CONNECTING_AT_A_TIME: usize = 128;
/// Between two looks over all connections for those to be reopened or given up.
const SWEEP: Duration = Duration::from_millis(10);
/// The poller counts in milliseconds: what is due sooner is waited for by polling again and again.
const SPIN: Duration = Duration::from_millis(1);
/// The first wait before a connection that failed is tried again; it doubles, up to a thousandfold.
pub(super) const RETRY: Duration = Duration::from_millis(1);
/// Events taken from the poller at a time, at most.
const EVENTS: usize = 1024;
/// What one read takes at most, beside one message: hundreds of replies.
const INPUT: usize = 64 * 1024;

/// One thread's part of a run.
#[derive(Debug)]
pub(super) struct Client<'a> {
    options: &'a Options,
    window: &'a Window,
    quota: Option<&'a Quota>,
    cpu: Option<usize>,
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
    /// This thread's share of [`CONNECTING_AT_A_TIME`].
    connecting_at_most: usize,
    next_sweep: Duration,
}

impl<'a> Client<'a> {
    /// The client number `thread` of `threads`: owns the connections `thread`, `thread + threads`,
    /// `thread + 2 * threads` and so on.
    pub(super) fn new(
        options: &'a Options,
        thread: usize,
        threads: usize,
        window: &'a Window,
        quota: Option<&'a Quota>,
    ) -> Result<Client<'a>, Error> {
        let shape = Shape::new(&options.messages, options.connections);
        let numbers = (thread..options.connections).step_by(threads);
        let pace = options
            .rate
            .map(|rate| Pace::new(rate, options.connections, numbers.clone().collect()));
        let connections: Vec<_> = numbers
            .map(|number| Connection::new(&shape, number))
            .collect();
        Ok(Client {
            options,
            window,
            quota,
            cpu: (!options.pin.is_empty()).then(|| options.pin[thread % options.pin.len()]),
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
            connecting_at_most: (CONNECTING_AT_A_TIME / threads).max(1),
            next_sweep: Duration::ZERO,
        })
    }

    /// Keeps the connections busy until the window closes.
    pub(super) fn run(mut self, stats: &Mutex<Stats>) {
        if let Some(id) = self.cpu
            && cpus::pin(id).is_err()
        {
            lock(stats).error(Cow::Owned(format!("no pinning to CPU {id}")));
        }
        let mut events = Events::with_capacity(EVENTS.min(self.connections.len()));
        loop {
            let now = self.window.now();
            if self.window.is_over(now) {
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
        let to_end = self.window.end().saturating_sub(now);
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
            connection.drained(self.window.now());
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed() || event.is_error(), stats)?;
        }
        self.refill(index, stats)
    }

    /// Reads what came; with `reconnect`, goes on to the next connection after an answer.
    fn read(&mut self, index: usize, to_the_end: bool, stats: &mut Stats) -> Result<(), Lost> {
        let (window, connection) = (self.window, &mut self.connections[index]);
        let asked = connection.flight.requests();
        let received = connection.receive(&mut self.shared, stats, to_the_end, || {
            let now = window.now();
            (now, window.counts(now))
        });
        let answered = asked - connection.flight.requests();
        self.finish(answered);
        if self.options.reconnect && answered > 0 {
            // Also if the server has closed it by itself.
            return self.reconnect(index, stats);
        }
        received
    }

    /// Closes a connection whose request was answered, and opens one for the next.
    fn reconnect(&mut self, index: usize, stats: &mut Stats) -> Result<(), Lost> {
        let now = self.window.now();
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

    /// Notes that so many requests have come to their end. With the last of all the window closes.
    fn finish(&self, requests: usize) {
        if self.quota.is_some_and(|quota| quota.finish(requests)) {
            self.window.end_at(self.window.now());
        }
    }

    /// How many of `wanted` requests may be made.
    fn granted(&self, wanted: usize) -> usize {
        self.quota.map_or(wanted, |quota| quota.take(wanted))
    }

    /// Asks as often as there is room for (and, in the open loop, as is due), and writes what there
    /// is.
    fn refill(&mut self, index: usize, stats: &mut Stats) -> Result<(), Lost> {
        if !matches!(self.connections[index].state, State::Open(_)) {
            return Ok(());
        }
        let room = self.options.pipeline - self.connections[index].flight.requests();
        if room > 0 {
            let now = self.window.now();
            if self.pace.is_some() {
                self.ask_what_is_due(index, room, now);
            } else if self.options.reconnect {
                // Since it began to connect.
                let connection = &mut self.connections[index];
                let requests = usize::from(std::mem::take(&mut connection.reserved));
                connection.ask(requests, connection.last_progress, now);
            } else {
                let requests = self.granted(room);
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
            if pace.is_due(index, now) {
                let reserved = std::mem::take(&mut connection.reserved);
                if !reserved && self.quota.is_some_and(|quota| quota.take(1) == 0) {
                    return;
                }
            }
            match pace.take(index, now) {
                Some(due) => connection.ask(1, due, now),
                None => return pace.wait(index),
            }
        }
    }

    /// Serves the connections that waited for their time on the open loop's timetable.
    fn send_what_is_due(&mut self, stats: &mut Stats) {
        let now = self.window.now();
        while let Some(index) = self.pace.as_mut().and_then(|pace| pace.pop(now)) {
            let done = match self.connections[index].state {
                State::Open(_) => self.refill(index, stats),
                State::Down { .. } if self.options.reconnect => self.open(index, now, stats),
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
        let now = self.window.now();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            let silent = now.saturating_sub(connection.last_progress) > self.options.timeout;
            match connection.state {
                State::Down { retry_at } if retry_at > now => {
                    self.next_sweep = self.next_sweep.min(retry_at);
                }
                State::Down { .. } if self.options.reconnect && self.pace.is_some() => {
                    self.wait_to_open(index, now, stats);
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
    fn wait_to_open(&mut self, index: usize, now: Duration, stats: &mut Stats) {
        let connection = &mut self.connections[index];
        connection.state = State::Down { retry_at: NEVER };
        // As good as open: nothing is to be waited for.
        connection.settle(true, stats);
        if let Some(pace) = &mut self.pace {
            pace.join(index, self.window.timetable_start(now), now);
            pace.wait(index);
        }
    }

    /// Begins to connect; later if too many do at the moment, not at all if there is nothing to
    /// ask.
    fn open(&mut self, index: usize, now: Duration, stats: &mut Stats) -> Result<(), Lost> {
        if self.options.reconnect && !self.connections[index].reserved {
            let granted = self.granted(1) > 0;
            let connection = &mut self.connections[index];
            connection.reserved = granted;
            if !granted {
                connection.state = State::Down { retry_at: NEVER };
                connection.settle(false, stats);
                return Ok(());
            }
        }
        if self.connecting >= self.connecting_at_most {
            return self.open_later(index, now);
        }
        let registry = self.poll.registry();
        let connected = connect(&self.options.target, registry, Token(index));
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return self.open_later(index, now + RETRY);
            }
            Err(error) => return Err(error_name(&error)),
        };
        let connection = &mut self.connections[index];
        connection.state = State::Connecting(stream);
        connection.last_progress = now;
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
        connection.settle(true, stats);
        if let Some(pace) = &mut self.pace {
            let now = self.window.now();
            pace.join(index, self.window.timetable_start(now), now);
        }
        self.refill(index, stats)
    }

    /// Counts an error, unless the server has given its reason, and closes the connection; it is
    /// opened again at once the first time, later and later while no right reply comes.
    fn lost(&mut self, index: usize, name: Lost, stats: &mut Stats) {
        let now = self.window.now();
        let connection = &mut self.connections[index];
        if !connection.flight.was_told() {
            stats.error(name);
        }
        let retry_at = match connection.failures {
            0 => now,
            failures => now + RETRY * (1 << failures.min(10)),
        };
        // One that was never answered is not refused: it may be that the queue is full.
        let reached = !matches!(connection.state, State::Down { .. });
        match std::mem::replace(&mut connection.state, State::Down { retry_at }) {
            State::Open(_) => stats.open -= 1,
            State::Connecting(_) => self.connecting -= 1,
            State::Down { .. } => {}
        }
        connection.settle(reached, stats);
        connection.failures += 1;
        if let Some(sent) = connection.flight.oldest()
            && self.window.counts(now)
        {
            let waited = now.saturating_sub(sent);
            stats.lost.add(connection.flight.requests() as u64, waited);
        }
        let went_down = connection.flight.requests();
        connection.forget();
        self.next_sweep = self.next_sweep.min(retry_at);
        self.finish(went_down);
    }

    fn count_unanswered(&self, stats: &mut Stats) {
        let end = self.window.now();
        let mut count = |requests: u64, since: Duration| {
            stats.unanswered.add(requests, end.saturating_sub(since));
        };
        let spent = self.quota.is_some_and(Quota::is_spent);
        for (index, connection) in self.connections.iter().enumerate() {
            if let Some(sent) = connection.flight.oldest() {
                count(connection.flight.requests() as u64, sent);
            }
            if let Some(pace) = &self.pace {
                match pace.overdue(index, end) {
                    Some((requests, due)) if !spent => count(requests, due),
                    Some((_, due)) if connection.reserved => count(1, due),
                    _ => {}
                }
            } else if matches!(connection.state, State::Connecting(_)) && connection.reserved {
                count(1, connection.last_progress);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_window_closed_from_outside_leaves_nothing_to_wait_for() {
        let options = Options::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let window = Window::new();
        let client = Client::new(&options, 0, 1, &window, None).expect("a poller");
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
            let mut client = Client::new(&options, 0, threads, &window, None).expect("a poller");
            client.sweep(&mut Stats::new());
            assert_eq!(client.connecting, at_a_time, "{threads} threads");
        }
    }
}
